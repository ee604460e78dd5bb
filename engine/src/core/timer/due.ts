/** A timer has come due. What it stands for may have gone meanwhile: then it is stale, which is no error. */
import { SETTLE_POLL_MS, type PendingItem } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import { onGuestDue } from "../foreign/guest.js";
import { settleByTime } from "../match/waits.js";
import { isSettled, onSettleDue } from "../route/settle.js";
import { dispatch, type DispatchReason } from "../run/dispatch.js";
import { isInFlight } from "../run/lifecycle.js";
import { moveMark } from "../run/mark.js";
import type { Timer } from "../state/keys.js";
import { onLeaseDue, onSweepDue } from "../step/lease.js";

export function onTimerDue(draft: Draft, { target, dueAtMs }: Timer): void {
  switch (target.kind) {
    case "pending":
      return onPendingDue(draft, target.runId, target.no);
    case "lease":
      return onLeaseDue(draft, target.runId, dueAtMs);
    case "sweep":
      return onSweepDue(draft, target.app, dueAtMs);
    case "guest":
      return onGuestDue(draft, target.base, target.no);
    case "settle":
      return onSettleDue(draft, target.version);
    case "ids":
      return draft.emit({ kind: "IdsForgotten", key: target.key });
  }
}

const REASONS: Record<Exclude<PendingItem["kind"], "foreignWait">, DispatchReason> = {
  start: "start",
  sleep: "resume",
  wait: "resume",
  retry: "retry",
};

function onPendingDue(draft: Draft, runId: string, no: number): void {
  const item = draft.liveRun(runId)?.pending.find((p) => p.no === no);
  if (item === undefined || item.kind === "foreignWait") {
    return draft.reject("STALE_TIMER", `pending item ${no} of run ${runId}`);
  }
  if (item.kind === "retry" && isInFlight(draft.run(runId))) return draft.emit({ kind: "RetryCameDue", runId, no });
  if (item.kind === "wait" && item.routeKey !== null && !isSettled(draft, item, draft.moment.nowMs)) {
    const dueAtMs = draft.moment.nowMs + SETTLE_POLL_MS;
    return draft.emit({ kind: "PendingPostponed", runId, no, dueAtMs });
  }
  draft.emit({ kind: "PendingClosed", runId, no });
  if (item.kind === "sleep" || item.kind === "wait") settleByTime(draft, runId, item.kind, item.stepId);
  // The record before which the timer fires is still eligible: the mark stays below it.
  const to = { offset: draft.moment.offset - 1, atMs: item.dueAtMs };
  if (item.kind !== "retry") moveMark(draft, runId, item.kind === "start" ? "" : item.stepId, to);
  if (!isInFlight(draft.run(runId))) dispatch(draft, runId, REASONS[item.kind]);
}
