/**
 * Port: real time, for pacing alone (when to tick, when to checkpoint). No deadline is ever decided by it: deadlines are
 * decided by the append times of records.
 */
export interface Clock {
  /** ms since 1970. */
  nowMs(): number;
  /** Resolves after `ms`, or early when `signal` aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
