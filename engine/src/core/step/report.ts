/**
 * A worker reports what an invocation did. Only the run's current invocation is heard: a report of an earlier one is
 * dropped whole, so that a zombie's results never mix with its successor's.
 */
import {
  baseOfRun,
  LIMITS,
  listenRouteOf,
  partitionOf,
  residualOf,
  routeKeyOf,
  type ErrorShape,
  type StepOp,
  type StepReport,
  type Timeout,
} from "@eddy/schemas";
import { engineError, type Draft } from "../draft.js";
import { askForeign, unlisten } from "../foreign/tell.js";
import { givenFor, givenTooLarge } from "../match/condition.js";
import { beginningFor, isMarkAtTrigger, runListener, type LocalWait } from "../match/listeners.js";
import { findKept, overflowOf } from "../match/lookback.js";
import { resolveWait } from "../match/waits.js";
import { declaresSinceTrigger, declaresWait } from "../route/functions.js";
import { learnedWaitOf } from "../route/registration.js";
import { dispatch } from "../run/dispatch.js";
import { endRun, type Ending } from "../run/end.js";
import { listensAt } from "../run/lifecycle.js";
import { catchUpMark } from "../run/mark.js";
import { listenLate } from "../run/start.js";
import { stateTooLarge } from "../run/state-size.js";
import { deadlineOf } from "../timer/deadline.js";
import { runKey } from "../state/keys.js";
import type { Row } from "../state/view.js";
import { retryAtMs } from "./retry.js";

type OpOf<K extends StepOp["kind"]> = Extract<StepOp, { kind: K }>;

export function onReport(draft: Draft, report: StepReport): void {
  const { runId, invocation } = report;
  const run = draft.liveRun(runId);
  if (run === null) return draft.reject("RUN_FINISHED", `run ${runId} does not live here`);
  if (run.invocation.no !== invocation || run.invocation.cause === null) {
    const detail = `report of invocation ${invocation} of run ${runId}, current is ${run.invocation.no}`;
    return draft.reject("STALE_INVOCATION", detail);
  }
  for (const op of report.ops) {
    applyOp(draft, runId, op);
    const after = draft.get(runKey(runId));
    if (after === null) return; // The op made the run fail.
    const error = stateTooLarge(after);
    if (error !== null) return fail(draft, runId, error);
  }
  if (report.outcome !== null) applyOutcome(draft, runId, report.outcome);
}

/**
 * An op for a step that is settled or open already is a repeat and changes nothing; but a result counts, even if the
 * worker made the attempt before its time: the log has it, so the step must not run again.
 */
function applyOp(draft: Draft, runId: string, op: StepOp): void {
  const { memo, pending, withdrawn } = draft.run(runId);
  if (op.kind === "withdrawn") return onWithdrawn(draft, runId, op);
  if (memo.some((entry) => entry.stepId === op.stepId)) return;
  const open = pending.find((item) => item.kind !== "start" && item.stepId === op.stepId);
  if (withdrawn.includes(op.stepId)) draft.emit({ kind: "StepWantedAgain", runId, stepId: op.stepId });
  if (open !== undefined) {
    if (open.kind !== "retry" || op.kind !== "stepCompleted") return;
    draft.emit({ kind: "PendingClosed", runId, no: open.no });
  }
  if (!hasRoomFor(draft.run(runId), op.stepId)) {
    fail(draft, runId, engineError("TooManyStepsError", `a run has at most ${LIMITS.stepsPerRunMax} steps`));
    return;
  }
  switch (op.kind) {
    case "stepCompleted":
      return onStepCompleted(draft, runId, op);
    case "stepFailed":
      return onStepFailed(draft, runId, op);
    case "sleepRequested":
      return onSleepRequested(draft, runId, op);
    case "waitRequested":
      return onWaitRequested(draft, runId, op);
  }
}

