/**
 * Real time for what is real in a test: pauses between two looks, and the worker's own graces. Node's own timers, taken
 * before a test can replace the global ones: fake timers do not stop a test engine. They keep no process alive.
 */
import { performance } from "node:perf_hooks";
import { clearTimeout, setImmediate, setTimeout } from "node:timers";
import type { WorkerClock } from "../step/clock.js";

const now = performance.now.bind(performance);

export const TEST_CLOCK: WorkerClock = {
  nowMs: now,
  after(ms, callback) {
    const timer = setTimeout(callback, ms).unref();
    return () => clearTimeout(timer);
  },
  nextTurn: (callback) => void setImmediate(callback),
};

/** Longer than any call, and a time that timers take; in ms. */
const LONG_MS = 2 ** 30;

/**
 * The process stays while `work` is under way. An engine in memory alone keeps none alive: a test that forgets to close
 * it ends all the same.
 */
export async function keptAlive<T>(work: () => Promise<T>): Promise<T> {
  const timer = setTimeout(() => undefined, LONG_MS);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}
