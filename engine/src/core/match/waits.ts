/** A wait ends: with an event, or because its time is up. */
import type { Mark } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import { moveMark } from "../run/mark.js";

interface Resolved {
  readonly eventId: string;
  readonly payload: Uint8Array;
  readonly fromLookback: boolean;
  /** Where the mark goes. */
  readonly to: Mark;
}

/**
 * Gives `event` to the wait. The run's mark moves to the event, not to the record that registered the wait, so that it
 * makes no difference whether the event came before or after that record.
 */
export function resolveWait(draft: Draft, runId: string, stepId: string, event: Resolved): void {
  const { functionId } = draft.run(runId);
  const { eventId, payload, fromLookback } = event;
  const entry = { stepId, kind: "wait" as const, data: payload, error: null, invocation: 0 };
  draft.emit({ kind: "StepSettled", runId, entry });
  draft.emit({ kind: "EventTaken", runId, stepId, eventId });
  moveMark(draft, runId, stepId, event.to);
  const atMs = draft.moment.nowMs;
  draft.effect({
    kind: "RecordHistory",
    entry: { kind: "waitResolved", runId, functionId, atMs, stepId, eventId, fromLookback },
  });
}

/** A sleep is over, or a wait without an event. */
export function settleByTime(draft: Draft, runId: string, kind: "sleep" | "wait", stepId: string): void {
  const { functionId } = draft.run(runId);
  draft.emit({ kind: "StepSettled", runId, entry: { stepId, kind, data: null, error: null, invocation: 0 } });
  const base = { runId, functionId, atMs: draft.moment.nowMs, stepId };
  const entry =
    kind === "sleep" ? { kind: "sleepEnded" as const, ...base } : { kind: "waitTimedOut" as const, ...base };
  draft.effect({ kind: "RecordHistory", entry });
}
