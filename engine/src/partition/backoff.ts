import { TransientError } from "@eddy/clients/errors";
import type { Clock } from "@eddy/clients";

const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 5_000;

/** Pause after failed try `attempt` (from 1), in ms. */
export function backoffMs(attempt: number): number {
  return Math.min(BACKOFF_MS_MIN * 2 ** (attempt - 1), BACKOFF_MS_MAX);
}

export interface RetryPolicy {
  readonly clock: Clock;
  /** Aborted: the try under way is the last. */
  readonly signal: AbortSignal;
  readonly triesMax: () => number;
  readonly onRetry?: (error: TransientError, attempt: number) => void;
}

/** Repeats `action` while it throws a TransientError. @throws the last one; anything else at once */
export async function retrying<T>(policy: RetryPolicy, action: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof TransientError) || policy.signal.aborted || attempt >= policy.triesMax()) throw error;
      policy.onRetry?.(error, attempt);
      await policy.clock.sleep(backoffMs(attempt), policy.signal);
      if (policy.signal.aborted) throw error;
    }
  }
}