/** Steps of a run are those that are settled, open, or failed and tried again: may it have this one too? */
function hasRoomFor({ memo, pending, attempts, withdrawn }: Row<"run">, stepId: string): boolean {
  if (memo.length + pending.length + attempts.length + withdrawn.length < LIMITS.stepsPerRunMax) return true;
  const open = new Set([...attempts.map(([id]) => id), ...withdrawn]);
  for (const item of pending) if (item.kind !== "start") open.add(item.stepId ?? "");
  open.delete("");
  open.delete(stepId);
  return memo.length + open.size < LIMITS.stepsPerRunMax;
}

function onStepCompleted(draft: Draft, runId: string, { stepId, data }: OpOf<"stepCompleted">): void {
  const { functionId, invocation } = draft.run(runId);
  if (data.length > LIMITS.stepResultBytesMax) {
    const message = `step ${stepId} returned ${data.length} bytes, the limit is ${LIMITS.stepResultBytesMax}`;
    return fail(draft, runId, engineError("StepResultTooLargeError", message));
  }
  const entry = { stepId, kind: "run" as const, data, error: null, invocation: invocation.no };
  draft.emit({ kind: "StepSettled", runId, entry });
  const atMs = draft.moment.nowMs;
  draft.effect({ kind: "RecordHistory", entry: { kind: "stepCompleted", runId, functionId, atMs, stepId, data } });
}

function onStepFailed(draft: Draft, runId: string, op: OpOf<"stepFailed">): void {
  const { stepId, error } = op;
  const run = draft.run(runId);
  const failed = (run.attempts.find(([id]) => id === stepId)?.[1] ?? 0) + 1;
  const retryAt = nextAttempt(draft, runId, stepId, failed, op);
  if (retryAt === null) {
    // Exhausted. Settled by the engine (invocation 0), so that the next request tells the worker.
    const entry = { stepId, kind: "run" as const, data: null, error, invocation: 0 };
    draft.emit({ kind: "StepSettled", runId, entry });
  }
  const { functionId } = run;
  const atMs = draft.moment.nowMs;
  const entry = { kind: "stepFailed" as const, runId, functionId, atMs, stepId, error, attempt: failed };
  draft.effect({ kind: "RecordHistory", entry: { ...entry, retryAtMs: retryAt } });
}

interface Failure {
  readonly retriable: boolean;
  readonly retryAfter: Timeout | null;
}

/** Opens a retry. @param stepId "" for the handler. @returns its time, or null if no attempt is left. */
function nextAttempt(draft: Draft, runId: string, stepId: string, failed: number, how: Failure): number | null {
  const run = draft.run(runId);
  if (!how.retriable || failed > run.retries) return null;
  const dueAtMs = retryAtMs(draft.moment.nowMs, failed, `${runId}/${stepId}`, how.retryAfter);
  draft.emit({ kind: "AttemptFailed", runId, stepId, attempts: failed });
  const item = {
    kind: "retry" as const,
    no: run.nextPendingNo,
    dueAtMs,
    stepId: stepId === "" ? null : stepId,
    isDue: false,
  };
  draft.emit({ kind: "PendingOpened", runId, item });
  return dueAtMs;
}

function onSleepRequested(draft: Draft, runId: string, { stepId, until }: OpOf<"sleepRequested">): void {
  const { functionId, nextPendingNo: no } = draft.run(runId);
  const { nowMs } = draft.moment;
  const dueAtMs = deadlineOf(until, nowMs);
  draft.emit({ kind: "PendingOpened", runId, item: { kind: "sleep", no, dueAtMs, stepId } });
  const entry = { kind: "sleepStarted" as const, runId, functionId, atMs: nowMs, stepId, untilMs: dueAtMs };
  draft.effect({ kind: "RecordHistory", entry });
}

