/** A registration reaches partitions one after the other: an event that comes meanwhile meets different ones. */
import { describe, expect, it } from "vitest";
import { Cluster, keyOn } from "./cluster.js";
import { done, fn, type GivenFunction } from "./scenario.js";

const CART = keyOn(1, 4, "cart");
const USER = keyOn(2, 4, "user");
const BOTH = { cart: CART, user: USER };
const byCart = { event: "cart/added", match: "data.cart" };
const byUser = { event: "user/left", match: "data.user" };
const nudge = { id: "nudge", cancelOn: [byCart, byUser] };
/** Who routes by the same values, whatever becomes of the other. */
const byHome = { event: "cart/added", match: "data.home" };
const other = fn({ id: "other", triggers: [{ event: "o" }], cancelOn: [byCart, byUser, byHome] });

function registered(...versions: readonly (readonly GivenFunction[])[]): Cluster {
  const c = new Cluster();
  const [first = [], ...later] = versions;
  c.register([other, ...first.map(fn)]);
  c.deliver();
  for (const version of later) {
    c.register([other, ...version.map(fn)]);
    c.deliver(({ to, record }) => record.kind === "registered" && to === 2);
  }
  return c;
}

const withoutRegistrations = ({ record }: { record: { kind: string } }): boolean => record.kind !== "registered";

describe("a run that a partition starts by an older registration than the one where it listens", () => {
  const laters: [string, GivenFunction[][]][] = [
    ["changes the rule", [[{ id: "nudge", cancelOn: [byCart, { ...byUser, match: "data.other" }] }]]],
    ["drops the rule", [[{ id: "nudge", cancelOn: [byCart] }]]],
    ["drops the function", [[]]],
    ["drops the trigger", [[{ ...nudge, triggers: [{ event: "never" }] }]]],
    [
      "changes it twice",
      [[{ id: "nudge", cancelOn: [byCart] }], [{ id: "nudge", cancelOn: [byCart], retries: 1 }], []],
    ],
  ];
  for (const [name, versions] of laters) {
    it(`is cancelled there by its own rule (G3), though the newer one ${name}`, () => {
      const c = registered([nudge], ...versions);
      c.send("cart/added", BOTH);
      c.deliver(withoutRegistrations);
      expect(c.of("runStarted")).toHaveLength(1);
      c.deliver();
      const id = c.send("user/left", { user: USER });
      c.deliver();
      expect(c.of("runCancelled")).toMatchObject([{ eventId: id }]);
      expect(c.leftovers()).toEqual([]);
    });
  }

  it("is cancelled there also if its sender died, and the home repeats by the newer one", () => {
    const c = registered([nudge], []);
    c.deliver(({ to, record }) => record.kind === "registered" && to === 0);
    const home = keyOn(0, 4, "home");
    const copies = c.copies("cart/added", { cart: CART, user: USER, home });
    expect([...copies.keys()]).toEqual([0, 1, 2]);
    c.apply(0, copies.get(0) as never);
    c.apply(1, copies.get(1) as never);
    c.deliver(withoutRegistrations);
    expect(c.of("runStarted")).toHaveLength(1);
    const id = c.send("user/left", { user: USER });
    c.deliver();
    expect(c.of("runCancelled")).toMatchObject([{ eventId: id }]);
  });

  it("listens there to what it has declared", () => {
    const paid = { event: "user/paid", match: "data.user" };
    const c = registered([{ id: "nudge", cancelOn: [byCart], waits: [paid] }], [{ id: "nudge", cancelOn: [byCart] }]);
    c.send("cart/added", BOTH);
    c.deliver(withoutRegistrations);
    c.send("user/paid", { user: USER });
    expect([...c.at(2).world.rows.keys()].filter((key) => key.startsWith("e|"))).toHaveLength(1);
    c.report(c.request(), [], done());
    c.deliver();
    expect(c.leftovers()).toEqual([]);
  });
});

it("rules that are no more cancel no run of an event that was sent after that was known everywhere", () => {
  const c = registered([nudge], [{ id: "nudge", cancelOn: [byCart] }]);
  c.deliver();
  c.pass(1);
  c.deliver();
  c.send("cart/added", BOTH);
  c.deliver();
  c.send("user/left", { user: USER });
  c.deliver();
  expect(c.of("runStarted")).toHaveLength(1);
  expect(c.of("runCancelled")).toEqual([]);
});
