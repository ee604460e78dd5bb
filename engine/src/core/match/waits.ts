/** A wait ends: with an event, or because its time is up. */
import type { Draft } from "../draft.js";

export interface TakenEvent {
  readonly eventId: string;
  readonly offset: number;
  readonly payload: Uint8Array;
}

/**
 * Gives `event` to the wait. The run's mark moves to the event, not to the record that registered the wait, so that it
 * makes no difference whether the event came before or after that record.
 */
export function resolveWait(
  draft: Draft,
  runId: string,
  stepId: string,
  event: TakenEvent,
  fromLookback: boolean,
): void {
  const { functionId } = draft.run(runId);
  const entry = { stepId, kind: "wait" as const, data: event.payload, error: null, invocation: 0 };
  draft.emit({ kind: "StepSettled", runId, entry });
  draft.emit({ kind: "EventTaken", runId, eventId: event.eventId });
  draft.emit({ kind: "MarkMoved", runId, toOffset: event.offset });
  const atMs = draft.moment.nowMs;
  draft.effect({
    kind: "RecordHistory",
    entry: { kind: "waitResolved", runId, functionId, atMs, stepId, eventId: event.eventId, fromLookback },
  });
}
