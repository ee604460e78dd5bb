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

/**
 * Thrown in a step: the step has failed for good. Thrown in a handler: the run has failed. Neither is tried again.
 * @example
 * ```ts
 * import { NonRetriableError } from "@eddy/sdk";
 *
 * export function emailOf(customer: { email?: string }): string {
 *   if (customer.email === undefined) throw new NonRetriableError("this customer has no address");
 *   return customer.email;
 * }
 * ```
 */
export class NonRetriableError extends Error {
  override readonly name: string = "NonRetriableError";
  /** @internal */
  readonly [KIND]: Kind = "nonRetriable";
}

/**
 * Thrown in a step or a handler: try again, but not before then. Overrides the backoff; counts as an attempt.
 * @param retryAfter ms, a duration such as "30s", or a point in time. The engine keeps it between 1 s and 24 h.
 * @throws RangeError where `retryAfter` is none of these.
 * @example
 * ```ts
 * import { RetryAfterError } from "@eddy/sdk";
 *
 * export async function fetchPrices(): Promise<string> {
 *   const response = await fetch("https://prices.example/today");
 *   if (response.status === 429) throw new RetryAfterError("too many requests", "30s");
 *   return response.text();
 * }
 * ```
 */
export class RetryAfterError extends Error {
  override readonly name: string = "RetryAfterError";
  /** @internal */
  readonly [KIND]: Kind = "retryAfter";
  /** A length in ms, or a point in time. */
  readonly retryAfter: Timeout;

  constructor(message: string, retryAfter: number | string | Date, options?: ErrorOptions) {
    super(message, options);
    this.retryAfter = parseTimeout(retryAfter);
  }
}

/**
 * What `step.run` rejects with once a step has failed for good. `name`, `message` and `stack` are those of the error
 * that the last attempt threw. Not caught, it fails the run without another attempt.
 * @example
 * ```ts
 * import { Eddy, StepError } from "@eddy/sdk";
 *
 * const eddy = new Eddy({ id: "shop" });
 * export default eddy.createFunction({ id: "pay", triggers: [{ event: "order/placed" }] }, async ({ step }) => {
 *   try {
 *     return await step.run("charge", () => Promise.reject(new Error("the card was declined")));
 *   } catch (error) {
 *     if (!(error instanceof StepError)) throw error;
 *     return step.run("tell the customer", () => `step ${error.stepId}: ${error.message}`);
 *   }
 * });
 * ```
 */
export class StepError extends Error {
  override readonly name: string;
  /** @internal */
  readonly [KIND]: Kind = "step";
  /** Which step it was. */
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
