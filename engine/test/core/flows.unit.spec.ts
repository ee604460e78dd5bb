/** The two flows of the README and the promises that the core alone can show. */
import { LEASE_MS, LIMITS, type StepRequest } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { completed, done, failedOp, fn, HOUR, json, parsed, Scenario, waitOp } from "./scenario.js";

const cart = fn({
  id: "cart",
  triggers: [{ event: "cart/added" }],
  cancelOn: [{ event: "cart/added", match: "data.cart", timeout: { ms: 24 * HOUR } }],
  waits: [{ event: "cart/purchased", match: "data.cart" }],
});
const review = fn({
  id: "review",
  triggers: [{ event: "draft/requested" }],
  waits: [{ event: "review/done", match: "data.id" }],
});

/** A cart whose run waits for a purchase. */
function waitingCart(): { s: Scenario; request: StepRequest } {
  const s = new Scenario([cart]);
  s.send("cart/added", { cart: "c1" });
  const request = s.lastRequest();
  s.report(request, [waitOp(request, "wait", "cart/purchased", "data.cart", 24 * HOUR)]);
  return { s, request };
}
function waitingReview(ops = 0): { s: Scenario; request: StepRequest } {
  const s = new Scenario([review]);
  s.send("draft/requested", { id: "d1" });
  const request = s.lastRequest();
  for (let i = 0; i < ops; i++) s.report(request, [completed(`s${i}`)], null);
  return { s, request };
}

