/**
 * An event has reached one of its partitions: cancel the runs that are older than it, resolve waits, keep it for waits
 * that may still come, start new runs; in this order (DESIGN.md section 7).
 */
import type { InboxRecordOf } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import { eventPlanOf } from "../route/event-plan.js";
import { endRun } from "../run/end.js";
import { isInFlight } from "../run/lifecycle.js";
import { startRun } from "../run/start.js";
import { stateTooLarge } from "../run/state-size.js";
import { dispatch } from "../run/dispatch.js";
import { idIndexKey, runKey } from "../state/keys.js";
import type { Row } from "../state/view.js";
import { keepForLookback } from "./lookback.js";
import { resolveWait } from "./waits.js";

type EventRecord = InboxRecordOf<"event">;

export function onEvent(draft: Draft, event: EventRecord): void {
  const { routeKeys, idKeys, candidates } = eventPlanOf(event, draft.functions(), draft.moment);
  if (idKeys.some((idKey) => draft.hasIndex(idIndexKey(idKey)))) {
    draft.reject("DUPLICATE_EVENT", `event ${event.id} was seen here before`);
    return;
  }
  draft.emit({ kind: "EventRemembered", idClass: event.idFrom, idKeys, nowMs: draft.moment.nowMs });
  for (const routeKey of routeKeys) cancelRuns(draft, event, routeKey);
  for (const routeKey of routeKeys) resolveWaits(draft, event, routeKey);
  for (const routeKey of routeKeys) keepForLookback(draft, event, routeKey);
  for (const candidate of candidates) {
    if (draft.get(runKey(candidate.runId)) === null) startRun(draft, candidate, event);
    else draft.reject("DUPLICATE_RUN", `run ${candidate.runId} lives already`);
  }
}

function cancelRuns(draft: Draft, event: EventRecord, routeKey: string): void {
  for (const { runId, purpose } of draft.listeners(routeKey)) {
    if (purpose !== "cancel") continue;
    const run = draft.get(runKey(runId));
    if (run === null || isTrigger(run, event)) continue; // Cancelled by another key of this event; its own trigger.
    const rule = run.subscriptions.find((s) => s.purpose === "cancel" && s.routeKey === routeKey);
    if (rule === undefined || (rule.expiresAtMs !== null && draft.moment.nowMs >= rule.expiresAtMs)) continue;
    endRun(draft, run, { kind: "cancelled", eventId: event.id, reason: `event ${event.name}` });
  }
}

/** Ids are the senders': two events of different names may have the same. */
function isTrigger(run: Row<"run">, event: EventRecord): boolean {
  return run.event.id === event.id && run.event.name === event.name;
}

function resolveWaits(draft: Draft, event: EventRecord, routeKey: string): void {
  for (const { runId, purpose } of draft.listeners(routeKey)) {
    if (purpose !== "wait") continue;
    const run = draft.get(runKey(runId));
    if (run === null || run.taken.includes(event.id)) continue; // Ended, or served, by another key of this event.
    const wait = run.pending.find((item) => item.kind === "wait" && item.routeKey === routeKey);
    if (wait?.kind !== "wait") continue;
    draft.emit({ kind: "PendingClosed", runId, no: wait.no });
    const taken = { eventId: event.id, offset: draft.moment.offset, payload: event.payload };
    resolveWait(draft, runId, wait.stepId, taken, false);
    const error = stateTooLarge(draft.run(runId));
    if (error !== null) {
      endRun(draft, draft.run(runId), { kind: "failed", error });
      continue;
    }
    if (!isInFlight(draft.run(runId))) dispatch(draft, runId, "resume");
  }
}
