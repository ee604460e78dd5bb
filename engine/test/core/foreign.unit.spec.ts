/** Trigger, waits and cancel rules by different keys: the run on partition 1, what it listens to on 2 (and 3). */
import { describe, expect, it } from "vitest";
import { Cluster, keyOn } from "./cluster.js";
import { completed, done, fn, HOUR, parsed, waitOp } from "./scenario.js";

const CART = keyOn(1, 4, "cart");
const USER = keyOn(2, 4, "user");
const ORDER = keyOn(3, 4, "order");

/** Runs live by cart; a purchase is known by user. */
const nudge = fn({
  id: "nudge",
  triggers: [{ event: "cart/added" }],
  cancelOn: [
    { event: "cart/added", match: "data.cart" },
    { event: "user/left", match: "data.user" },
  ],
  waits: [{ event: "user/paid", match: "data.user" }],
});

function started(functions = [nudge], data: Record<string, unknown> = { cart: CART, user: USER }): Cluster {
  const c = new Cluster();
  c.register(functions);
  c.deliver();
  c.pass(1);
  c.deliver();
  c.send("cart/added", data);
  c.deliver();
  return c;
}

function waiting(ms = HOUR): Cluster {
  const c = started();
  const request = c.request();
  c.report(request, [waitOp(request, "paid", "user/paid", "data.user", ms)]);
  c.deliver();
  return c;
}

describe("foreign waits", () => {
  it("resolve with the event of another partition, and leave nothing behind", () => {
    const c = waiting();
    const id = c.send("user/paid", { user: USER });
    c.deliver();
    expect(c.of("waitResolved")).toMatchObject([{ stepId: "paid", eventId: id, fromLookback: false }]);
    c.report(c.request(), [], done());
    c.deliver();
    expect(c.of("runCompleted")).toHaveLength(1);
    expect(c.leftovers()).toEqual([]);
  });

  it("look back to events that came before the wait (G9), as the trigger's own copy announced it", () => {
    const c = started();
    const id = c.send("user/paid", { user: USER });
    c.deliver();
    const request = c.request();
    c.report(request, [completed("ask"), waitOp(request, "paid", "user/paid", "data.user", HOUR)]);
    c.deliver();
    expect(c.of("waitResolved")).toMatchObject([{ eventId: id, fromLookback: true }]);
  });

  it("time out on the other partition's clock, not before their deadline", () => {
    const c = waiting(HOUR);
    c.pass(HOUR - 10);
    c.deliver();
    expect(c.of("waitTimedOut")).toEqual([]);
    c.pass(20);
    c.deliver();
    expect(c.of("waitTimedOut")).toHaveLength(1);
    expect(c.of("runDispatched")).toHaveLength(2);
  });

  it("get an event that was logged before the deadline although the partition lags (G1)", () => {
    const c = started();
    const request = c.request();
    c.report(request, [waitOp(request, "paid", "user/paid", "data.user", HOUR)]);
    // The wait arrives after the event, and after its own deadline.
    const id = c.send("user/paid", { user: USER });
    c.apply(2, { kind: "tick" }, 2 * HOUR);
    c.deliver();
    expect(c.of("waitResolved")).toMatchObject([{ eventId: id }]);
  });

  it("are withdrawn when they lose a race: the event stays for the next wait", () => {
    const c = waiting();
    const first = c.request();
    c.report(first, [], null); // A stale report changes nothing.
    const sleep = started();
    const request = sleep.request();
    sleep.report(request, [
      waitOp(request, "paid", "user/paid", "data.user", HOUR),
      { kind: "sleepRequested", stepId: "nap", until: { ms: 1_000 } },
    ]);
    sleep.deliver();
    sleep.pass(2_000);
    const again = sleep.request();
    sleep.report(again, [
      { kind: "withdrawn", stepId: "paid" },
      { kind: "sleepRequested", stepId: "nap2", until: { ms: 1_000 } },
    ]);
    sleep.deliver();
    sleep.send("user/paid", { user: USER });
    sleep.deliver();
    expect(sleep.of("waitResolved")).toEqual([]);
    sleep.pass(2_000);
    const third = sleep.request();
    expect(third.withdrawn).toEqual(["paid"]);
    sleep.report(third, [], done());
    sleep.deliver();
    expect(sleep.leftovers()).toEqual([]);
  });

  it("ask again where another wait of the run has taken the event meanwhile", () => {
    const c = started([
      fn({
        id: "both",
        waits: [
          { event: "user/paid", match: "data.cart" },
          { event: "user/paid", match: "data.user" },
        ],
      }),
    ]);
    const request = c.request();
    c.report(request, [
      waitOp(request, "byCart", "user/paid", "data.cart", HOUR),
      waitOp(request, "byUser", "user/paid", "data.user", HOUR),
    ]);
    c.deliver();
    const first = c.send("user/paid", { cart: CART, user: USER });
    c.deliver();
    expect(c.of("waitResolved")).toMatchObject([{ stepId: "byCart", eventId: first }]);
    const second = c.send("user/paid", { cart: "other", user: USER });
    c.deliver();
    expect(c.of("waitResolved").slice(1)).toMatchObject([{ stepId: "byUser", eventId: second }]);
  });

  it("ask what is left of a condition, with the part of the trigger that it reads", () => {
    const listen = { if: "event.data.user == async.data.user && async.data.amount >= event.data.least" };
    const c = started(
      [fn({ id: "dear", cancelOn: [{ event: "x", match: "data.cart" }], waits: [{ event: "user/paid", ...listen }] })],
      {
        cart: CART,
        user: USER,
        least: 10,
      },
    );
    const request = c.request();
    c.send("user/paid", { user: USER, amount: 9 });
    c.report(request, [waitOp(request, "paid", "user/paid", listen, HOUR)]);
    c.deliver();
    c.send("user/paid", { user: USER });
    c.deliver();
    expect(c.of("waitResolved")).toEqual([]);
    const id = c.send("user/paid", { user: USER, amount: 10.5 });
    c.deliver();
    expect(c.of("waitResolved")).toMatchObject([{ eventId: id }]);
  });

  it("meet in a lane where they have no match", () => {
    const c = started([
      fn({ id: "any", cancelOn: [{ event: "x", match: "data.cart" }], waits: [{ event: "shop/opened" }] }),
    ]);
    const request = c.request();
    c.report(request, [waitOp(request, "open", "shop/opened", {}, HOUR)]);
    c.deliver();
    const id = c.send("shop/opened", { anything: 1 });
    c.deliver();
    expect(c.of("waitResolved")).toMatchObject([{ eventId: id }]);
  });
});