describe("cart reminder", () => {
  it("times out at the deadline, not a millisecond earlier (G1)", () => {
    const { s } = waitingCart();
    s.tick(24 * HOUR - 1);
    expect(s.historyOf("waitTimedOut")).toHaveLength(0);
    s.tick(1);
    expect(s.historyOf("waitTimedOut")).toHaveLength(1);
    const resumed = s.lastRequest();
    expect(resumed).toMatchObject({ invocation: 2, event: null, memoTotal: 1 });
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

describe("lookback (G9)", () => {
  it("gives a reply that came while the step before the wait was still running", () => {
    const { s, request } = waitingReview();
    const reply = s.send("review/done", { id: "d1", approved: true });
    s.report(request, [completed("request"), waitOp(request, "wait", "review/done", "data.id", HOUR)]);
    expect(s.historyOf("waitResolved")).toMatchObject([{ eventId: reply, fromLookback: true }]);
    const next = s.lastRequest();
    expect(next.invocation).toBe(2);
    expect(parsed(next.memo.at(-1)?.data ?? null)).toMatchObject({ data: { approved: true } });
  });

  it("gives a reply that a failed attempt had caused, after the retry", () => {
    const { s, request } = waitingReview();
    s.report(request, [failedOp("request")]);
    s.send("review/done", { id: "d1" });
    s.tick(60_000);
    const retry = s.lastRequest();
    expect(retry).toMatchObject({ invocation: 2, stepAttempts: [["request", 1]] });
    s.report(retry, [completed("request"), waitOp(request, "wait", "review/done", "data.id", HOUR)]);
    expect(s.historyOf("waitResolved")).toHaveLength(1);
  });

  it("does not give an event from before the end of a sleep", () => {
    const { s, request } = waitingReview();
    s.send("review/done", { id: "d1" });
    s.report(request, [{ kind: "sleepRequested", stepId: "week", until: { ms: 168 * HOUR } }]);
    s.tick(168 * HOUR);
    s.report(s.lastRequest(), [waitOp(request, "wait", "review/done", "data.id", HOUR)]);
    expect(s.historyOf("waitResolved")).toHaveLength(0);
  });

  it("gives each event to one wait of a run, in log order", () => {
    const { s, request } = waitingReview();
    const first = s.send("review/done", { id: "d1", n: 1 });
    const second = s.send("review/done", { id: "d1", n: 2 });
    s.report(request, [waitOp(request, "wait", "review/done", "data.id", HOUR)]);
    s.report(s.lastRequest(), [waitOp(request, "wait:1", "review/done", "data.id", HOUR)]);
    expect(s.historyOf("waitResolved").map((e) => e.eventId)).toEqual([first, second]);
  });

  it("is not satisfied by the trigger itself, even where a function waits for its own trigger", () => {
    const self = fn({ id: "self", waits: [{ event: "cart/added", match: "data.cart" }] });
    const s = new Scenario([self]);
    s.send("cart/added", { cart: "c1" });
    const request = s.lastRequest();
    s.report(request, [waitOp(request, "wait", "cart/added", "data.cart", HOUR)]);
    expect(s.historyOf("waitResolved")).toHaveLength(0);
    const second = s.send("cart/added", { cart: "c1" });
    expect(s.historyOf("waitResolved")).toMatchObject([{ eventId: second }]);
    expect(s.runs).toHaveLength(2);
  });

  it("fails the run loudly when more is kept than the bound allows, and evicts nothing (G11)", () => {
    const { s } = waitingReview();
    for (let i = 0; i < LIMITS.keptEventsMax; i++) s.send("review/done", { id: "d1", i }, { afterMs: 0 });
    expect(s.runs).toHaveLength(1);
    s.send("review/done", { id: "d1" });
    expect(s.historyOf("runFailed")).toMatchObject([{ error: { name: "KeptEventsOverflowError" } }]);
    expect([...s.world.rows.keys()].filter((k) => /^[se]\|/.test(k))).toHaveLength(0);
  });

  it("keeps nothing for a run that only waits for something else", () => {
    const both = fn({
      id: "both",
      triggers: [{ event: "draft/requested" }],
      waits: [
        { event: "a", match: "data.id" },
        { event: "b", match: "data.id" },
      ],
    });
    const s = new Scenario([both]);
    s.send("draft/requested", { id: "d1" });
    const request = s.lastRequest();
    s.report(request, [waitOp(request, "wa", "a", "data.id", HOUR)]);
    s.send("b", { id: "d1" });
    expect([...s.world.rows.keys()].filter((k) => k.startsWith("e|"))).toHaveLength(0);
  });
});

describe("steps", () => {
  it("drops the whole report of a superseded invocation (G5)", () => {
    const { s, request } = waitingReview();
    s.apply({ kind: "delivered", app: "shop", mark: { offset: s.nextOffset - 1, index: 1_000 } as never });
    s.tick(LEASE_MS);
    expect(s.lastRequest().invocation).toBe(2);
    s.report(request, [completed("request")], null);
    expect(s.rejections).toEqual(["STALE_INVOCATION"]);
    expect(s.runs[0]?.memo).toHaveLength(0);
  });

  it("keeps a lease alive by heartbeats, in raw time, whatever the clock is advanced by", () => {
    const { s, request } = waitingReview();
    s.apply({ kind: "delivered", app: "shop", mark: { offset: s.nextOffset - 1, index: 1_000 } as never });
    s.apply({ kind: "advance", ms: 24 * HOUR });
    for (let i = 0; i < 5; i++) {
      s.apply({ kind: "heartbeat", app: "shop", running: [{ runId: request.runId, invocation: 1 }] }, LEASE_MS - 2);
    }
    expect(s.requests).toHaveLength(1);
    s.tick(LEASE_MS);
    expect(s.requests).toHaveLength(2);
    expect(s.historyOf("runDispatched").at(-1)).toMatchObject({ reason: "leaseLost", invocation: 2 });
  });

  it("does not start a lease before delivery: a queue may be as long as it likes", () => {
    const { s } = waitingReview();
    s.tick(1_000 * LEASE_MS);
    expect(s.requests).toHaveLength(1);
  });

  it("retries with backoff, then gives the error to the handler", () => {
    const s = new Scenario([{ ...review, retries: 2 }]);
    s.send("draft/requested", { id: "d1" });
    for (let attempt = 1; attempt <= 3; attempt++) {
      expect(s.lastRequest().stepAttempts).toEqual(attempt === 1 ? [] : [["request", attempt - 1]]);
      s.report(s.lastRequest(), [failedOp("request")]);
      if (attempt < 3) s.tick(60_000);
    }
    expect(s.historyOf("stepFailed").map((e) => e.retryAtMs === null)).toEqual([false, false, true]);
    expect(s.lastRequest()).toMatchObject({ invocation: 4, stepAttempts: [] });
    expect(s.lastRequest().memo).toMatchObject([{ stepId: "request", error: { message: "no" } }]);
    s.report(s.lastRequest(), [], done("caught"));
    expect(s.historyOf("runCompleted")).toHaveLength(1);
  });

  it("makes an attempt that came due while another invocation was in flight, as soon as that ends", () => {
    const { s, request } = waitingReview();
    s.report(request, [failedOp("a"), { kind: "sleepRequested", stepId: "nap", until: { ms: 1 } }]);
    s.tick(1);
    const resumed = s.lastRequest();
    expect(resumed).toMatchObject({ invocation: 2, pending: ["a"] });
    s.tick(HOUR);
    expect(s.requests).toHaveLength(2);
    s.report(resumed, [completed("b")]);
    expect(s.lastRequest()).toMatchObject({ invocation: 3, pending: [], stepAttempts: [["a", 1]] });
    expect(s.historyOf("runDispatched").at(-1)).toMatchObject({ reason: "retry" });
    expect(s.historyOf("attemptFailed")).toHaveLength(0);
  });

  it("counts the result of an attempt that was made before its time (G5)", () => {
    const { s, request } = waitingReview();
    s.report(request, [failedOp("a"), { kind: "sleepRequested", stepId: "nap", until: { ms: 1 } }]);
    s.tick(1);
    s.report(s.lastRequest(), [failedOp("a"), completed("a")], done());
    expect(s.historyOf("stepFailed")).toHaveLength(1);
    expect(s.historyOf("stepCompleted")).toMatchObject([{ stepId: "a" }]);
    expect(s.runs).toHaveLength(0);
  });

  it("enters a failed handler once, though an event brings it back before its next attempt", () => {
    const both = new Scenario([review]);
    both.send("draft/requested", { id: "d1" });
    const request = both.lastRequest();
    const error = { name: "Error", message: "x", stack: null };
    const wait = waitOp(request, "w", "review/done", "data.id", HOUR);
    both.report(request, [wait], { kind: "threw", error, retriable: true, retryAfter: null });
    both.send("review/done", { id: "d1" });
    expect(both.lastRequest()).toMatchObject({ invocation: 2, attempt: 0 });
    both.report(both.lastRequest(), [{ kind: "sleepRequested", stepId: "nap", until: { ms: HOUR } }]);
    both.tick(60_000);
    expect(both.requests).toHaveLength(2);
  });

  it("does not retry what is not retriable", () => {
    const { s, request } = waitingReview();
    s.report(request, [failedOp("request", false)]);
    expect(s.lastRequest()).toMatchObject({ invocation: 2, memo: [{ stepId: "request", data: null }] });
  });

  it("bounds a RetryAfterError to between 1 s and 24 h", () => {
    const { s, request } = waitingReview();
    const op = { ...failedOp("request"), retryAfter: { ms: 400 * HOUR } } as never;
    s.report(request, [op]);
    expect(s.historyOf("stepFailed")[0]?.retryAtMs).toBe(s.nowMs + 24 * HOUR);
  });

  it("fails the run when the handler throws to the end of its attempts", () => {
    const s = new Scenario([{ ...review, retries: 1 }]);
    s.send("draft/requested", { id: "d1" });
    const error = { name: "TypeError", message: "bad", stack: null };
    for (let i = 0; i < 2; i++) {
      s.report(s.lastRequest(), [], { kind: "threw", error, retriable: true, retryAfter: null });
      s.tick(60_000);
    }
    expect(s.historyOf("runFailed")).toMatchObject([{ error }]);
    expect(s.runs).toHaveLength(0);
  });

  it("tells a worker only what it does not have", () => {
    const { s, request } = waitingReview(3);
    s.report(request, [{ kind: "sleepRequested", stepId: "nap", until: { ms: HOUR } }]);
    s.tick(HOUR);
    expect(s.lastRequest()).toMatchObject({ memoTotal: 4, memo: [{ stepId: "nap" }], event: null });
  });

  it("ignores an op that it has already", () => {
    const { s, request } = waitingReview();
    s.report(request, [completed("a", 1)], null);
    s.report(request, [completed("a", 2), completed("b")], null);
    expect(s.runs[0]?.memo.map((m) => [m.stepId, parsed(m.data)])).toEqual([
      ["a", 1],
      ["b", null],
    ]);
  });

  it("does not leave a run hanging that suspends with nothing to wait for", () => {
    const s = new Scenario([{ ...review, retries: 0 }]);
    s.send("draft/requested", { id: "d1" });
    s.report(s.lastRequest(), []);
    expect(s.historyOf("runFailed")).toMatchObject([{ error: { name: "NothingToWaitForError" } }]);
  });

  it("says how to declare a wait that nobody foresaw", () => {
    const { s, request } = waitingReview();
    s.report(request, [waitOp(request, "wait", "other/event", "data.id", HOUR)]);
    const [failed] = s.historyOf("runFailed");
    expect(failed?.error.name).toBe("UndeclaredWaitError");
    expect(failed?.error.message).toContain('{ event: "other/event", match: "data.id" }');
  });

  it("waits for time alone where the trigger has no value to match", () => {
    const s = new Scenario([review]);
    s.send("draft/requested", {});
    const request = s.lastRequest();
    s.report(request, [waitOp(request, "wait", "review/done", "data.id", HOUR)]);
    s.send("review/done", {});
    expect(s.historyOf("waitResolved")).toHaveLength(0);
    s.tick(HOUR);
    expect(s.historyOf("waitTimedOut")).toHaveLength(1);
  });
});

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

describe("registration", () => {
  const config = { app: "shop", functions: [review] };
  it("is numbered by inbox 0 and sent to every partition", () => {
    const s = new Scenario([], { partition: 0, partitions: 3 });
    const effects = s.apply({ kind: "register", config });
    expect(effects.filter((e) => e.kind === "AppendInbox").map((e) => e.partition)).toEqual([0, 1, 2]);
    const records = effects.flatMap((e) =>
      e.kind === "AppendInbox" && e.record.kind === "registered" ? [e.record] : [],
    );
    expect(records.map((r) => r.config.version)).toEqual([1, 1, 1]);
    expect(records.map((r) => r.source.index)).toEqual([1, 2, 3]);
  });
  it("is refused elsewhere, and a repeat or an older version changes nothing", () => {
    const other = new Scenario([], { partition: 1, partitions: 3 });
    other.apply({ kind: "register", config });
    const registered = {
      kind: "registered" as const,
      config: { ...config, version: 2, digest: "x" },
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
