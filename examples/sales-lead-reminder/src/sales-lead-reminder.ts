import { eddy } from "./client.js";
import { remindOwner } from "./chat.js";

export default eddy.createFunction(
  { id: "sales-lead-reminder", triggers: [{ event: "crm/lead.created" }] },
  async ({ event, step }) => {
    // Outreach is logged by another system, which has the lead's id elsewhere.
    const outreach = await step.waitForEvent("wait-for-outreach", {
      event: "sales/outreach.logged",
      if: "async.data.lead.id == event.data.leadId",
      timeout: "1 week",
    });
    if (outreach !== null) return { reminded: false };
    await step.run("remind-owner", () => remindOwner({ owner: event.data.owner, leadId: event.data.leadId }));
    return { reminded: true };
  },
);
