import { testEngine, type TestEngine } from "@eddy/sdk/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { postedReminders } from "../src/chat.js";
import salesLeadReminder from "../src/sales-lead-reminder.js";

let t: TestEngine;
beforeEach(async () => {
  postedReminders.length = 0;
  t = await testEngine({ functions: [salesLeadReminder], now: "2026-03-02T09:00:00Z" });
});
afterEach(() => t.close());

const lead = (leadId: string) => ({ name: "crm/lead.created", data: { leadId, owner: "sam" } });
const outreach = (id: unknown) => ({ name: "sales/outreach.logged", data: { lead: { id } } });

describe("sales lead reminder", () => {
  it("reminds the owner after a week without outreach", async () => {
    const { runs } = await t.send(lead("l1"));
    expect((await t.run(runs[0])).waits).toEqual([
      { id: "wait-for-outreach", event: "sales/outreach.logged", until: new Date("2026-03-09T09:00:00Z") },
    ]);
    await t.advance("1 week");
    expect(await t.run(runs[0])).toMatchObject({ status: "Completed", output: { reminded: true } });
    expect(postedReminders).toEqual([{ owner: "sam", leadId: "l1" }]);
  });

  it("is quiet about a lead that somebody talked to", async () => {
    const { runs } = await t.send([lead("l1"), lead("l2")]);
    await t.advance("3 days");
    await t.send(outreach("l1"));
    expect(await t.run(runs[0])).toMatchObject({ status: "Completed", output: { reminded: false } });
    await t.advance("4 days");
    expect(postedReminders.map(({ leadId }) => leadId)).toEqual(["l2"]);
  });

  it("does not take outreach to no lead, or to one of another type, for this one", async () => {
    await t.send(lead("1"));
    await t.send([outreach(1), outreach(null), { name: "sales/outreach.logged", data: {} }]);
    expect(await t.runs()).toMatchObject([{ status: "Running" }]);
  });

  it("posts what it should, to a chat that is not there", async () => {
    const post = vi.fn(() => ({ posted: true }));
    t.replaceStep("remind-owner", post);
    await t.send(lead("l1"));
    await t.advance("1 week");
    expect(post).toHaveBeenCalledOnce();
    expect(postedReminders).toEqual([]);
  });
});
