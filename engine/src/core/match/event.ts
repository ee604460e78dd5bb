/**
 * An event has reached one of its partitions: cancel the runs that are older than it, resolve waits, keep it for waits
 * that may still come, start new runs; in this order (DESIGN.md section 7).
 */
import { anchorPathOf, anchorValueOf, partitionOf, runIdOf, functionIdOf, type InboxRecordOf } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import { idKeysOf, keysHere, type KeyHere } from "../route/keys-here.js";
import { triggeredBy } from "../route/triggers.js";
import { endRun } from "../run/end.js";
import { isInFlight } from "../run/lifecycle.js";
import { startRun } from "../run/start.js";
import { dispatch } from "../run/dispatch.js";
import { idIndexKey, runKey } from "../state/keys.js";
import { keepForLookback } from "./lookback.js";
import { resolveWait } from "./waits.js";

type EventRecord = InboxRecordOf<"event">;

export function onEvent(draft: Draft, event: EventRecord): void {
  const { moment } = draft;
  const keys = keysHere(event.name, event.values, moment);
  const idKeys = idKeysOf(event, keys);
  if (idKeys.some((idKey) => draft.hasIndex(idIndexKey(idKey)))) {
    draft.reject("DUPLICATE_EVENT", `event ${event.id} was seen here before`);
    return;
  }
  draft.emit({ kind: "EventRemembered", idClass: event.idFrom, idKeys, nowMs: moment.nowMs });
  for (const key of keys) cancelRuns(draft, event, key);
  for (const key of keys) resolveWaits(draft, event, key);
  for (const key of keys) keepForLookback(draft, event, key.routeKey);
  startRuns(draft, event);
}

function cancelRuns(draft: Draft, event: EventRecord, { routeKey }: KeyHere): void {
  for (const { runId, purpose } of draft.listeners(routeKey)) {
    if (purpose !== "cancel") continue;
    const run = draft.get(runKey(runId));
    if (run === null || run.event.id === event.id) continue; // Cancelled by another key of this event; its own trigger.
    const rule = run.subscriptions.find((s) => s.purpose === "cancel" && s.routeKey === routeKey);
    if (rule === undefined || (rule.expiresAtMs !== null && draft.moment.nowMs >= rule.expiresAtMs)) continue;
    endRun(draft, run, { kind: "cancelled", eventId: event.id, reason: `event ${event.name}` });
  }
}

function resolveWaits(draft: Draft, event: EventRecord, { routeKey }: KeyHere): void {
  for (const { runId, purpose } of draft.listeners(routeKey)) {
    if (purpose !== "wait") continue;
    const run = draft.run(runId);
    if (run.taken.includes(event.id)) continue;
    const wait = run.pending.find((item) => item.kind === "wait" && item.routeKey === routeKey);
    if (wait?.kind !== "wait") continue;
    draft.emit({ kind: "PendingClosed", runId, no: wait.no });
    const taken = { eventId: event.id, offset: draft.moment.offset, payload: event.payload };
    resolveWait(draft, runId, wait.stepId, taken, false);
    if (!isInFlight(draft.run(runId))) dispatch(draft, runId, "resume");
  }
}

function startRuns(draft: Draft, event: EventRecord): void {
  const { partition, partitions } = draft.moment;
  for (const { app, fn } of triggeredBy(draft.functions(), event.name)) {
    const anchor = anchorValueOf(event.values, anchorPathOf(fn));
    if (partitionOf(anchor, partitions) !== partition) continue;
    const runId = runIdOf(functionIdOf(app, fn.id), event.id, anchor);
    if (draft.get(runKey(runId)) !== null) draft.reject("DUPLICATE_RUN", `run ${runId} lives already`);
    else startRun(draft, { runId, app, fn, anchor, event });
  }
}
