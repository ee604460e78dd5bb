import type { Timeout } from "@eddy/schemas";

/** Until when a cancel rule acts, exclusive; null: as long as its run. No timer hangs on it, so it may be now. */
export function expiryOf(timeout: Timeout | null, nowMs: number): number | null {
  if (timeout === null) return null;
  return "ms" in timeout ? nowMs + timeout.ms : timeout.atMs;
}
