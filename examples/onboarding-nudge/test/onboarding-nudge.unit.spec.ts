import { testEngine, type TestEngine } from "@eddy/sdk/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sentNudges } from "../src/mail.js";
import onboardingNudge from "../src/onboarding-nudge.js";

let t: TestEngine;
beforeEach(async () => {
  sentNudges.length = 0;
  t = await testEngine({ functions: [onboardingNudge] });
});
afterEach(() => t.close());

const signedUp = (userId: string) => ({
  name: "user/signed.up",
  data: { userId },
  user: { email: `${userId}@example.com` },
});
const completed = (userId: string) => ({ name: "user/onboarding.completed", data: { userId } });

describe("onboarding nudge", () => {
  it("nudges after three days, and not before", async () => {
    const { runs } = await t.send(signedUp("ada"));
    await t.advance("71h");
    expect(sentNudges).toEqual([]);
    await t.advance("1h");
    expect(sentNudges).toEqual([{ email: "ada@example.com", userId: "ada" }]);
    expect(await t.run(runs[0])).toMatchObject({ status: "Completed" });
  });

  it("leaves those alone who have finished", async () => {
    const { runs } = await t.send([signedUp("ada"), signedUp("grace")]);
    await t.advance("2 days");
    await t.send(completed("ada"));
    expect(await t.run(runs[0])).toMatchObject({ status: "Cancelled" });
    await t.advance("1 day");
    expect(sentNudges.map(({ userId }) => userId)).toEqual(["grace"]);
  });

  it("tries again when the mail service is down", async () => {
    t.failStep("send-nudge", new Error("503"), { times: 2 });
    const { runs } = await t.send(signedUp("ada"));
    await t.advance("3 days");
    expect((await t.run(runs[0])).steps[1]).toMatchObject({ id: "send-nudge", status: "Retrying" });
    await t.advance("1 hour");
    expect((await t.run(runs[0])).steps[1]).toMatchObject({ status: "Completed", attempts: 3 });
    expect(sentNudges).toHaveLength(1);
  });
});
