/** Time, many listeners, registrations, cancelling by request. */
import { LIMITS, type FunctionConfig } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { cart, review, waitingCart, waitingReview } from "./flows.js";
import { done, fn, HOUR, json, parsed, Scenario, waitOp } from "./scenario.js";

describe("time", () => {
  it("fires sleeps that end together in the order of runs, before the record that moves the clock", () => {
    const s = new Scenario([review]);
    for (const id of ["d1", "d2", "d3"]) s.send("draft/requested", { id }, { afterMs: 0 });
    for (const request of s.requests.slice(0, 3)) {
      s.report(request, [{ kind: "sleepRequested", stepId: "nap", until: { ms: HOUR } }], undefined, 0);
    }
    s.send("draft/requested", { id: "d4" }, { afterMs: HOUR });
    const order = s.historyOf("sleepEnded").map((e) => e.runId);
    expect(order).toEqual([...order].sort());
    expect(s.history.findIndex((e) => e.kind === "sleepEnded")).toBeLessThan(
      s.history.findLastIndex((e) => e.kind === "runStarted"),
    );
  });

  it("skips time as data: an advance fires what it makes due", () => {
    const { s } = waitingCart();
    s.apply({ kind: "advance", ms: 24 * HOUR });
    expect(s.historyOf("waitTimedOut")).toHaveLength(1);
  });

  it("delays a run to the event's future ts, and lets it be cancelled before", () => {
    const s = new Scenario([cart]);
    s.send("cart/added", { cart: "c1" }, { ts: s.nowMs + HOUR });
    expect(s.requests).toHaveLength(0);
    s.tick(HOUR - 10);
    expect(s.requests).toHaveLength(0);
    s.send("cart/added", { cart: "c1" }, { ts: s.nowMs + HOUR });
    expect(s.historyOf("runCancelled")).toHaveLength(1);
    s.tick(HOUR + 5);
    expect(s.requests).toHaveLength(1);
  });

  it("wakes a deadline in the past at the next moment, never at once", () => {
    const { s, request } = waitingReview();
    s.report(request, [{ kind: "sleepRequested", stepId: "past", until: { atMs: 0 } }]);
    expect(s.historyOf("sleepEnded")).toHaveLength(0);
    s.tick(1);
    expect(s.historyOf("sleepEnded")).toHaveLength(1);
  });
});

describe("many listeners at one key", () => {
  it("gives one event to all of them, over several chunks, and leaves no row behind", () => {
    const s = new Scenario([review]);
    const runs = LIMITS.subscriptionsPerChunkMax * 3 + 7;
    for (let i = 0; i < runs; i++) s.send("draft/requested", { id: "d1", i }, { afterMs: 0 });
    for (const request of s.requests.slice(0, runs)) {
      s.report(request, [waitOp(request, "wait", "review/done", "data.id", HOUR)], undefined, 0);
    }
    expect([...s.world.rows.keys()].filter((k) => k.startsWith("s|"))).toHaveLength(4);
    s.send("review/done", { id: "d1" });
    expect(s.historyOf("waitResolved")).toHaveLength(runs);
    for (const request of s.requests.slice(runs)) s.report(request, [], done(), 0);
    expect(s.runs).toHaveLength(0);
    expect([...s.world.rows.keys()].filter((k) => /^[serd]\|/.test(k))).toHaveLength(0);
    expect([...s.world.index.keys()].filter((k) => /^[tq]\|.*r\|/.test(k))).toHaveLength(0);
  });
});

it("opens at a key from which the same event has just taken whole chunks of listeners", () => {
  const reset = fn({ id: "reset", triggers: [{ event: "reset" }], waits: [{ event: "ok", match: "data.k" }] });
  const order = fn({
    id: "order",
    triggers: [{ event: "order" }],
    cancelOn: [{ event: "reset", match: "data.k", timeout: null }],
    waits: [{ event: "ok", match: "data.k" }],
  });
  const s = new Scenario([order, reset]);
  const runs = LIMITS.subscriptionsPerChunkMax * 2;
  for (let i = 0; i < runs; i++) s.send("reset", { k: "k1", i }, { afterMs: 0 });
  for (let i = 0; i < runs + 1; i++) s.send("order", { k: "k1", i }, { afterMs: 0 });
  s.send("reset", { k: "k1" });
  expect(s.historyOf("runCancelled")).toHaveLength(runs + 1);
  expect(s.runs).toHaveLength(runs + 1);
});

