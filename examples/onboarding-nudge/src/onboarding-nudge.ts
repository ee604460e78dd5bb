import { eddy } from "./client.js";
import { sendNudge } from "./mail.js";

export default eddy.createFunction(
  {
    id: "onboarding-nudge",
    triggers: [{ event: "user/signed.up" }],
    // Whoever has finished needs no nudge.
    cancelOn: { event: "user/onboarding.completed", match: "data.userId" },
  },
  async ({ event, step }) => {
    await step.sleep("give-them-time", "3 days");
    await step.run("send-nudge", () => sendNudge({ email: event.user.email, userId: event.data.userId }));
  },
);
