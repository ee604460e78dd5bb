import type { Clock } from "@eddy/clients";

interface Sleeper {
  readonly dueAtMs: number;
  wake(): void;
}

/** A clock that stands still until it is moved: for tests and for the simulator. */
export class ManualClock implements Clock {
  #nowMs: number;
  /** In the order of (due, start of the sleep): equal ones wake in the order in which they went to sleep. */
  readonly #sleepers: Sleeper[] = [];

  /** @param startMs ms since 1970. */
  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  /** When the next sleeper is due in ms since 1970; null when nobody sleeps. */
  get nextDueAtMs(): number | null {
    return this.#sleepers[0]?.dueAtMs ?? null;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms <= 0 || signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper: Sleeper = {
        dueAtMs: this.#nowMs + ms,
        wake: () => {
          signal?.removeEventListener("abort", abort);
          resolve();
        },
      };
      const abort = (): void => {
        this.#sleepers.splice(this.#sleepers.indexOf(sleeper), 1);
        sleeper.wake();
      };
      signal?.addEventListener("abort", abort, { once: true });
      const later = this.#sleepers.findIndex((other) => other.dueAtMs > sleeper.dueAtMs);
      this.#sleepers.splice(later < 0 ? this.#sleepers.length : later, 0, sleeper);
    });
  }

  /** Moves time by `ms`, which may be negative as a stepped wall clock may be, and wakes who is due. */
  advance(ms: number): void {
    this.set(this.#nowMs + ms);
  }

  /** Moves time to `nowMs`. All sleepers that are due wake, in the order of their times; they all see `nowMs`. */
  set(nowMs: number): void {
    this.#nowMs = nowMs;
    for (let first = this.#sleepers[0]; first !== undefined && first.dueAtMs <= nowMs; first = this.#sleepers[0]) {
      this.#sleepers.shift();
      first.wake();
    }
  }
}
