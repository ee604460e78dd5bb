// As in issue 3, but for imports and line breaks.
import { eddy } from "./client.js";
import { sendCartReminderEmail } from "./world.js";
export default eddy.createFunction(
  {
    id: "cart-abandonment-flow",
    triggers: [{ event: "cart/product.added" }],
    // Cancel this instance whenever the user adds another product.
    cancelOn: { event: "cart/product.added", timeout: "24h", match: "data.cart_id" },
  },
  async ({ event, step }) => {
    const purchased = await step.waitForEvent("wait-for-purchase", {
      event: "cart/purchased",
      timeout: "24h",
      match: "data.cart_id",
    });
    if (purchased !== null) return;
    await step.run("send-reminder", () => sendCartReminderEmail({ email: event.user.email, cart: event.data.cart_id }));
  },
);
