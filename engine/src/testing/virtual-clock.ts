/** Time that moves only when it is told to. */
import { clearTimeout, setTimeout } from "node:timers";
import type { Clock } from "@eddy/clients";

/** Node's timers take at most this, in ms. */
const TIMER_MS_MAX = 2_147_483_647;

/**
 * `nowMs` stands still between two `moveTo`; `sleep` takes real time, because it only paces who waits for something else
 * meanwhile. Its timers keep no process alive, and are Node's own even where a test has replaced the global ones.
 */
export class VirtualClock implements Clock {
  #nowMs: number;

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  /** Time never goes back: an earlier time has no effect. */
  moveTo(atMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, atMs);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (ms <= 0 || signal?.aborted === true) return resolve();
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, Math.min(ms, TIMER_MS_MAX)).unref();
      signal?.addEventListener("abort", end, { once: true });
    });
  }
}
