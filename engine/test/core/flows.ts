/** The two flows of the README, as scenarios. */
import type { StepRequest } from "@eddy/schemas";
import { completed, fn, HOUR, Scenario, waitOp } from "./scenario.js";

export const cart = fn({
  id: "cart",
  triggers: [{ event: "cart/added" }],
  cancelOn: [{ event: "cart/added", match: "data.cart", timeout: { ms: 24 * HOUR } }],
  waits: [{ event: "cart/purchased", match: "data.cart" }],
});
export const review = fn({
  id: "review",
  triggers: [{ event: "draft/requested" }],
  waits: [{ event: "review/done", match: "data.id" }],
});

/** A cart whose run waits for a purchase. */
export function waitingCart(): { s: Scenario; request: StepRequest } {
  const s = new Scenario([cart]);
  s.send("cart/added", { cart: "c1" });
  const request = s.lastRequest();
  s.report(request, [waitOp(request, "wait", "cart/purchased", "data.cart", 24 * HOUR)]);
  return { s, request };
}
export function waitingReview(ops = 0): { s: Scenario; request: StepRequest } {
  const s = new Scenario([review]);
  s.send("draft/requested", { id: "d1" });
  const request = s.lastRequest();
  for (let i = 0; i < ops; i++) s.report(request, [completed(`s${i}`)], null);
  return { s, request };
}
