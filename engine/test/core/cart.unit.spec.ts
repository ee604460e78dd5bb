/** The cart reminder: deadlines, cancel rules, event ids. */
import { describe, expect, it } from "vitest";
import { cart, waitingCart } from "./flows.js";
import { completed, done, HOUR, Scenario, waitOp } from "./scenario.js";

describe("cart reminder", () => {
  it("times out at the deadline, not a millisecond earlier (G1)", () => {
    const { s } = waitingCart();
    s.tick(24 * HOUR - 1);
    expect(s.historyOf("waitTimedOut")).toHaveLength(0);
    s.tick(1);
    expect(s.historyOf("waitTimedOut")).toHaveLength(1);
    const resumed = s.lastRequest();
    expect(resumed).toMatchObject({ invocation: 2, memoTotal: 1 });
    expect(resumed.memo).toMatchObject([{ stepId: "wait", data: null, error: null }]);
    s.report(resumed, [completed("send")], done());
    expect(s.runs).toHaveLength(0);
    expect(s.historyOf("runCompleted")).toHaveLength(1);
  });

  it("gets an event logged one millisecond before the deadline, however late it is read (G1)", () => {
    const { s } = waitingCart();
    s.send("cart/purchased", { cart: "c1" }, { afterMs: 24 * HOUR - 1 });
    expect(s.historyOf("waitResolved")).toHaveLength(1);
    s.tick(HOUR);
    expect(s.historyOf("waitTimedOut")).toHaveLength(0);
  });

  it("is too late with an event at exactly the deadline, and resolves once (G2)", () => {
    const { s } = waitingCart();
    s.send("cart/purchased", { cart: "c1" }, { afterMs: 24 * HOUR });
    expect(s.historyOf("waitTimedOut")).toHaveLength(1);
    expect(s.historyOf("waitResolved")).toHaveLength(0);
    s.send("cart/purchased", { cart: "c1" });
    expect(s.historyOf("waitResolved")).toHaveLength(0);
  });

  it("leaves the purchase of another cart alone, and a number is not a text", () => {
    const { s } = waitingCart();
    s.send("cart/purchased", { cart: "c2" });
    s.send("cart/purchased", { cart: 1 });
    s.send("cart/purchased", {});
    expect(s.historyOf("waitResolved")).toHaveLength(0);
    s.send("cart/purchased", { cart: "c1" });
    expect(s.historyOf("waitResolved")).toHaveLength(1);
  });

  it("has one run alive per cart after any number of adds, each cancelled by the next (G3, G4)", () => {
    const s = new Scenario([cart]);
    const ids: string[] = [];
    for (let i = 0; i < 1_000; i++) {
      ids.push(s.send("cart/added", { cart: "c1" }, { afterMs: 0 }));
      expect(s.runs).toHaveLength(1);
    }
    expect(s.historyOf("runCancelled").map((e) => e.eventId)).toEqual(ids.slice(1));
    expect(s.runs[0]?.event.id).toBe(ids.at(-1));
    expect(s.requests).toHaveLength(1_000);
    const signals = s.effects.filter((e) => e.kind === "SendSignal");
    expect(signals).toHaveLength(999);
  });

  it("never cancels the run that the event starts, even when the event comes twice (G3, G6)", () => {
    const s = new Scenario([cart]);
    s.send("cart/added", { cart: "c1" }, { id: "same" });
    s.send("cart/added", { cart: "c1" }, { id: "same" });
    expect(s.runs).toHaveLength(1);
    expect(s.historyOf("runCancelled")).toHaveLength(0);
    expect(s.rejections).toEqual(["DUPLICATE_EVENT"]);
  });

  it("takes the same id with another cart for another event (G6)", () => {
    const s = new Scenario([cart]);
    s.send("cart/added", { cart: "c1" }, { id: "same" });
    s.send("cart/added", { cart: "c2" }, { id: "same" });
    expect(s.runs).toHaveLength(2);
  });

  it("does not cancel after the rule's timeout", () => {
    const { s } = waitingCart();
    s.send("cart/added", { cart: "c1" }, { afterMs: 24 * HOUR - 2 });
    expect(s.historyOf("runCancelled")).toHaveLength(1);
    const second = s.lastRequest();
    s.report(second, [waitOp({ data: { cart: "c1" } }, "wait", "cart/purchased", "data.cart", 300 * HOUR)]);
    s.send("cart/added", { cart: "c1" }, { afterMs: 24 * HOUR });
    expect(s.historyOf("runCancelled")).toHaveLength(1);
    expect(s.runs).toHaveLength(2);
  });

  it.each([{ atMs: 1 }, { ms: 0 }])("takes a rule that is over before the run begins for none: %o", (timeout) => {
    const s = new Scenario([{ ...cart, cancelOn: [{ event: "cart/added", match: "data.cart", if: null, timeout }] }]);
    s.send("cart/added", { cart: "c1" });
    s.send("cart/added", { cart: "c1" }, { afterMs: 0 });
    expect(s.runs).toHaveLength(2);
    expect(s.runs.flatMap((run) => run.subscriptions.map(({ purpose }) => purpose))).toEqual(["wait", "wait"]);
  });

  it("drops what a worker reports after the cancel (G3)", () => {
    const { s, request } = waitingCart();
    s.send("cart/added", { cart: "c1" });
    const before = s.requests.length;
    s.report(request, [completed("send")], done());
    expect(s.rejections).toEqual(["RUN_FINISHED"]);
    expect(s.requests).toHaveLength(before);
  });

  it("forgets ids after their window: 10 minutes for generated, 24 h for the user's (G6)", () => {
    const s = new Scenario([cart]);
    s.send("cart/added", { cart: "c1" }, { id: "mine" });
    const again = s.event("cart/added", { cart: "c9" });
    s.apply(again);
    s.apply(again, 9 * 60_000);
    expect(s.rejections).toEqual(["DUPLICATE_EVENT"]);
    s.tick(3 * 60_000);
    s.send("cart/added", { cart: "c1" }, { id: "mine", afterMs: 23 * HOUR });
    expect(s.rejections).toHaveLength(2);
    s.tick(3 * HOUR);
    const kinds = [...s.world.rows.keys()].filter((key) => key.startsWith("i|"));
    expect(kinds).toHaveLength(0);
    expect([...s.world.index.keys()].filter((key) => key.startsWith("x|"))).toHaveLength(0);
  });
});
