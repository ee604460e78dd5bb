/** Reports, leases, retries. */
import { LEASE_MS, LIMITS } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { review, waitingReview } from "./flows.js";
import { completed, done, failedOp, HOUR, parsed, Scenario, waitOp } from "./scenario.js";

describe("steps", () => {
  it("drops the whole report of a superseded invocation (G5)", () => {
    const { s, request } = waitingReview();
    s.apply({ kind: "delivered", app: "shop", mark: { offset: s.nextOffset - 1, index: 1_000 } });
    s.tick(LEASE_MS);
    expect(s.lastRequest().invocation).toBe(2);
    s.report(request, [completed("request")], null);
    expect(s.rejections).toEqual(["STALE_INVOCATION"]);
    expect(s.runs[0]?.memo).toHaveLength(0);
  });

  it("keeps a lease alive by heartbeats, in raw time, whatever the clock is advanced by", () => {
    const { s, request } = waitingReview();
    s.apply({ kind: "delivered", app: "shop", mark: { offset: s.nextOffset - 1, index: 1_000 } });
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

  it("tells a worker only what it does not have, once that is worth it", () => {
    const { s, request } = waitingReview();
    const large = "x".repeat(LIMITS.wholeRequestBytesMax);
    s.report(request, [completed("a", large), { kind: "sleepRequested", stepId: "nap", until: { ms: HOUR } }]);
    s.tick(HOUR);
    expect(s.lastRequest()).toMatchObject({ memoTotal: 2, memo: [{ stepId: "nap" }], event: null });
    s.declined(s.lastRequest());
    expect(s.lastRequest()).toMatchObject({ invocation: 3, memoTotal: 2, memo: [{ stepId: "a" }, { stepId: "nap" }] });
    expect(s.lastRequest().event).not.toBeNull();
    expect(s.historyOf("runDispatched").at(-1)?.reason).toBe("declined");
  });

  it("sends a small run whole, so that nobody has to ask", () => {
    const { s, request } = waitingReview();
    s.report(request, [completed("a"), { kind: "sleepRequested", stepId: "nap", until: { ms: HOUR } }]);
    s.tick(HOUR);
    expect(s.lastRequest()).toMatchObject({ memoTotal: 2, memo: [{ stepId: "a" }, { stepId: "nap" }] });
    expect(s.lastRequest().event).not.toBeNull();
  });

  it("hears a decline of the current invocation alone", () => {
    const { s, request } = waitingReview();
    s.report(request, [completed("a"), { kind: "sleepRequested", stepId: "nap", until: { ms: HOUR } }]);
    const sent = s.requests.length;
    s.declined(request);
    s.tick(HOUR);
    s.declined(request);
    expect(s.requests).toHaveLength(sent + 1);
    expect(s.rejections.filter((code) => code === "STALE_INVOCATION")).toHaveLength(2);
  });

  it("ignores an op that it has already", () => {
    const { s, request } = waitingReview();
    s.report(request, [completed("a", 1)], null);
    s.report(request, [completed("a", 2), completed("b")], null);
    expect(s.memo().map((m) => [m.stepId, parsed(m.data)])).toEqual([
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

  it("says how to declare a wait since the trigger that comes after another wait", () => {
    const { s, request } = waitingReview();
    s.report(request, [{ kind: "sleepRequested", stepId: "nap", until: { ms: HOUR } }]);
    s.tick(HOUR);
    const since = { match: "data.id", since: "trigger" } as const;
    s.report(s.lastRequest(), [waitOp(request, "wait", "review/done", since, HOUR)]);
    const [failed] = s.historyOf("runFailed");
    expect(failed?.error.name).toBe("UndeclaredWaitError");
    expect(failed?.error.message).toContain('{ event: "review/done", since: "trigger", ... }');
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
