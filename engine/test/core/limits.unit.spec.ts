/** What a worker, a deploy or a sender may do to a partition, and what it answers (G8). */
import { LIMITS, type StepReport } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import type { Row } from "../../src/core/index.js";
import { cart, review, waitingCart, waitingReview } from "./flows.js";
import { completed, done, fn, HOUR, Scenario, waitOp } from "./scenario.js";

const big = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(0x20);

describe("the state of a run", () => {
  it("fails the run when its results outgrow the bound, instead of the partition", () => {
    const { s, request } = waitingReview();
    const op = (n: number) => ({
      kind: "stepCompleted" as const,
      stepId: `s${n}`,
      data: big(LIMITS.stepResultBytesMax),
    });
    const most = Math.floor(LIMITS.runStateBytesMax / LIMITS.stepResultBytesMax) - 1;
    for (let n = 0; n < most; n++) s.report(request, [op(n)], null);
    expect(s.runs).toHaveLength(1);
    s.report(request, [op(most), op(most + 1)], null);
    expect(s.historyOf("runFailed")).toMatchObject([{ error: { name: "RunStateTooLargeError" } }]);
    expect([...s.world.rows.keys()].filter((key) => /^[rso]\|/.test(key))).toEqual([]);
  });

  it("counts the events that waits took", () => {
    const { s, request } = waitingReview();
    const payload = big(LIMITS.eventBytesMax);
    for (let n = 0; n <= LIMITS.runStateBytesMax / LIMITS.eventBytesMax && s.runs.length > 0; n++) {
      s.report(n === 0 ? request : s.lastRequest(), [waitOp(request, `w${n}`, "review/done", "data.id", HOUR)]);
      s.apply({ ...s.event("review/done", { id: "d1" }), payload });
    }
    expect(s.historyOf("runFailed")).toMatchObject([{ error: { name: "RunStateTooLargeError" } }]);
  });
});

it("bounds deadlines to 366 days, whatever a worker asks for", () => {
  const { s, request } = waitingReview();
  s.report(request, [{ kind: "sleepRequested", stepId: "z", until: { atMs: 1e300 } }]);
  expect(s.historyOf("sleepStarted")).toMatchObject([{ untilMs: s.nowMs + LIMITS.timeoutMsMax }]);
  s.tick(LIMITS.timeoutMsMax);
  expect(s.historyOf("sleepEnded")).toHaveLength(1);
});

it("takes an event of another name with the trigger's id for another event", () => {
  const rules = [{ event: "order/cancelled", match: "data.cart", if: null, timeout: null }];
  const s = new Scenario([{ ...cart, cancelOn: rules }]);
  s.send("cart/added", { cart: "c1" }, { id: "order-1" });
  s.send("order/cancelled", { cart: "c1" }, { id: "order-1" });
  expect(s.historyOf("runCancelled")).toHaveLength(1);
});

it("takes what its own inbox still holds for a wait that only another function has declared", () => {
  const other = fn({ id: "other", triggers: [{ event: "x" }], waits: [{ event: "answer", match: "data.id" }] });
  const s = new Scenario([review, other]);
  s.send("draft/requested", { id: "d1" });
  const eventId = s.send("answer", { id: "d1" });
  expect(
    [...s.world.rows.keys()].filter((key) => key.startsWith("e|")),
    "nothing was kept for it",
  ).toEqual([]);
  s.report(s.lastRequest(), [waitOp({ data: { id: "d1" } }, "w", "answer", "data.id", HOUR)]);
  expect(s.historyOf("waitResolved")).toMatchObject([{ eventId, fromLookback: true }]);
});

describe("a registration", () => {
  it("goes on to route what runs of the former one listen to (G1, G3)", () => {
    const { s } = waitingCart();
    s.apply({ kind: "register", config: { app: "shop", functions: [review] }, settleMs: 0 });
    expect((s.world.get("f" as never) as Row<"functions">).apps[0]?.functions).toEqual([review]);
    s.send("cart/purchased", { cart: "c1" });
    expect(s.historyOf("waitResolved")).toHaveLength(1);
    s.report(s.lastRequest(), [completed("a")], done());
    expect(s.historyOf("runCompleted")).toHaveLength(1);
  });

  it("is refused when all apps together would outgrow the bound, and changes nothing", () => {
    const s = new Scenario([]);
    const fat = fn({
      id: "fat",
      waits: Array.from({ length: 50 }, (_, i) => ({ event: "e".repeat(256), match: `data.${"p".repeat(240)}${i}` })),
    });
    const functions = Array.from({ length: 35 }, (_, i) => ({ ...fat, id: `fat${i}` }));
    for (let app = 0; app < 20 && s.rejections.length === 0; app++) {
      s.apply({ kind: "register", config: { app: `app${app}`, functions }, settleMs: 0 });
    }
    expect(s.rejections).toEqual(["REGISTRY_FULL"]);
  });
});

it("never hears a report that names no run of this partition", () => {
  const { s } = waitingCart();
  const rows = s.rowBytes();
  const report: StepReport = { runId: `fff${"0".repeat(26)}`, invocation: 1, ops: [], outcome: done() };
  s.apply({ kind: "report", report });
  expect(s.rejections).toEqual(["RUN_FINISHED"]);
  expect(s.rowBytes()).toEqual(rows);
});
