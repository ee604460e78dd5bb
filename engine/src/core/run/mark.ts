/**
 * The mark of a run: events before it are not for its next wait. It moves to the end of each sleep and wait; but while
 * the run executes it stays, because a step that runs now may have caused an event that its own branch will wait for.
 */
import type { Mark } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import { later } from "../state/run-appliers.js";
import { isExecuting } from "./lifecycle.js";

/** @param stepId the sleep or wait that has ended; "" where a delayed run starts. */
export function moveMark(draft: Draft, runId: string, stepId: string, to: Mark): void {
  if (isExecuting(draft.run(runId))) draft.emit({ kind: "MarkPostponed", runId, stepId, to });
  else draft.emit({ kind: "MarkMoved", runId, to });
}

/** The invocation has ended: what was postponed is due, unless a step is to be tried again. */
export function catchUpMark(draft: Draft, runId: string): void {
  const run = draft.run(runId);
  if (run.laterMarks.length === 0 || isExecuting(run)) return;
  draft.emit({ kind: "MarkMoved", runId, to: run.laterMarks.map(({ to }) => to).reduce(later) });
}
