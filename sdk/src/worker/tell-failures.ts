/** Says on the app's own console what failed: a run that backs off looks like one that hangs otherwise. */
import type { ErrorShape, InvocationOutcome, StepOp, StepRequest } from "@eddy/schemas";
import type { Logger } from "../define/logger.js";

/** So many of the steps that a handler left are named in a line. */
const STEPS_NAMED_MAX = 10;

/** One line for each failed attempt of a report. `error` where no attempt is left, else `warn`. */
export function tellFailures(
  logger: Logger,
  request: StepRequest,
  ops: readonly StepOp[],
  outcome: InvocationOutcome | null,
): void {
  const { functionId, runId, attempt, maxAttempts, stepAttempts } = request;
  const tell = (what: string, error: ErrorShape, failedBefore: number, retriable: boolean): void => {
    const tries = failedBefore + 1;
    const isLast = !retriable || tries >= maxAttempts;
    const then = isLast ? "no attempt is left" : `attempt ${tries} of ${maxAttempts}, the next follows`;
    const message = `${functionId}: ${what} failed (${then}): ${error.name}: ${error.message}`;
    if (isLast) logger.error({ runId, stack: error.stack }, message);
    else logger.warn({ runId }, message);
  };
  for (const op of ops) {
    if (op.kind !== "stepFailed") continue;
    const before = stepAttempts.find(([stepId]) => stepId === op.stepId)?.[1] ?? 0;
    tell(`step ${JSON.stringify(op.stepId)}`, op.error, before, op.retriable);
  }
  if (outcome?.kind === "threw") tell("the handler", outcome.error, attempt, outcome.retriable);
}

/** One line for a run that returned although its record has steps that the handler did not come to. */
export function tellStepsLeft(logger: Logger, { functionId, runId }: StepRequest, steps: readonly string[]): void {
  const names = steps.slice(0, STEPS_NAMED_MAX).map((id) => JSON.stringify(id));
  if (steps.length > STEPS_NAMED_MAX) names.push(`${steps.length - STEPS_NAMED_MAX} more`);
  const message = `${functionId}: the handler returned without steps that are recorded or pending: ${names.join(", ")}`;
  logger.warn({ runId }, `${message}; its code has changed since the run began`);
}
