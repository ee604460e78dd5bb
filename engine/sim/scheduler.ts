/**
 * Virtual time and all that happens in it. Every call of a simulated process to one of its ports is an operation that
 * stays suspended until the scheduler performs it; nothing else in the simulated world can make time pass or code go on.
 * Operations are performed in the order of (virtual time, chance), and before each one all code that can run has run,
 * so a seed fixes everything.
 *
 *   suspend ──> queued ──act──> (answer on its way) ──settle──> the process goes on
 *                 │ process crashed: dropped, or for remote operations perhaps still acted upon, late
 *                 │ process paused:  remote ones act in time, the process learns of it when it goes on
 *                 └ fault: rejected before or after it acted
 */
import { TransientError } from "@eddy/clients/errors";
import type { Prng } from "./prng.js";
import type { SimProcess } from "./process.js";
import { EPOCH_MS, type Trace } from "./trace.js";

export type OpKind =
  | "append"
  | "commit"
  | "openWriter"
  | "read"
  | "ask"
  | "commitGroup"
  | "storeOpen"
  | "storeRead"
  | "storeWrite"
  | "sleep"
  | "work"
  | "world";

/** Operations on the log: they reach it though the process that asked is paused or gone. */
const REMOTE: ReadonlySet<OpKind> = new Set(["append", "commit", "openWriter", "commitGroup"]);
/** Remote operations may fail with an unknown outcome, questions may fail as well. */
const FALLIBLE: ReadonlySet<OpKind> = new Set([...REMOTE, "read", "ask"]);

/** Operations whose answer may be on its way while others are performed. */
const ANSWERED: ReadonlySet<OpKind> = new Set([...FALLIBLE, "storeOpen", "storeRead", "storeWrite"]);

export type Verdict = "go" | "failBefore" | "failAfter" | "crashBefore" | "crashAfter";

export interface OpRequest<T> {
  readonly kind: OpKind;
  /** For the trace; short and without random parts. */
  readonly what: string;
  /** How long until it is performed, in ms of virtual time. */
  readonly delayMs: number;
  readonly act: () => T | Promise<T>;
  readonly detail?: (() => string) | undefined;
}

export interface Operation {
  readonly process: SimProcess | null;
  readonly kind: OpKind;
  readonly what: string;
}

interface Queued extends Operation {
  readonly act: () => unknown;
  readonly detail: (() => string) | undefined;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Set once it has acted: what the process will learn. */
  outcome: Promise<unknown> | null;
  /** Its valid place in the queue; older ones are stale. */
  place: number;
}

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly place: number;
  readonly op: Queued;
}

/** What decides about faults, and learns of crashes. */
export interface Fate {
  verdict(op: Operation, nowMs: number): Verdict;
  crashed(process: SimProcess): void;
}
const NO_FAULTS: Fate = { verdict: () => "go", crashed: () => undefined };

/** More operations than this in one run of a seed mean that something spins. */
const OPERATIONS_MAX = 100_000;

export class SpinError extends Error {
  override readonly name = "SpinError";
}

export class Scheduler {
  fate: Fate = NO_FAULTS;
  readonly trace: Trace;
  readonly #rng: Prng;
  readonly #heap: Entry[] = [];
  #nowMs = EPOCH_MS;
  #places = 0;
  #performed = 0;
  #dirty = true;

  constructor(rng: Prng, trace: Trace) {
    this.#rng = rng;
    this.trace = trace;
  }

  /** ms since 1970, whole. */
  get nowMs(): number {
    return this.#nowMs;
  }
  get performed(): number {
    return this.#performed;
  }

  /** @returns a promise that settles when, and if, the scheduler lets it. */
  suspend<T>(process: SimProcess | null, request: OpRequest<T>): Promise<T> {
    return this.suspendWakeable(process, request).done;
  }

  /** The same, with a way to bring the operation forward. `wake` does nothing after it acted. */
  suspendWakeable<T>(process: SimProcess | null, request: OpRequest<T>): { done: Promise<T>; wake: () => void } {
    let op: Queued | null = null;
    const done = new Promise<T>((resolve, reject) => {
      op = {
        process,
        kind: request.kind,
        what: request.what,
        act: request.act,
        detail: request.detail,
        resolve: resolve as (value: unknown) => void,
        reject,
        outcome: null,
        place: 0,
      };
      this.#queue(op, this.#nowMs + request.delayMs);
    });
    const wake = (): void => {
      if (op === null || op.outcome !== null || op.place < 0) return;
      this.#queue(op, this.#nowMs + (process?.delayMs(request.kind) ?? 0));
    };
    return { done, wake };
  }

  /** Something that the world does at a time, whatever becomes of any process. */
  at(delayMs: number, what: string, act: () => void | Promise<void>): void {
    void this.suspend(null, { kind: "world", what, delayMs, act });
  }

