/** Repeating what a broker may yet do, for a bounded time. */
import { TransientError } from "../errors/codes.js";
import type { Clock } from "../ports/clock.js";
import { portError, verdictOf } from "./kafka-errors.js";
import type { Failing, Verdict } from "./kafka-errors.js";

export interface Persistence extends Failing {
  readonly clock: Clock;
  /** No try begins later than this long after the first, in ms. */
  readonly patienceMs: number;
  /** Pause before the second try, in ms; it doubles up to `PAUSE_MS_MAX`. */
  readonly pauseMsMin?: number;
  /** Aborted: the try under way is the last. */
  readonly signal: AbortSignal;
  /** Called before each further try, to look up what may have changed. Its own failures count as tries that failed. */
  readonly refresh?: (verdict: Verdict) => Promise<void>;
}

/** Short: after a commit the next transaction meets CONCURRENT_TRANSACTIONS for some milliseconds (KAFKA.md, 3). */
const PAUSE_MS_MIN = 5;
const PAUSE_MS_MAX = 500;
const REPEATED: ReadonlySet<Verdict> = new Set(["retry", "leader", "coordinator"]);

/**
 * @param action gets the number of the try, from 1.
 * @throws what the port promises; TransientError when patience is at its end, or `signal` aborted.
 */
export async function persist<T>(policy: Persistence, action: (attempt: number) => Promise<T>): Promise<T> {
  const { clock, patienceMs, signal, refresh } = policy;
  const giveUpAtMs = clock.nowMs() + patienceMs;
  let pauseMs = policy.pauseMsMin ?? PAUSE_MS_MIN;
  let stale: Verdict | null = null;
  for (let attempt = 1; ; attempt += 1) {
    try {
      if (stale !== null && refresh !== undefined) await refresh(stale);
      return await action(attempt);
    } catch (error) {
      const repeats = error instanceof TransientError ? "leader" : verdictOf(error);
      if (!REPEATED.has(repeats)) throw portError(error, policy);
      stale = repeats;
      if (signal.aborted || clock.nowMs() + pauseMs > giveUpAtMs) throw portError(error, policy);
      await clock.sleep(pauseMs, signal);
      if (signal.aborted) throw portError(error, policy);
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
    }
  }
}
