/**
 * Real time for what is real in a test: pauses between two looks, and the worker's own graces. Node's own timers, taken
 * before a test can replace the global ones: fake timers do not stop a test engine.
 */
import { performance } from "node:perf_hooks";
import { clearTimeout, setImmediate, setTimeout } from "node:timers";
import type { WorkerClock } from "../step/clock.js";

const now = performance.now.bind(performance);

export const TEST_CLOCK: WorkerClock = {
  nowMs: now,
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  nextTurn: (callback) => void setImmediate(callback),
};