  /** Performs operations until `done` says so, or nothing is left. @throws SpinError */
  async run(done: () => boolean): Promise<void> {
    for (;;) {
      if (this.#dirty) await drained();
      this.#dirty = false;
      if (done()) return;
      const entry = this.#pop();
      if (entry === undefined) return;
      if (entry.place !== entry.op.place) continue;
      this.#nowMs = Math.max(this.#nowMs, entry.atMs);
      this.#perform(entry.op);
      this.#performed += 1;
      if (this.#performed > OPERATIONS_MAX) throw new SpinError(`more than ${OPERATIONS_MAX} operations`);
    }
  }

  /** Ends a process: what it awaits never comes. */
  crash(process: SimProcess, why: string): void {
    if (!process.alive) return;
    process.alive = false;
    this.trace.add(this.#nowMs, process.name, `crash: ${why}`);
    this.fate.crashed(process);
  }

  #perform(op: Queued): void {
    const { process } = op;
    if (process !== null && !process.alive) {
      this.#performOrphan(op);
      return;
    }
    const pausedUntilMs = process?.pausedUntilMs ?? 0;
    if (pausedUntilMs > this.#nowMs) {
      if (op.outcome === null && REMOTE.has(op.kind)) this.#act(op, "");
      this.#queue(op, pausedUntilMs + this.#rng.between(0, 3));
      return;
    }
    if (op.outcome !== null) {
      this.#settle(op);
      return;
    }
    this.#actAsFateSays(op);
  }

  #actAsFateSays(op: Queued): void {
    const { process } = op;
    const fate = process === null ? "go" : this.fate.verdict(op, this.#nowMs);
    switch (possible(fate, op.kind)) {
      case "crashBefore":
        this.#queue(op, this.#nowMs + this.#rng.between(0, 2_000));
        this.crash(process as SimProcess, `before ${op.what}`);
        return;
      case "crashAfter":
        this.#act(op, "");
        this.crash(process as SimProcess, `after ${op.what}`);
        return;
      case "failBefore":
        this.#trace(op, "fails, not done");
        op.outcome = failed(op.what);
        this.#settle(op);
        return;
      case "failAfter":
        this.#act(op, "fails, done");
        op.outcome = failed(op.what);
        this.#settle(op);
        return;
      case "go":
        this.#act(op, "");
        if (ANSWERED.has(op.kind) && this.#rng.chance(0.15)) {
          this.#queue(op, this.#nowMs + (process?.delayMs(op.kind) ?? 0));
        } else {
          this.#settle(op);
        }
    }
  }

  /** The process is gone; what it had sent may still arrive, or not. */
  #performOrphan(op: Queued): void {
    if (op.outcome !== null || !REMOTE.has(op.kind) || this.#rng.chance(0.5)) return;
    this.#act(op, "arrives late");
  }

  #act(op: Queued, remark: string): void {
    this.#trace(op, remark);
    try {
      op.outcome = Promise.resolve(op.act());
      op.outcome.catch(() => undefined); // whoever awaits the operation learns of it in `settle`
    } catch (error) {
      op.outcome = Promise.reject(error instanceof Error ? error : new Error(String(error)));
      op.outcome.catch(() => undefined);
    }
    this.#dirty = true;
  }

  #settle(op: Queued): void {
    void op.outcome?.then(op.resolve, op.reject);
    op.place = -1;
    this.#dirty = true;
  }

  #trace(op: Queued, remark: string): void {
    this.trace.add(
      this.#nowMs,
      op.process?.name ?? "world",
      remark === "" ? op.what : `${op.what} ${remark}`,
      op.detail,
    );
  }

  #queue(op: Queued, atMs: number): void {
    this.#places += 1;
    op.place = this.#places;
    const entry = { atMs, order: this.#rng.uint32(), place: this.#places, op };
    const heap = this.#heap;
    let i = heap.length;
    heap.push(entry);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(entry, heap[parent] as Entry)) break;
      heap[i] = heap[parent] as Entry;
      i = parent;
    }
    heap[i] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      const right = child + 1;
      if (right < heap.length && before(heap[right] as Entry, heap[child] as Entry)) child = right;
      if (!before(heap[child] as Entry, last)) break;
      heap[i] = heap[child] as Entry;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.atMs !== b.atMs ? a.atMs < b.atMs : a.order !== b.order ? a.order < b.order : a.place < b.place;
}

/** A read that fails has not happened: what it would have given is still to be read. */
function possible(fate: Verdict, kind: OpKind): Verdict {
  if (!fate.startsWith("fail")) return fate;
  if (!FALLIBLE.has(kind)) return "go";
  return REMOTE.has(kind) ? fate : "failBefore";
}

function failed(what: string): Promise<never> {
  const outcome = Promise.reject(new TransientError(`simulated: ${what} failed, its outcome is unknown`));
  outcome.catch(() => undefined); // it is settled in the same turn
  return outcome;
}

/**
 * Resolves when no promise job is left. Node runs next-tick callbacks only between empty promise queues, and nothing
 * in the simulated world awaits anything but promises.
 */
function drained(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
