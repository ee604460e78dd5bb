/**
 * Lookback (G9): while a run executes, events that it may still wait for are kept, from its mark on. Waits that are open
 * take events directly; runs that only sleep need none, because their mark moves when they wake.
 */
import { LIMITS, type InboxRecordOf } from "@eddy/schemas";
import { engineError, type Draft } from "../draft.js";
import { endRun } from "../run/end.js";
import { isExecuting } from "../run/lifecycle.js";
import { keptEventKey, runKey, subscriptionKey } from "../state/keys.js";
import type { Row } from "../state/view.js";
import type { TakenEvent } from "./waits.js";

/** The first kept event that the run may still take at this route key, by the order of the log; null if none. */
export function findKept(draft: Draft, run: Row<"run">, routeKey: string): TakenEvent | null {
  const head = draft.get(subscriptionKey(routeKey, 0));
  const found = head?.kept.find((kept) => isEligible(run, kept));
  if (found === undefined) return null;
  const row = draft.get(keptEventKey(routeKey, found.offset));
  return row === null ? null : { eventId: row.eventId, offset: found.offset, payload: row.payload };
}

export function isEligible(run: Row<"run">, kept: { readonly offset: number; readonly eventId: string }): boolean {
  return kept.offset > run.markOffset && !run.taken.includes(kept.eventId);
}

/** Keeps the event if a run here may still wait for it; drops what no run can wait for any more. */
export function keepForLookback(draft: Draft, event: InboxRecordOf<"event">, routeKey: string): void {
  const needing = (): Row<"run">[] => runsThatMayWait(draft, routeKey);
  let runs = needing();
  if (runs.length === 0) {
    trim(draft, routeKey, Infinity);
    return;
  }
  if (!runs.some((run) => !run.taken.includes(event.id))) return;
  trim(draft, routeKey, oldestMark(runs));
  while (runs.length > 0 && isFull(draft, routeKey, event.payload.length)) {
    const mark = oldestMark(runs);
    for (const run of runs) if (run.markOffset === mark) failOverflow(draft, run, event.name);
    runs = needing();
    trim(draft, routeKey, runs.length === 0 ? Infinity : oldestMark(runs));
  }
  if (runs.length === 0) return;
  const row = { eventId: event.id, atMs: draft.moment.nowMs, payload: event.payload };
  draft.emit({ kind: "EventKept", routeKey, offset: draft.moment.offset, event: row });
}

function runsThatMayWait(draft: Draft, routeKey: string): Row<"run">[] {
  const runs: Row<"run">[] = [];
  for (const { runId, purpose } of draft.listeners(routeKey)) {
    if (purpose !== "wait") continue;
    const run = draft.get(runKey(runId));
    if (run === null || !isExecuting(run)) continue;
    if (run.pending.some((item) => item.kind === "wait" && item.routeKey === routeKey)) continue;
    runs.push(run);
  }
  return runs;
}

function oldestMark(runs: readonly Row<"run">[]): number {
  return runs.reduce((min, run) => Math.min(min, run.markOffset), Infinity);
}

function trim(draft: Draft, routeKey: string, upToOffset: number): void {
  const head = draft.get(subscriptionKey(routeKey, 0));
  if (head?.kept.some((kept) => kept.offset <= upToOffset) === true) {
    draft.emit({ kind: "KeptEventsTrimmed", routeKey, upToOffset });
  }
}

function isFull(draft: Draft, routeKey: string, bytes: number): boolean {
  const kept = draft.get(subscriptionKey(routeKey, 0))?.kept ?? [];
  const size = kept.reduce((sum, event) => sum + event.bytes, bytes);
  return kept.length >= LIMITS.keptEventsMax || size > LIMITS.keptBytesMax;
}

function failOverflow(draft: Draft, run: Row<"run">, eventName: string): void {
  const message =
    `more than ${LIMITS.keptEventsMax} events or ${LIMITS.keptBytesMax} bytes of ${eventName} arrived for this run's ` +
    "key while it was executing; a wait must take them sooner, or use a narrower match";
  endRun(draft, run, { kind: "failed", error: engineError("KeptEventsOverflowError", message) });
}