describe("foreign cancel rules", () => {
  it("cancel the run, and leave nothing behind (G3)", () => {
    const c = waiting();
    const id = c.send("user/left", { user: USER });
    c.deliver();
    expect(c.of("runCancelled")).toMatchObject([{ eventId: id }]);
    expect(c.leftovers()).toEqual([]);
  });

  it("hold from the trigger's copy on, even if the run's partition has not seen it yet", () => {
    const c = new Cluster();
    c.register([nudge]);
    c.deliver();
    const copies = c.copies("cart/added", { cart: CART, user: USER });
    const late = [...copies].filter(([partition]) => partition !== 2);
    c.apply(2, copies.get(2) as never);
    const id = c.send("user/left", { user: USER });
    for (const [partition, record] of late) c.apply(partition, record);
    c.deliver();
    expect(c.of("runCancelled")).toMatchObject([{ eventId: id }]);
  });

  it("are told by the run where the sender did not know the function", () => {
    const c = new Cluster();
    c.register([nudge]);
    c.deliver();
    const cart = keyOn(0, 4, "home");
    c.send("cart/added", { cart, user: USER }, { stale: true });
    c.deliver();
    expect(c.of("runStarted")).toHaveLength(1);
    const id = c.send("user/left", { user: USER });
    c.deliver();
    expect(c.of("runCancelled")).toMatchObject([{ eventId: id }]);
    expect(c.leftovers()).toEqual([]);
  });
});

describe("guests", () => {
  it("of a run that never began are sent away", () => {
    const c = new Cluster();
    c.register([nudge]);
    c.deliver();
    const copies = c.copies("cart/added", { cart: CART, user: USER });
    const { record } = { record: copies.get(2) as never };
    c.apply(2, record); // The home copy is lost with its sender, and so is the run's.
    c.deliver();
    expect(c.of("runStarted").length).toBeLessThanOrEqual(1);
    if (c.of("runStarted").length === 0) expect(c.leftovers()).toEqual([]);
  });

  it("are not lost where the run's end and a new life of the same event id cross", () => {
    const c = started();
    const { runId } = c.request();
    c.report(c.request(), [], done());
    const held = c.posted.filter(({ record }) => record.kind === "unlisten");
    expect(held).toHaveLength(1);
    for (const { at } of c.partitions) c.apply(at.partition, { kind: "advance", ms: 48 * HOUR });
    c.send("cart/added", { cart: CART, user: USER }, { id: "e1" });
    c.deliver();
    expect(c.request().runId).not.toBe(runId);
    const id = c.send("user/left", { user: USER });
    c.deliver();
    expect(c.of("runCancelled")).toMatchObject([{ eventId: id }]);
    expect(c.leftovers()).toEqual([]);
  });
});

