/**
 * The mark of a run: events before it are not for its next wait. It moves to the end of each sleep and wait; but while
 * the run executes it stays, because a step that runs now may have caused an event that its own branch will wait for.
 */
import type { Mark } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import { isExecuting } from "./lifecycle.js";

export function moveMark(draft: Draft, runId: string, to: Mark): void {
  draft.emit({ kind: isExecuting(draft.run(runId)) ? "MarkPostponed" : "MarkMoved", runId, to });
}

/** The invocation has ended: what was postponed is due, unless a step is to be tried again. */
export function catchUpMark(draft: Draft, runId: string): void {
  const run = draft.run(runId);
  if (run.laterMark !== null && !isExecuting(run)) draft.emit({ kind: "MarkMoved", runId, to: run.laterMark });
}