it("starts many runs that listen at one key from one event", () => {
  const functions = Array.from({ length: LIMITS.subscriptionsPerChunkMax * 3 }, (_, i) =>
    fn({ id: `f${i}`, triggers: [{ event: "go" }], waits: [{ event: "ok", match: "data.k" }] }),
  );
  const s = new Scenario(functions);
  s.send("go", { k: "k1" });
  s.send("go", { k: "k1" });
  expect(s.runs).toHaveLength(2 * functions.length);
});

describe("registration", () => {
  const config = { app: "shop", functions: [review] };
  it("is numbered by inbox 0 and sent to every partition", () => {
    const s = new Scenario([], { partition: 0, partitions: 3 });
    const effects = s.apply({ kind: "register", config, settleMs: 7 });
    expect(effects.filter((e) => e.kind === "AppendInbox").map((e) => e.partition)).toEqual([1, 2]);
    const records = effects.flatMap((e) =>
      e.kind === "AppendInbox" && e.record.kind === "registered" ? [e.record] : [],
    );
    const news = [{ event: "review/done", path: "data.id" }];
    expect(records).toMatchObject(
      [1, 2].map((index) => ({ config: { version: 1 }, news, settleMs: 7, source: { index } })),
    );
  });
  it("is in force on partition 0 from its number on, without a record of its own", () => {
    const s = new Scenario([]);
    const effects = s.apply({ kind: "register", config, settleMs: 0 });
    expect(effects.map((e) => (e.kind === "PublishRegistry" ? e.key : e.kind))).toEqual(["app/shop", "applied/0"]);
    s.send("draft/requested", { id: "d1" });
    expect(s.runs).toHaveLength(1);
  });
  it("names as news what was not routed before, and nothing that was", () => {
    const s = new Scenario([], { partition: 0, partitions: 2 });
    const newsOf = (functions: FunctionConfig[]) =>
      s
        .apply({ kind: "register", config: { app: "shop", functions }, settleMs: 0 })
        .flatMap((e) => (e.kind === "AppendInbox" && e.record.kind === "registered" ? e.record.news : []))
        .map(({ event, path }) => `${event} ${path}`);
    expect(newsOf([review])).toEqual(["review/done data.id"]);
    expect(newsOf([review, cart])).toEqual(["cart/added data.cart", "cart/purchased data.cart"]);
    expect(newsOf([review])).toEqual([]);
    expect(newsOf([review, cart]), "senders still routed by what was retired").toEqual([]);
  });
  it("is refused elsewhere, and a repeat or an older version changes nothing", () => {
    const other = new Scenario([], { partition: 1, partitions: 3 });
    other.apply({ kind: "register", config, settleMs: 0 });
    const registered = {
      kind: "registered" as const,
      config: { ...config, version: 2, digest: "x", anchors: [], learned: [], retired: [], former: [] },
      news: [],
      settleMs: 0,
      source: { partition: 0, offset: 5, index: 1 },
    };
    other.apply(registered);
    const rows = other.rowBytes();
    other.apply(registered);
    expect(other.rowBytes()).toEqual(rows);
    other.apply({
      ...registered,
      config: { ...registered.config, version: 1 },
      source: { partition: 0, offset: 6, index: 1 },
    });
    expect(other.rejections).toEqual(["NOT_INBOX_ZERO", "REPEATED_RECORD", "STALE_REGISTRATION"]);
  });
});

it("cancels by request", () => {
  const { s } = waitingCart();
  s.apply({ kind: "cancel", runId: s.runs[0]?.runId ?? "", reason: "asked" });
  s.apply({ kind: "cancel", runId: "000nothing", reason: "asked" });
  expect(s.historyOf("runCancelled")).toMatchObject([{ reason: "asked", eventId: null }]);
  expect(s.rejections).toEqual(["RUN_FINISHED"]);
  expect([...s.world.rows.keys()].filter((k) => /^[sr]\|/.test(k))).toHaveLength(0);
});

it("keeps payloads as they are", () => {
  const { s } = waitingCart();
  const payload = s.runs[0]?.event.payload ?? json(null);
  expect(parsed(payload)).toMatchObject({ data: { cart: "c1" } });
});
