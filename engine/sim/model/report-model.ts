/** What a worker's report must do to its run: the model's reading of DESIGN.md section 8. */
import type { InvocationOutcome, StepOp, StepReport, Timeout } from "@eddy/schemas";
import { engineError, type PartitionModel } from "./partition-model.js";
import type { ModelRun } from "./run.js";
import { requestWait, withdraw } from "./wait-model.js";

/** Backoff as documented: 5 s doubled with each failure up to 2 h, and up to 30 % more. */
const BACKOFF = { firstMs: 5_000, maxMs: 7_200_000, jitter: 0.3 } as const;
const RETRY_AFTER = { minMs: 1_000, maxMs: 86_400_000 } as const;

export function applyReport(model: PartitionModel, report: StepReport): void {
  const run = model.runs.get(report.runId);
  if (run === undefined || !run.inFlight || run.invocation !== report.invocation) return;
  for (const op of report.ops) {
    applyOp(model, run, op);
    if (model.runs.get(run.runId) !== run) return; // the op made it fail
  }
  if (report.outcome !== null) applyOutcome(model, run, report.outcome);
}

function applyOp(model: PartitionModel, run: ModelRun, op: StepOp): void {
  const { stepId } = op;
  if (op.kind === "withdrawn") return withdraw(model, run, stepId);
  if (run.memo.has(stepId)) return;
  const open = run.pending.find((p) => p.kind !== "start" && p.stepId === stepId);
  if (open !== undefined && !(open.kind === "retry" && op.kind === "stepCompleted")) return;
  switch (op.kind) {
    case "stepCompleted":
      run.pending = run.pending.filter((p) => p !== open); // the attempt came before its time, but it counts
      model.remember(run, { stepId, kind: "run", data: op.data, error: null, invocation: run.invocation });
      return model.record(run, { kind: "stepCompleted", stepId, data: op.data });
    case "stepFailed": {
      const attempt = (run.attempts.get(stepId) ?? 0) + 1;
      const retryAtMs = retry(model, run, stepId, attempt, op);
      if (retryAtMs === null) model.remember(run, { stepId, kind: "run", data: null, error: op.error, invocation: 0 });
      return model.record(run, { kind: "stepFailed", stepId, error: op.error, attempt, retryAtMs });
    }
    case "sleepRequested": {
      run.withdrawn.delete(stepId);
      const dueAtMs = dueAt(op.until, model.nowMs);
      run.pending.push({ kind: "sleep", no: run.pendingNo++, dueAtMs, stepId });
      return model.record(run, { kind: "sleepStarted", stepId, untilMs: dueAtMs });
    }
    case "waitRequested":
      run.withdrawn.delete(stepId);
      return requestWait(model, run, op, dueAt(op.timeout, model.nowMs));
  }
}

function applyOutcome(model: PartitionModel, run: ModelRun, outcome: InvocationOutcome): void {
  run.inFlight = false;
  run.cause = null;
  switch (outcome.kind) {
    case "returned":
      return model.end(run, { kind: "runCompleted", data: outcome.data });
    case "threw":
      return fail(model, run, outcome);
    case "yielded":
      // It goes on, so its mark stays; unless it has got nowhere: then it waits like any other.
      if ([...run.memo.values()].some(({ invocation }) => invocation === run.invocation)) {
        return model.dispatch(run, "resume");
      }
      return suspend(model, run);
    case "suspended":
      return suspend(model, run);
  }
}

function suspend(model: PartitionModel, run: ModelRun): void {
  model.catchUpMark(run);
  if (model.newsOf(run).length > 0) return model.dispatch(run, "resume");
  if (run.pending.some((p) => p.kind === "retry" && p.isDue)) return model.dispatch(run, "retry");
  if (run.pending.length > 0) return;
  const error = engineError("NothingToWaitForError");
  fail(model, run, { error, retriable: true, retryAfter: null });
}

type Failure = Pick<Extract<InvocationOutcome, { kind: "threw" }>, "error" | "retriable" | "retryAfter">;

/** The handler itself failed. */
function fail(model: PartitionModel, run: ModelRun, how: Failure): void {
  const attempt = (run.attempts.get("") ?? 0) + 1;
  const retryAtMs = retry(model, run, "", attempt, how);
  model.record(run, { kind: "attemptFailed", error: how.error, attempt, retryAtMs });
  if (retryAtMs === null) model.end(run, { kind: "runFailed", error: how.error });
}

/** @returns when the next attempt is due; null if none is left. */
function retry(
  model: PartitionModel,
  run: ModelRun,
  stepId: string,
  failed: number,
  { retriable, retryAfter }: Pick<Failure, "retriable" | "retryAfter">,
): number | null {
  if (!retriable || failed > run.fn.retries) return null;
  const { nowMs, offset } = model;
  let dueAtMs: number;
  if (retryAfter !== null) {
    const asked = dueAt(retryAfter, nowMs) - nowMs;
    dueAtMs = nowMs + Math.min(Math.max(asked, RETRY_AFTER.minMs), RETRY_AFTER.maxMs);
  } else {
    const base = Math.min(BACKOFF.firstMs * 2 ** (failed - 1), BACKOFF.maxMs);
    const least = nowMs + base;
    const most = Math.ceil(nowMs + base * (1 + BACKOFF.jitter));
    const real = model.oracle.retryAtMs(run.runId, offset, stepId);
    dueAtMs = real ?? least;
    if (dueAtMs < least || dueAtMs > most) {
      const text = `retry ${failed} of "${stepId}" at ${dueAtMs}, expected ${least} to ${most}`;
      model.verdict.add("retries", text, { partition: model.where.partition, offset, runId: run.runId });
    }
  }
  run.attempts.set(stepId, failed);
  run.pending.push({ kind: "retry", no: run.pendingNo++, dueAtMs, stepId, isDue: false });
  return dueAtMs;
}

/** At least one millisecond from now. */
function dueAt(timeout: Timeout, nowMs: number): number {
  return Math.max(nowMs + 1, Math.ceil("ms" in timeout ? nowMs + timeout.ms : timeout.atMs));
}
