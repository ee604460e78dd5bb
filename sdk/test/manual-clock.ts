import type { WorkerClock } from "../src/step/clock.js";

interface Timer {
  readonly dueAtMs: number;
  readonly callback: () => void;
}

/** A clock in hand: time moves by `advance` alone; turns of the event loop are real. */
export class ManualClock implements WorkerClock {
  #nowMs = 1_000;
  readonly #timers = new Set<Timer>();

  nowMs(): number {
    return this.#nowMs;
  }
  after(ms: number, callback: () => void): () => void {
    const timer = { dueAtMs: this.#nowMs + ms, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }
  nextTurn(callback: () => void): void {
    setImmediate(callback);
  }

  /** Moves on by `ms`, calling back what comes due, in order, each at its time. */
  async advance(ms: number): Promise<void> {
    const toMs = this.#nowMs + ms;
    for (;;) {
      const [next] = [...this.#timers].filter((t) => t.dueAtMs <= toMs).sort((a, b) => a.dueAtMs - b.dueAtMs);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueAtMs);
      next.callback();
      await turns();
    }
    this.#nowMs = toMs;
    await turns();
  }
  get timers(): number {
    return this.#timers.size;
  }
}

/** Lets everything happen that needs no time. */
export async function turns(count = 12): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Waits for a condition, turn by turn. */
export async function until(condition: () => boolean, turnsMax = 2_000): Promise<void> {
  for (let i = 0; i < turnsMax; i++) {
    if (condition()) return;
    await turns(1);
  }
  throw new Error(`the condition did not come true in ${turnsMax} turns: ${condition.toString()}`);
}

/** A promise with its ends in hand. */
export function deferred<T = void>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((ok, failed) => {
    resolve = ok;
    reject = failed;
  });
  return { promise, resolve, reject };
}

/** A logger that remembers its lines. */
export function memoryLogger() {
  const lines: unknown[][] = [];
  const write = (...args: unknown[]): void => void lines.push(args);
  return { lines, debug: write, info: write, warn: write, error: write };
}
