import type { Clock } from "./ports/clock.js";

/** Node's timers take at most 2^31-1 ms; a longer sleep is made of several. */
const TIMER_MS_MAX = 2_147_483_647;

/** The clock of this machine. */
export class SystemClock implements Clock {
  nowMs(): number {
    return Date.now();
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    for (let leftMs = ms; leftMs > 0 && signal?.aborted !== true; leftMs -= TIMER_MS_MAX) {
      await timer(Math.min(leftMs, TIMER_MS_MAX), signal);
    }
  }
}

function timer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(handle);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const handle = setTimeout(end, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
}
