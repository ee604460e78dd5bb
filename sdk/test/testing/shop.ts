/** Functions for the tests of the test engine. */
import { Eddy, NonRetriableError } from "../../src/index.js";

export const eddy = new Eddy({ id: "shop", baseUrl: "http://127.0.0.1:9" });
export const mails: unknown[] = [];

export const cart = eddy.createFunction(
  {
    id: "cart",
    triggers: [{ event: "cart/product.added" }],
    cancelOn: { event: "cart/product.added", timeout: "24h", match: "data.cart_id" },
  },
  async ({ event, step }) => {
    const purchased = await step.waitForEvent("wait-for-purchase", {
      event: "cart/purchased",
      timeout: "24h",
      match: "data.cart_id",
    });
    if (purchased !== null) return "bought";
    await step.run("send-reminder", (cart: string) => mails.push(cart), event.data.cart_id as string);
    return "reminded";
  },
);

export const order = eddy.createFunction(
  { id: "order", retries: 2, triggers: [{ event: "order/placed" }] },
  async ({ step }) => {
    const charged = await step.run("charge", () => ({ charged: true }));
    await step.sendEvent("tell", { name: "order/charged", data: { orderId: 1 } });
    return charged;
  },
);

export const steps = eddy.createFunction({ id: "steps", triggers: [{ event: "steps/start" }] }, async ({ step }) => {
  const times: number[] = [];
  for (const id of ["a", "b", "c"]) {
    await step.sleep(`sleep-${id}`, "1h");
    times.push(await step.run(id, () => Promise.resolve(clock.now())));
  }
  return times;
});
export const clock = { now: (): number => 0 };

export const strict = eddy.createFunction({ id: "strict", triggers: [{ event: "strict/start" }] }, async ({ step }) => {
  await step.run("refuse", () => {
    throw new NonRetriableError("no");
  });
});
