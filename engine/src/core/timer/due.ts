/** A timer has come due. What it stands for may have gone meanwhile: then it is stale, which is no error. */
import type { PendingItem } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import { dispatch, type DispatchReason } from "../run/dispatch.js";
import { isInFlight } from "../run/lifecycle.js";
import { runKey, type Timer } from "../state/keys.js";
import { onLeaseDue, onSweepDue } from "../step/lease.js";

export function onTimerDue(draft: Draft, { target, dueAtMs }: Timer): void {
  switch (target.kind) {
    case "pending":
      return onPendingDue(draft, target.runId, target.no);
    case "lease":
      return onLeaseDue(draft, target.runId, dueAtMs);
    case "sweep":
      return onSweepDue(draft, target.app, dueAtMs);
    case "ids":
      return draft.emit({ kind: "IdsForgotten", key: target.key });
  }
}

const REASONS: Record<PendingItem["kind"], DispatchReason> = {
  start: "start",
  sleep: "resume",
  wait: "resume",
  retry: "retry",
};

function onPendingDue(draft: Draft, runId: string, no: number): void {
  const item = draft.get(runKey(runId))?.pending.find((p) => p.no === no);
  if (item === undefined) return draft.reject("STALE_TIMER", `pending item ${no} of run ${runId}`);
  if (item.kind === "retry" && isInFlight(draft.run(runId))) return draft.emit({ kind: "RetryCameDue", runId, no });
  draft.emit({ kind: "PendingClosed", runId, no });
  if (item.kind === "sleep" || item.kind === "wait") settleByTime(draft, runId, item.kind, item.stepId);
  // The record before which the timer fires is still eligible: the mark stays below it.
  if (item.kind !== "retry") draft.emit({ kind: "MarkMoved", runId, toOffset: draft.moment.offset - 1 });
  if (!isInFlight(draft.run(runId))) dispatch(draft, runId, REASONS[item.kind]);
}

function settleByTime(draft: Draft, runId: string, kind: "sleep" | "wait", stepId: string): void {
  const { functionId } = draft.run(runId);
  draft.emit({ kind: "StepSettled", runId, entry: { stepId, kind, data: null, error: null, invocation: 0 } });
  const base = { runId, functionId, atMs: draft.moment.nowMs, stepId };
  const entry =
    kind === "sleep" ? { kind: "sleepEnded" as const, ...base } : { kind: "waitTimedOut" as const, ...base };
  draft.effect({ kind: "RecordHistory", entry });
}
