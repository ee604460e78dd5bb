/** When the next attempt is made. Deterministic: the jitter comes from the run's id. */
import { murmur2, type Timeout } from "@eddy/schemas";
import { deadlineOf } from "../timer/deadline.js";

export const BACKOFF_FIRST_MS = 5_000;
export const BACKOFF_FACTOR = 2;
export const BACKOFF_MS_MAX = 2 * 3_600_000;
/** Up to this part of the delay is added at random, so that runs that failed together do not come back together. */
export const JITTER_PART = 0.3;
/** Bounds of a `RetryAfterError`, as in Inngest. */
export const RETRY_AFTER_MS_MIN = 1_000;
export const RETRY_AFTER_MS_MAX = 86_400_000;

/**
 * @param failed attempts that have failed, from 1.
 * @param key what makes the jitter differ: run and step id.
 * @returns ms: exponential backoff with jitter, at most BACKOFF_MS_MAX * (1 + JITTER_PART).
 */
export function backoffMs(failed: number, key: string): number {
  const base = Math.min(BACKOFF_FIRST_MS * BACKOFF_FACTOR ** (failed - 1), BACKOFF_MS_MAX);
  const random = (murmur2(`${key}|${failed}`) >>> 0) / 2 ** 32;
  return Math.round(base * (1 + random * JITTER_PART));
}

/** Stream time of the next attempt. */
export function retryAtMs(nowMs: number, failed: number, key: string, retryAfter: Timeout | null): number {
  if (retryAfter === null) return nowMs + backoffMs(failed, key);
  const at = deadlineOf(retryAfter, nowMs);
  return Math.min(Math.max(at, nowMs + RETRY_AFTER_MS_MIN), nowMs + RETRY_AFTER_MS_MAX);
}
