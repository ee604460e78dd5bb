import type { Timeout } from "@eddy/schemas";

/** A point in stream time, at least 1 ms from now, so that no timer is due at the clock that makes it. */
export function deadlineOf(timeout: Timeout, nowMs: number): number {
  return Math.max(nowMs + 1, Math.ceil("ms" in timeout ? nowMs + timeout.ms : timeout.atMs));
}
