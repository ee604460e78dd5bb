/**
 * The connected workers of one app: who has a free slot, and who gets a run.
 *
 * Invariants: a worker never has more invocations out than slots. At most one invocation of a run is out to a worker.
 * While a worker that takes requests has the function, no other gets a request for it: in a rolling deploy workers of two
 * versions are here. Where none has it, any does, to answer that it is not there. Requests for one function wait in the
 * order in which they came, and a free slot serves the first that its worker may have. Among workers that may have a run
 * it goes to the one that has it now, else to the one that had it last (its suspended handler is there), else to the
 * least loaded; but to one where it failed last only if no other has a slot: another version may know its steps.
 */
import { LRUCache } from "lru-cache";
import type { Cause } from "@eddy/schemas";
import type { WorkerLink } from "./worker-link.js";

/** One invocation that a worker has. */
export interface InFlight {
  readonly invocation: number;
  /** Cause of its request; null where this process did not send it (a worker that connected again). */
  readonly cause: Cause | null;
  /** The worker was given it; until then its slot is only kept for it, while the delivery is committed. */
  isSent: boolean;
  /** The worker has reported its outcome; the log does not have it yet. */
  isEnding: boolean;
  /** Heartbeats of the worker since the request was sent. */
  heartbeats: number;
}

export interface Worker {
  readonly id: string;
  readonly link: WorkerLink;
  readonly slots: number;
  /** Ids of its functions. */
  readonly functions: ReadonlySet<string>;
  /** By run id. */
  readonly inFlight: Map<string, InFlight>;
  /** Gets no more requests. */
  isDraining: boolean;
}

export interface Wanted {
  readonly functionId: string;
  readonly runId: string;
  readonly invocation: number;
  readonly cause: Cause;
}

interface Waiter {
  readonly wanted: Wanted;
  readonly resolve: (worker: Worker | null) => void;
}

/** Which worker had a run last. */
interface Last {
  readonly workerId: string;
  readonly hasFailed: boolean;
}

/** Runs whose last worker is remembered. */
const STICKY_RUNS_MAX = 100_000;

export class WorkerPool {
  readonly #onChange: () => void;
  readonly #workers = new Map<string, Worker>();
  readonly #lastWorker = new LRUCache<string, Last>({ max: STICKY_RUNS_MAX });
  #waiters: Waiter[] = [];
  #isClosed = false;

