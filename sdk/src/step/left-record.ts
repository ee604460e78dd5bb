/** What a handler is told that has left its record: both steps, and what to do. */
import type { MemoEntry } from "@eddy/schemas";
import { NonDeterminismError } from "../errors/eddy-error.js";

const WHY =
  "the function's code has changed, or its path depends on something that is not recorded (time, randomness, other " +
  "state); restore the former code, or put what varies into step.run";

/** Another step is recorded than the one that the handler asks for now. */
export function askedForAnother(asked: string, recorded: string): NonDeterminismError {
  const message =
    `the handler asks for step ${JSON.stringify(asked)}, but step ${JSON.stringify(recorded)} is recorded ` +
    `and was not asked for: ${WHY}`;
  return new NonDeterminismError(asked, recorded, message);
}

export function askedAsAnotherKind(
  stepId: string,
  asked: MemoEntry["kind"],
  recorded: MemoEntry["kind"],
): NonDeterminismError {
  const what = `the handler asks for step ${JSON.stringify(stepId)} as a ${asked}`;
  const message = `${what}, but it is recorded as a ${recorded}: ${WHY}`;
  return new NonDeterminismError(stepId, stepId, message);
}
