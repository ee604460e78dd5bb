/** Results in rows of their own (ADR 0022): where they lie, what is sent of them, and that none is left. */
import { LEASE_MS, LIMITS, type RunRow, type StepOp, type StepRequest } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { sweptAtOnce } from "../../src/core/step/lease.js";
import { review, waitingReview } from "./flows.js";
import { big, Scale } from "./scale.js";
import { completed, done, fn, HOUR, Scenario, waitOp } from "./scenario.js";

const { resultInlineBytesMax, runInlineBytesMax, runStateBytesMax, stepResultBytesMax, eventBytesMax } = LIMITS;
const op = (stepId: string, bytes: number): StepOp => ({ kind: "stepCompleted", stepId, data: big(bytes) });
const sizes = (request: StepRequest): (readonly [string, number])[] =>
  request.memo.map(({ stepId, data }) => [stepId, data?.length ?? 0]);
const results = (s: Scenario): string[] => [...s.world.rows.keys()].filter((key) => key.startsWith("o|"));
/** Of the parts of the last request. */
const parts = (s: Scenario): number => s.effects.findLast((effect) => effect.kind === "RequestStep")?.parts ?? -1;

/** A run with results of these sizes, which sleeps. */
function sleeping(...bytes: readonly number[]): { s: Scenario; request: StepRequest } {
  const { s, request } = waitingReview();
  for (const [i, size] of bytes.entries()) s.report(request, [op(`s${i}`, size)], null);
  s.report(request, [{ kind: "sleepRequested", stepId: "sleep", until: { ms: HOUR } }]);
  return { s, request };
}

describe("where a result lies", () => {
  it("is the run's row up to the bound, and a row of its own above", () => {
    const { s, request } = waitingReview();
    s.report(request, [op("at", resultInlineBytesMax)], null);
    expect(results(s)).toEqual([]);
    s.report(request, [op("above", resultInlineBytesMax + 1)], null);
    const [run] = s.runs as [RunRow];
    expect(results(s)).toEqual([`o|${run.runId.slice(0, -1)}|00000000`]);
    expect(run.memo[1]?.data).toEqual({ no: 0, bytes: resultInlineBytesMax + 1 });
    expect(s.memo().map(({ data }) => data?.length)).toEqual([resultInlineBytesMax, resultInlineBytesMax + 1]);
  });

  it("is a row of its own, whatever its size, once the run's row has much", () => {
    const { s, request } = waitingReview();
    const before = Math.floor(runInlineBytesMax / resultInlineBytesMax) + 1;
    for (let i = 0; i < before; i++) s.report(request, [op(`s${i}`, resultInlineBytesMax)], null);
    expect(results(s)).toEqual([]);
    s.report(request, [completed("small")], null);
    expect(results(s)).toHaveLength(1);
  });

  it("lets a run have a thousand results of 30 KiB in a row that stays small", { timeout: 60_000 }, () => {
    const { s, request } = waitingReview();
    const scale = new Scale(s);
    const ops = Array.from({ length: LIMITS.stepsPerRunMax }, (_, i) => op(`s${i}`, 30 * 1_024));
    for (let i = 0; i < ops.length; i += 100) s.report(request, ops.slice(i, i + 100), null);
    expect(s.runs[0]?.memo).toHaveLength(LIMITS.stepsPerRunMax);
    expect(scale.largest()).toBeLessThan(2 * runInlineBytesMax);
    s.report(request, [], done());
    expect(s.historyOf("runCompleted")).toHaveLength(1);
    expect(s.leftovers()).toEqual([]);
  });

  it("is the same for the event that a wait got", () => {
    const { s, request } = waitingReview();
    s.report(request, [waitOp(request, "w", "review/done", "data.id", HOUR)]);
    s.apply({ ...s.event("review/done", { id: "d1" }), payload: big(eventBytesMax) });
    expect(results(s)).toHaveLength(1);
    expect(sizes(s.lastRequest())).toEqual([["w", eventBytesMax]]);
  });
});

describe("no result row is left", () => {
  it.each<readonly [string, (s: Scenario, request: StepRequest) => void]>([
    ["returned", (s) => s.report(s.lastRequest(), [], done())],
    ["was cancelled", (s, { runId }) => s.apply({ kind: "cancel", runId, reason: "" })],
    [
      "outgrew its bound",
      (s) =>
        s.report(
          s.lastRequest(),
          Array.from({ length: 9 }, (_, i) => op(`b${i}`, 4e6)),
          null,
        ),
    ],
  ])("of a run that %s", (_, end) => {
    const { s, request } = sleeping(100_000, 10, 200_000);
    expect(results(s)).toHaveLength(2);
    s.tick(HOUR);
    end(s, request);
    expect(s.runs).toEqual([]);
    expect(s.leftovers()).toEqual([]);
  });

  it("of a wait that lost a race, and another number follows", () => {
    const { s, request } = waitingReview();
    s.report(request, [waitOp(request, "w", "review/done", "data.id", HOUR)], null);
    s.apply({ ...s.event("review/done", { id: "d1" }), payload: big(100_000) });
    expect(results(s)).toHaveLength(1);
    s.report(request, [{ kind: "withdrawn", stepId: "w" }, op("s", 50_000)], null);
    expect(s.runs[0]?.memo).toMatchObject([{ stepId: "s", data: { no: 1 } }]);
    expect(results(s)).toHaveLength(1);
  });
});