describe("copies", () => {
  it("that a dead sender left out come from the home partition, and no copy counts twice", () => {
    const c = new Cluster();
    c.register([nudge]);
    c.deliver();
    const copies = c.copies("cart/added", { cart: CART, user: USER });
    const [[home, first] = []] = copies;
    c.apply(home as number, first as never);
    c.deliver();
    expect(c.of("runStarted")).toHaveLength(1);
    for (const [partition, record] of copies) c.apply(partition, record);
    c.deliver();
    expect(c.of("runStarted")).toHaveLength(1);
    const id = c.send("user/left", { user: USER });
    c.deliver();
    expect(c.of("runCancelled")).toMatchObject([{ eventId: id }]);
  });
});

describe("a repeat that comes after a younger trigger", () => {
  it("is cancelled by it at once: one run per key is alive (G4)", () => {
    const c = new Cluster();
    c.register([fn({ id: "one", cancelOn: [{ event: "cart/added", match: "data.cart" }] })]);
    c.deliver();
    const stale = c.copies("cart/added", { cart: CART }, { id: "a0", stale: true });
    for (const [partition, record] of stale) c.apply(partition, record);
    const held = c.posted.length;
    c.apply(1, { kind: "tick" }, 2_000);
    const younger = c.send("cart/added", { cart: CART });
    if (held > 0) c.deliver();
    const started = c.of("runStarted").map(({ eventId }) => eventId);
    const cancelled = c.of("runCancelled").map(({ eventId }) => eventId);
    expect(started).toContain(younger);
    expect(started.length - cancelled.length).toBe(1);
    if (held > 0) expect(cancelled).toEqual([younger]);
  });
});

describe("waits that nobody declared", () => {
  const plain = fn({ id: "plain", cancelOn: [{ event: "cart/added", match: "data.cart" }] });

  it("get what came before their route was known, wherever it lies", () => {
    const c = started([plain]);
    const request = c.request();
    const id = c.send("order/shipped", { order: ORDER, cart: CART, user: USER });
    c.report(request, [waitOp({ data: { order: ORDER } }, "shipped", "order/shipped", "data.order", HOUR)]);
    c.deliver();
    expect(c.of("waitResolved")).toMatchObject([{ eventId: id }]);
  });

  it("do not time out before all partitions have settled, but keep their deadline", () => {
    const c = new Cluster();
    c.register([plain], 20_000);
    c.deliver();
    c.pass(20_000);
    c.deliver();
    c.send("cart/added", { cart: CART, user: USER });
    c.deliver();
    const request = c.request();
    c.report(request, [waitOp({ data: { user: USER } }, "seen", "user/seen", "data.user", 1_000)]);
    c.deliver();
    c.pass(2_000);
    c.deliver();
    expect(c.of("waitTimedOut")).toEqual([]);
    c.send("user/seen", { user: USER });
    c.deliver();
    expect(c.of("waitResolved"), "it came after the deadline").toEqual([]);
    c.pass(20_000);
    c.deliver();
    c.pass(2_000);
    c.deliver();
    expect(c.of("waitTimedOut")).toHaveLength(1);
  });

  it("count as declared from then on: the next run's trigger announces them", () => {
    const c = started([plain]);
    const request = c.request();
    c.report(request, [waitOp(request, "seen", "user/seen", "data.user", HOUR)]);
    c.deliver();
    expect([...c.apps.values()][0]?.learned).toEqual([
      { functionId: "plain", event: "user/seen", path: "data.user", of: "data.user" },
    ]);
    c.send("cart/added", { cart: keyOn(1, 4, "next"), user: USER });
    c.deliver();
    const next = c.request();
    const id = c.send("user/seen", { user: USER });
    c.deliver();
    c.report(next, [waitOp(next, "seen", "user/seen", "data.user", HOUR)]);
    c.deliver();
    expect(c.of("waitResolved").filter(({ runId }) => runId === next.runId)).toMatchObject([{ eventId: id }]);
    expect(parsed(next.event)).toMatchObject({ name: "cart/added" });
  });
});
