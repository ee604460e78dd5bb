/** Routes of former registrations are remembered up to a bound: waits by what is forgotten end all the same. */
import { LIMITS, PAST_MS_MAX } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { Cluster, keyOn } from "./cluster.js";
import { done, fn, HOUR, waitOp } from "./scenario.js";

const CART = keyOn(1, 4, "cart");
const USER = keyOn(2, 4, "user");
const cancelOn = [{ event: "cart/added", match: "data.cart" }];
const PER_FUNCTION = LIMITS.waitsPerFunctionMax;

/** A run that waits by `match`, of a function that is gone, as are as many later paths as are remembered. */
function forgotten(match: string, paths: number = LIMITS.retiredWaitsMax): Cluster {
  const c = new Cluster();
  const register = (functions: Parameters<Cluster["register"]>[0]): void => {
    c.register(functions);
    c.deliver();
    c.pass(1);
    c.deliver();
  };
  register([fn({ id: "nudge", cancelOn, waits: [{ event: "user/paid", match }] })]);
  c.send("cart/added", { cart: CART, user: USER });
  c.deliver();
  const request = c.request();
  c.report(request, [waitOp({ data: { cart: CART, user: USER } }, "paid", "user/paid", match, HOUR)]);
  c.deliver();
  const many = Array.from({ length: paths / PER_FUNCTION }, (_, i) =>
    fn({
      id: `f${i}`,
      triggers: [{ event: "never" }],
      waits: Array.from({ length: PER_FUNCTION }, (__, j) => ({ event: `e${i}/${j}`, match: "data.cart" })),
    }),
  );
  register(many);
  register([]);
  return c;
}

/** Ticks a little apart: one that is postponed comes due with a later one. */
function passed(c: Cluster, ms: number): void {
  c.pass(ms - 20_000);
  for (let i = 0; i < 4; i++) c.pass(5_000);
  c.deliver();
}

for (const [where, match] of [
  ["the run's own partition", "data.cart"],
  ["another partition", "data.user"],
]) {
  describe(`a wait on ${where}, by a path that the registration has forgotten`, () => {
    it("times out once no event from before its deadline could be offered any more", () => {
      const c = forgotten(match as string);
      passed(c, HOUR);
      expect(c.of("waitTimedOut")).toEqual([]);
      passed(c, PAST_MS_MAX);
      expect(c.of("waitTimedOut")).toHaveLength(1);
      c.report(c.request(), [], done());
      c.deliver();
      expect(c.leftovers()).toEqual([]);
    });

    it("times out at its deadline while the path is remembered", () => {
      const c = forgotten(match as string, LIMITS.retiredWaitsMax / 2);
      passed(c, HOUR);
      expect(c.of("waitTimedOut")).toHaveLength(1);
    });
  });
}

it("times out by a path at which triggers go on to be read, though nobody listens there any more", () => {
  const c = new Cluster();
  const again = { event: "cart/added", match: "data.cart" };
  for (const waits of [[again], [{ event: "user/paid", match: "data.cart" }]]) {
    if (waits[0] !== again) {
      c.send("cart/added", { cart: CART });
      c.report(c.request(), [waitOp({ data: { cart: CART } }, "again", "cart/added", "data.cart", HOUR)]);
    }
    c.register([fn({ id: "nudge", triggers: [{ event: "cart/added" }], waits })]);
    c.deliver();
    c.pass(1);
    c.deliver();
  }
  passed(c, HOUR);
  expect(c.of("waitTimedOut")).toMatchObject([{ stepId: "again" }]);
});
