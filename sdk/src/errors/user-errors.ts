/**
 * Errors by which user code and Eddy talk about attempts. They are told apart by a registered symbol and not by
 * `instanceof`, so that two copies of this package in one process understand each other.
 */
import { parseTimeout, type ErrorShape, type Timeout } from "@eddy/schemas";

const KIND = Symbol.for("@eddy/sdk/error-kind");
type Kind = "nonRetriable" | "retryAfter" | "step";

function isKind(thrown: unknown, kind: Kind): boolean {
  return thrown instanceof Error && (thrown as { readonly [KIND]?: unknown })[KIND] === kind;
}

/** Thrown in a step: the step has failed for good. Thrown in a handler: the run has failed. Neither is tried again. */
export class NonRetriableError extends Error {
  override readonly name: string = "NonRetriableError";
  readonly [KIND]: Kind = "nonRetriable";
}

/**
 * Thrown in a step or a handler: try again, but not before then. Overrides the backoff; counts as an attempt.
 * @param retryAfter ms, a duration such as "30s", or a point in time. The engine keeps it between 1 s and 24 h.
 * @throws RangeError where `retryAfter` is none of these.
 */
export class RetryAfterError extends Error {
  override readonly name: string = "RetryAfterError";
  readonly [KIND]: Kind = "retryAfter";
  readonly retryAfter: Timeout;

  constructor(message: string, retryAfter: number | string | Date, options?: ErrorOptions) {
    super(message, options);
    this.retryAfter = parseTimeout(retryAfter);
  }
}

/**
 * What `step.run` rejects with once a step has failed for good. `name`, `message` and `stack` are those of the error
 * that the last attempt threw. Not caught, it fails the run without another attempt.
 */
export class StepError extends Error {
  override readonly name: string;
  readonly [KIND]: Kind = "step";
  readonly stepId: string;

  constructor(stepId: string, cause: ErrorShape) {
    super(cause.message);
    this.name = cause.name;
    this.stepId = stepId;
    this.stack = cause.stack ?? `${cause.name}: ${cause.message}`;
    this.cause = cause;
  }
}

/** What an attempt's error says about the next attempt. */
export interface RetryAdvice {
  readonly retriable: boolean;
  /** Overrides the backoff; null: no wish. */
  readonly retryAfter: Timeout | null;
}

/** For an error that a step's function threw. */
export function adviceOfStep(thrown: unknown): RetryAdvice {
  if (isKind(thrown, "retryAfter")) return { retriable: true, retryAfter: (thrown as RetryAfterError).retryAfter };
  return { retriable: !isKind(thrown, "nonRetriable"), retryAfter: null };
}

/** For an error that a handler threw: a StepError is final, its step had its attempts. */
export function adviceOfHandler(thrown: unknown): RetryAdvice {
  return isKind(thrown, "step") ? { retriable: false, retryAfter: null } : adviceOfStep(thrown);
}
