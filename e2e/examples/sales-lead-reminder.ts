import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { postedReminders } from "../../examples/sales-lead-reminder/src/chat.js";
import reminder from "../../examples/sales-lead-reminder/src/sales-lead-reminder.js";
import { World, type WorldKind } from "../world.js";

export function salesLeadReminder(kind: WorldKind): void {
  describe(`sales lead reminder, ${kind}`, () => {
    let world: World;
    beforeEach(async () => {
      postedReminders.length = 0;
      world = await World.start(kind);
      await world.work([reminder]);
    });
    afterEach(() => world.close());

    it("reminds the owner of the lead that nobody talked to for a week, and of no other", async () => {
      const talked = await world.send("crm/lead.created", { leadId: "l1", owner: "sam" });
      const left = await world.send("crm/lead.created", { leadId: "l2", owner: "kim" });
      for (const id of [talked, left]) await world.reached(id, "waitStarted");
      await world.send("sales/outreach.logged", { lead: { id: "l1" } });
      expect((await world.ended(talked)).output).toEqual({ reminded: false });
      await world.advance("6d");
      expect(postedReminders).toEqual([]);
      await world.advance("1d");
      expect((await world.ended(left)).output).toEqual({ reminded: true });
      expect(postedReminders).toEqual([{ owner: "kim", leadId: "l2" }]);
    });
  });
}