function onWaitRequested(draft: Draft, runId: string, op: OpOf<"waitRequested">): void {
  const { stepId, event, value } = op;
  const { nowMs, partition, partitions } = draft.moment;
  const { functionId, nextPendingNo: no } = draft.run(runId);
  const deadlineMs = deadlineOf(op.timeout, nowMs);
  const started = { kind: "waitStarted" as const, runId, functionId, atMs: nowMs, stepId };
  draft.effect({ kind: "RecordHistory", entry: { ...started, eventName: event, untilMs: deadlineMs } });
  const { path } = listenRouteOf(op);
  const from = beginningFor(draft.run(runId), op.since, draft.moment);
  const common = { no, stepId, event, path, if: residualOf(op), fromMs: from.atMs, deadlineMs };
  if (value === null) {
    const item = { kind: "wait" as const, ...common, fromOffset: from.offset, dueAtMs: deadlineMs, routeKey: null };
    return draft.emit({ kind: "PendingOpened", runId, item });
  }
  learnIfNew(draft, runId, op);
  const to = partitionOf(value, partitions);
  if (to === partition) return waitHere(draft, runId, op, common, value);
  if (!mayLookBack(draft, runId, op, null)) return failAsUndeclared(draft, runId, op);
  const tooLarge = givenTooLarge(common.if, givenFor(common.if, draft.run(runId).event.payload));
  if (tooLarge !== null) return fail(draft, runId, tooLarge);
  const item = { kind: "foreignWait" as const, ...common, partition: to, value };
  draft.emit({ kind: "PendingOpened", runId, item });
  askForeign(draft, runId, item);
}

type WaitParts = Pick<LocalWait, "no" | "stepId" | "event" | "path" | "if" | "fromMs" | "deadlineMs">;

function waitHere(draft: Draft, runId: string, op: OpOf<"waitRequested">, common: WaitParts, value: string): void {
  const { event, path, deadlineMs } = common;
  const routeKey = routeKeyOf(event, path, value);
  const isHeard = listensAt(draft.run(runId), routeKey);
  if (!isHeard && !listenLate(draft, draft.run(runId), { event, path, value, routeKey })) return;
  if (!mayLookBack(draft, runId, op, routeKey)) return failAsUndeclared(draft, runId, op);
  const run = draft.run(runId);
  const looking = {
    ...{ event, listener: runListener(run), routeKey, from: beginningFor(draft.run(runId), op.since, draft.moment) },
    ...{ asked: { if: common.if, trigger: run.event.payload }, untilMs: deadlineMs },
  };
  const error = overflowOf(draft, looking);
  if (error !== null) return fail(draft, runId, error);
  const kept = findKept(draft, looking);
  if (kept !== null) {
    const { eventId, payload, offset, atMs } = kept;
    return resolveWait(draft, runId, op.stepId, { eventId, payload, fromLookback: true, to: { offset, atMs } });
  }
  const fromOffset = looking.from.offset;
  const item = { kind: "wait" as const, ...common, fromOffset, dueAtMs: deadlineMs, routeKey };
  draft.emit({ kind: "PendingOpened", runId, item });
}

/** From then on the function has it declared, and senders route by it. */
function learnIfNew(draft: Draft, runId: string, op: OpOf<"waitRequested">): void {
  const run = draft.run(runId);
  const { app, functionId } = run;
  const wait = learnedWaitOf(functionId.slice(app.length + 1), op);
  if (declaresWait(draft.functions(), { app, functionId, event: wait.event, path: wait.path })) return;
  const { settleMs } = draft.partitionRow();
  draft.append(0, (source) => ({
    kind: "learn",
    ...{ app, base: baseOfRun(runId), wait, settleMs, source },
  }));
}

/** Events since the trigger are there only if the function said beforehand that it needs them, or if the mark is still there. */
function mayLookBack(draft: Draft, runId: string, op: OpOf<"waitRequested">, routeKey: string | null): boolean {
  const run = draft.run(runId);
  if (op.since !== "trigger" || isMarkAtTrigger(run)) return true;
  if (routeKey !== null) return run.subscriptions.some((s) => s.routeKey === routeKey && s.fromTrigger);
  const { path } = listenRouteOf(op);
  return declaresSinceTrigger(draft.functions(), { ...run, event: op.event, path });
}

function failAsUndeclared(draft: Draft, runId: string, { event }: OpOf<"waitRequested">): void {
  const message =
    `this run waits for ${event} since its trigger, which its function has not declared; ` +
    `add { event: ${JSON.stringify(event)}, since: "trigger", ... } to its waits option`;
  fail(draft, runId, engineError("UndeclaredWaitError", message));
}