describe("a request", () => {
  it("carries of large data only what its worker lacks", () => {
    const { s } = sleeping(100_000);
    s.tick(HOUR);
    expect(sizes(s.lastRequest())).toEqual([["sleep", 0]]);
  });

  it("carries an event that came while an invocation was out", () => {
    const { s, request } = waitingReview();
    s.report(request, [waitOp(request, "w", "review/done", "data.id", HOUR)], null);
    s.apply({ ...s.event("review/done", { id: "d1" }), payload: big(100_000) });
    s.report(request, [op("own", 100_000)]);
    expect(sizes(s.lastRequest())).toEqual([["w", 100_000]]);
  });

  it("carries it too where the handler has failed meanwhile, and goes on by another wait or by time", () => {
    for (const goOn of [(s: Scenario) => s.tick(HOUR), (s: Scenario) => s.send("review/done", { id: "d1" })]) {
      const { s, request } = waitingReview();
      const wait = (stepId: string): StepOp => waitOp(request, stepId, "review/done", "data.id", 9 * HOUR);
      s.report(request, [wait("w"), wait("v")], null);
      s.apply({ ...s.event("review/done", { id: "d1" }), payload: big(100_000) });
      const error = { name: "Error", message: "no", stack: null };
      s.report(request, [], { kind: "threw", error, retriable: true, retryAfter: null });
      goOn(s);
      expect(sizes(s.lastRequest())[0]).toEqual(["w", 100_000]);
    }
  });

  it("is one record while it fits, and comes after its parts where it does not", () => {
    const { s, request } = sleeping(100_000, stepResultBytesMax, 10, stepResultBytesMax, 60_000);
    s.tick(HOUR);
    s.declined(s.lastRequest());
    expect(parts(s)).toBe(2);
    const all = ["s0", "s1", "s2", "s3", "s4", "sleep"];
    expect(s.lastRequest().memo.map(({ stepId }) => stepId)).toEqual(all);
    expect(s.lastRequest()).toMatchObject({ event: request.event, memoTotal: 6 });
    const { s: small } = sleeping(100_000, stepResultBytesMax);
    small.tick(HOUR);
    small.declined(small.lastRequest());
    expect(parts(small)).toBe(0);
    expect(small.lastRequest().memo).toHaveLength(3);
  });

  it("is known to the run by its own cause, which comes after those of its parts", () => {
    const { s } = sleeping(stepResultBytesMax, stepResultBytesMax);
    s.tick(HOUR);
    const at = s.nextOffset;
    s.declined(s.lastRequest());
    expect(s.runs[0]?.invocation.cause).toEqual({ offset: at, index: 2 });
  });

  it("goes whole when its lease is lost, from a heartbeat or by a sweep", () => {
    for (const isHeard of [true, false]) {
      const { s } = sleeping(100_000, stepResultBytesMax, stepResultBytesMax);
      s.tick(HOUR);
      const { runId, invocation } = s.lastRequest();
      if (isHeard) s.apply({ kind: "heartbeat", app: "shop", running: [{ runId, invocation }] });
      else s.apply({ kind: "delivered", app: "shop", mark: { offset: s.nextOffset, index: 9 } });
      s.tick(LEASE_MS);
      expect(s.historyOf("runDispatched").at(-1)).toMatchObject({ reason: "leaseLost" });
      expect(s.lastRequest().memo).toHaveLength(4);
    }
  });
});

it("a sweep sends as many runs as fit memory, and goes on a moment later", () => {
  const s = new Scenario([fn({ id: "f", triggers: [{ event: "x" }] })]);
  for (let no = 0; no < 5; no++) {
    s.send("x", { no });
    for (let i = 0; i < 7; i++) s.report(s.lastRequest(), [op(`s${i}`, stepResultBytesMax)], null);
  }
  expect(sweptAtOnce(s.runs)).toHaveLength(2);
  expect(sweptAtOnce(s.runs.slice(0, 1))).toHaveLength(1);
  s.apply({ kind: "delivered", app: "shop", mark: { offset: s.nextOffset, index: 9 } });
  const lost = (): number => s.historyOf("runDispatched").filter(({ reason }) => reason === "leaseLost").length;
  s.tick(LEASE_MS);
  expect(lost()).toBe(2);
  s.tick(1);
  s.tick(1);
  expect(lost()).toBe(5);
});

it("a run fails when all it keeps comes to too much, with an error that names the bound", () => {
  const { s, request } = waitingReview();
  for (let i = 0; i < 8; i++) s.report(request, [op(`s${i}`, stepResultBytesMax - 8_192)], null);
  expect(s.runs).toHaveLength(1);
  s.report(request, [op("more", 80_000)], null);
  const [failed] = s.historyOf("runFailed");
  expect(failed?.error).toMatchObject({ name: "RunStateTooLargeError" });
  expect(failed?.error.message).toContain(`the limit is ${runStateBytesMax}`);
  expect(s.leftovers()).toEqual([]);
});

it("the next run of the same base begins its numbers anew", () => {
  const s = new Scenario([review]);
  for (const size of [50_000, 60_000]) {
    s.send("draft/requested", { id: "d1" }, { id: "u1", afterMs: 48 * HOUR });
    s.report(s.lastRequest(), [op("s", size)], null);
    expect(results(s)).toHaveLength(1);
    s.declined(s.lastRequest());
    expect(sizes(s.lastRequest())).toEqual([["s", size]]);
    s.report(s.lastRequest(), [], done());
  }
  expect(new Set(s.historyOf("runStarted").map(({ runId }) => runId)).size).toBe(2);
});