  /** @param onChange told when workers came, went, or began to drain. */
  constructor(onChange: () => void = () => undefined) {
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#workers.size;
  }
  /** Workers that take requests, if not at this moment. */
  get active(): number {
    return this.workers.filter(({ isDraining }) => !isDraining).length;
  }
  /** Slots of all workers, and free ones of those that take requests. */
  get slots(): { readonly all: number; readonly free: number } {
    let [all, free] = [0, 0];
    for (const { slots, inFlight, isDraining } of this.#workers.values()) {
      all += slots;
      if (!isDraining) free += Math.max(0, slots - inFlight.size);
    }
    return { all, free };
  }
  /** Invocations out to workers. */
  get inFlight(): number {
    let sum = 0;
    for (const worker of this.#workers.values()) sum += worker.inFlight.size;
    return sum;
  }

  /** Takes a worker in; one with the same id is replaced, and what it has in flight goes over. @returns the replaced. */
  add(worker: Worker): Worker | null {
    const replaced = this.#workers.get(worker.id) ?? null;
    if (replaced !== null) for (const [runId, out] of replaced.inFlight) worker.inFlight.set(runId, out);
    this.#workers.set(worker.id, worker);
    this.serve();
    this.#onChange();
    return replaced;
  }

  /** The worker gets nothing more; what it has it finishes. */
  drain(worker: Worker): void {
    worker.isDraining = true;
    this.serve();
    this.#onChange();
  }

  /** What the worker had stays its own until its lease runs out: the engine hears of that from the log. */
  remove(worker: Worker): void {
    if (this.#workers.get(worker.id) !== worker) return;
    this.#workers.delete(worker.id);
    this.serve();
    this.#onChange();
  }

  isConnected(worker: Worker): boolean {
    return this.#workers.get(worker.id) === worker;
  }

  /** Does a worker that takes requests have this function? */
  has(functionId: string): boolean {
    for (const { isDraining, functions } of this.#workers.values()) {
      if (!isDraining && functions.has(functionId)) return true;
    }
    return false;
  }

  /** Takes a slot for the invocation, if there is one now and nobody waits for one of the same function. */
  tryTake(wanted: Wanted): Worker | null {
    const isAwaited = this.#waiters.some((waiter) => waiter.wanted.functionId === wanted.functionId);
    return isAwaited ? null : this.#take(wanted);
  }

  /** Resolves with a worker whose slot is taken; null when the pool is closed or `signal` aborts before. */
  take(wanted: Wanted, signal: AbortSignal): Promise<Worker | null> {
    if (this.#isClosed || signal.aborted) return Promise.resolve(null);
    const worker = this.tryTake(wanted);
    if (worker !== null) return Promise.resolve(worker);
    return new Promise((resolve) => {
      const settle = (taken: Worker | null): void => {
        signal.removeEventListener("abort", giveUp);
        resolve(taken);
      };
      const waiter: Waiter = { wanted, resolve: settle };
      const giveUp = (): void => {
        this.#waiters = this.#waiters.filter((each) => each !== waiter);
        settle(null);
        this.serve();
      };
      signal.addEventListener("abort", giveUp, { once: true });
      this.#waiters.push(waiter);
    });
  }

  /** The request leaves for the worker that has its slot. */
  sent(worker: Worker, runId: string, invocation: number): void {
    const out = worker.inFlight.get(runId);
    if (out?.invocation === invocation) out.isSent = true;
  }

  /** Frees the slot of this invocation, if the worker still has it out. */
  release(worker: Worker, runId: string, invocation: number): void {
    if (worker.inFlight.get(runId)?.invocation !== invocation) return;
    worker.inFlight.delete(runId);
    this.serve();
  }

  /** The run's handler threw at this worker: its next attempt is better made elsewhere. */
  failedAt(runId: string, workerId: string): void {
    this.#lastWorker.set(runId, { workerId, hasFailed: true });
  }

  /** Was the run handed out by this process, not too long ago? */
  hasHandedOut(runId: string): boolean {
    return this.#lastWorker.has(runId);
  }

  /** Workers that may hold something of the run: those that have it out, and the one that had it last. */
  holdersOf(runId: string): readonly Worker[] {
    const last = this.#lastWorker.get(runId)?.workerId;
    return [...this.#workers.values()].filter((worker) => worker.id === last || worker.inFlight.has(runId));
  }
  /** The worker that has the run's invocation out, with it. */
  outOf(runId: string): readonly (readonly [worker: Worker, out: InFlight])[] {
    const found: [Worker, InFlight][] = [];
    for (const worker of this.#workers.values()) {
      const out = worker.inFlight.get(runId);
      if (out !== undefined) found.push([worker, out]);
    }
    return found;
  }
  get workers(): readonly Worker[] {
    return [...this.#workers.values()];
  }

  /**
   * Gives free slots to those who wait; to be called whenever a worker may have become able. Looks at the workers once
   * for each that is served and once for each function that has to go on waiting.
   */
  serve(): void {
    const left: Waiter[] = [];
    const stuck = new Set<string>();
    for (const waiter of this.#waiters) {
      const { functionId } = waiter.wanted;
      const worker = stuck.has(functionId) ? null : this.#take(waiter.wanted);
      if (worker !== null) {
        waiter.resolve(worker);
        continue;
      }
      stuck.add(functionId);
      left.push(waiter);
    }
    this.#waiters = left;
  }

  /** Nobody gets a worker any more. Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const { resolve } of this.#waiters) resolve(null);
    this.#waiters = [];
  }

  #take({ functionId, runId, invocation, cause }: Wanted): Worker | null {
    const worker = this.#pick(functionId, runId);
    if (worker === null) return null;
    worker.inFlight.set(runId, { invocation, cause, isSent: false, isEnding: false, heartbeats: 0 });
    this.#lastWorker.set(runId, { workerId: worker.id, hasFailed: false });
    return worker;
  }

  #pick(functionId: string, runId: string): Worker | null {
    const isHere = this.has(functionId);
    const last = this.#lastWorker.get(runId);
    let best: Worker | null = null;
    let bestCost = Number.POSITIVE_INFINITY;
    for (const worker of this.#workers.values()) {
      if (worker.isDraining || worker.link.isCongested) continue;
      if (isHere && !worker.functions.has(functionId)) continue;
      if (worker.inFlight.has(runId)) return worker;
      if (worker.inFlight.size >= worker.slots) continue;
      const cost = costOf(worker, last);
      if (cost >= bestCost) continue;
      best = worker;
      bestCost = cost;
    }
    return best;
  }
}

/** Of a run at a worker with a free slot: below 0 where it was last, 0 to 1 by load, above 1 where it failed last. */
function costOf(worker: Worker, last: Last | undefined): number {
  if (worker.id !== last?.workerId) return loadOf(worker);
  return last.hasFailed ? 2 : -1;
}

function loadOf({ inFlight, slots }: Worker): number {
  return inFlight.size / slots;
}
