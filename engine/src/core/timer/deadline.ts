import { LIMITS, type Timeout } from "@eddy/schemas";

/**
 * A point in stream time: at least 1 ms from now, so that no timer is due at the clock that makes it; at most 366 days,
 * whatever a worker asks for.
 */
export function deadlineOf(timeout: Timeout, nowMs: number): number {
  const wanted = Math.ceil("ms" in timeout ? nowMs + timeout.ms : timeout.atMs);
  return Math.min(Math.max(nowMs + 1, wanted), nowMs + LIMITS.timeoutMsMax);
}
