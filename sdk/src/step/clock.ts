/** Port: the worker's own time. Monotonic, for leases and pauses alone; no deadline of a run is decided by it. */
export interface WorkerClock {
  /** ms that only grow; differences mean something, the value does not. */
  nowMs(): number;
  /** Calls back once after `ms`; keeps the process alive until then. @returns what takes the call back; idempotent. */
  after(ms: number, callback: () => void): () => void;
  /** Calls back after all promise callbacks that are due have run, and one more turn of the event loop. */
  nextTurn(callback: () => void): void;
}

export const SYSTEM_CLOCK: WorkerClock = {
  nowMs: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  nextTurn: (callback) => void setImmediate(callback),
};
