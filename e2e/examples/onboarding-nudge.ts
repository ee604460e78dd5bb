import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sentNudges } from "../../examples/onboarding-nudge/src/mail.js";
import nudge from "../../examples/onboarding-nudge/src/onboarding-nudge.js";
import { World, type WorldKind } from "../world.js";

const signedUp = (userId: string) => ({
  name: "user/signed.up",
  data: { userId },
  user: { email: `${userId}@example.com` },
});

export function onboardingNudge(kind: WorldKind): void {
  describe(`onboarding nudge, ${kind}`, () => {
    let world: World;
    beforeEach(async () => {
      sentNudges.length = 0;
      world = await World.start(kind);
      await world.work([nudge]);
    });
    afterEach(() => world.close());

    it("nudges after three days those who have not finished, and nobody before", async () => {
      const ids = await world.sendAll([signedUp("ada"), signedUp("grace")]);
      const [ada = "", grace = ""] = ids;
      for (const id of ids) await world.reached(id, "sleepStarted");
      await world.advance("71h");
      await world.send("user/onboarding.completed", { userId: "ada" });
      expect((await world.ended(ada)).status).toBe("Cancelled");
      expect(sentNudges).toEqual([]);
      await world.advance("1h");
      expect((await world.ended(grace)).status).toBe("Completed");
      expect(sentNudges).toEqual([{ email: "grace@example.com", userId: "grace" }]);
    });
  });
}
