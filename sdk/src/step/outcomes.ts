/** What steps and handlers came to, as it is reported. A result that cannot be written as JSON is a failure for good. */
import { LIMITS, type InvocationOutcome, type StepOp } from "@eddy/schemas";
import { adviceOfHandler, adviceOfStep, NonRetriableError } from "../errors/user-errors.js";
import { errorShape } from "../protocol/error-shape.js";
import { encodeJson } from "../protocol/json.js";
import type { InvocationEnd } from "./invocation.js";

export function isCompleted(op: StepOp): op is Extract<StepOp, { kind: "stepCompleted" }> {
  return op.kind === "stepCompleted";
}

export function stepReturned(stepId: string, result: unknown): StepOp {
  let data: Uint8Array;
  try {
    data = encodeJson(result);
  } catch (cause) {
    const message = `the result of step ${stepId} cannot be written as JSON: ${errorShape(cause).message}`;
    return stepThrew(stepId, new NonRetriableError(message, { cause }));
  }
  if (data.length <= LIMITS.stepResultBytesMax) return { kind: "stepCompleted", stepId, data };
  const message = `step ${stepId} returned ${data.length} bytes, the limit is ${LIMITS.stepResultBytesMax}`;
  return stepThrew(stepId, new NonRetriableError(message));
}

export function stepThrew(stepId: string, thrown: unknown): StepOp {
  return { kind: "stepFailed", stepId, error: errorShape(thrown), ...adviceOfStep(thrown) };
}

export function handlerReturned(value: unknown): InvocationOutcome {
  let data: Uint8Array;
  try {
    data = encodeJson(value);
  } catch (cause) {
    const message = `the handler's result cannot be written as JSON: ${errorShape(cause).message}`;
    return handlerThrew(new NonRetriableError(message, { cause }));
  }
  if (data.length <= LIMITS.stepResultBytesMax) return { kind: "returned", data };
  const message = `the handler returned ${data.length} bytes, the limit is ${LIMITS.stepResultBytesMax}`;
  return handlerThrew(new NonRetriableError(message));
}

export function handlerThrew(error: unknown): InvocationOutcome {
  return { kind: "threw", error: errorShape(error), ...adviceOfHandler(error) };
}

/** What an outcome that the log has means here. */
export function endOf(outcome: InvocationOutcome): InvocationEnd {
  switch (outcome.kind) {
    case "suspended":
    case "yielded":
      return "suspended";
    case "returned":
      return "finished";
    case "threw":
      return outcome.retriable ? "failed" : "finished";
  }
}