/**
 * It lost a race. If the engine settled it meanwhile, unknown to the handler, that is taken back, so that another wait may
 * have the event.
 */
function onWithdrawn(draft: Draft, runId: string, { stepId }: OpOf<"withdrawn">): void {
  const { pending, memo, invocation, functionId } = draft.run(runId);
  const item = pending.find((open) => open.kind !== "start" && open.stepId === stepId);
  const at = memo.findIndex((entry) => entry.stepId === stepId);
  const entry = memo[at];
  if (item?.kind === "sleep" || item?.kind === "wait" || item?.kind === "foreignWait") {
    draft.emit({ kind: "PendingClosed", runId, no: item.no });
    draft.emit({ kind: "StepWithdrawn", runId, stepId });
    if (item.kind === "foreignWait") unlisten(draft, draft.run(runId), item.partition, item.no);
  } else if (entry !== undefined && at >= invocation.memoSent && entry.invocation === 0 && entry.kind !== "run") {
    draft.emit({ kind: "StepWithdrawn", runId, stepId });
  } else {
    return;
  }
  const atMs = draft.moment.nowMs;
  draft.effect({ kind: "RecordHistory", entry: { kind: "stepWithdrawn", runId, functionId, atMs, stepId } });
}

function applyOutcome(draft: Draft, runId: string, outcome: NonNullable<StepReport["outcome"]>): void {
  draft.emit({ kind: "InvocationEnded", runId });
  switch (outcome.kind) {
    case "returned":
      return onReturned(draft, runId, outcome.data);
    case "threw":
      return onThrew(draft, runId, outcome);
    case "suspended":
      return onSuspended(draft, runId);
    case "yielded":
      return onYielded(draft, runId);
  }
}

function onReturned(draft: Draft, runId: string, data: Uint8Array): void {
  if (data.length <= LIMITS.stepResultBytesMax) return end(draft, runId, { kind: "completed", data });
  const message = `the handler returned ${data.length} bytes, the limit is ${LIMITS.stepResultBytesMax}`;
  fail(draft, runId, engineError("RunResultTooLargeError", message));
}

function onThrew(draft: Draft, runId: string, how: Failure & { readonly error: ErrorShape }): void {
  const run = draft.run(runId);
  const failed = (run.attempts.find(([id]) => id === "")?.[1] ?? 0) + 1;
  const retryAt = nextAttempt(draft, runId, "", failed, how);
  const { functionId } = run;
  const entry = { runId, functionId, atMs: draft.moment.nowMs, error: how.error, attempt: failed };
  draft.effect({ kind: "RecordHistory", entry: { kind: "attemptFailed", ...entry, retryAtMs: retryAt } });
  if (retryAt === null) end(draft, runId, { kind: "failed", error: how.error });
}

/** The handler could go on: it executes still, its mark stays. One that has got nowhere waits, lest it turns in circles. */
function onYielded(draft: Draft, runId: string): void {
  const { memo, invocation } = draft.run(runId);
  if (memo.some((entry) => entry.invocation === invocation.no)) return dispatch(draft, runId, "resume");
  onSuspended(draft, runId);
}

/** The worker waits for the engine: go on at once if something was settled meanwhile that it cannot know. */
function onSuspended(draft: Draft, runId: string): void {
  const { memo, invocation, pending } = draft.run(runId);
  catchUpMark(draft, runId);
  const news = memo.slice(invocation.memoSent).some((entry) => entry.invocation !== invocation.no);
  if (news) return dispatch(draft, runId, "resume");
  if (pending.some((item) => item.kind === "retry" && item.isDue)) return dispatch(draft, runId, "retry");
  if (pending.length > 0) return;
  const message = "the worker suspended this run with nothing to wait for; a handler must not wait for itself";
  onThrew(draft, runId, { error: engineError("NothingToWaitForError", message), retriable: true, retryAfter: null });
}

function fail(draft: Draft, runId: string, error: ErrorShape): void {
  end(draft, runId, { kind: "failed", error });
}

function end(draft: Draft, runId: string, ending: Ending): void {
  endRun(draft, draft.run(runId), ending);
}
