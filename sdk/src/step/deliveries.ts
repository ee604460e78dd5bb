/**
 * Hands recorded results to the handler in the order in which they were recorded, one at a time: the next only when the
 * handler has been through all promise callbacks that the one before set off. So whatever a handler decides by the order
 * of results, `Promise.race` above all, it decides the same way each time it is re-entered.
 *
 * Invariant: a result whose step was not asked for holds back those after it. In the life in which they were recorded it
 * had been asked for by then.
 */
import type { MemoEntry } from "@eddy/schemas";

export interface DeliveryHooks {
  /** Was its step asked for? */
  isAsked(entry: MemoEntry): boolean;
  deliver(entry: MemoEntry): void;
  /** Nothing is left to hand over, after something was. */
  onEmpty(): void;
}

export class Deliveries {
  readonly #queue: MemoEntry[] = [];
  readonly #hooks: DeliveryHooks;
  #isScheduled = false;
  #isStopped = false;

  constructor(hooks: DeliveryHooks) {
    this.#hooks = hooks;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }
  /** The step that holds all others back unless it is asked for. */
  get next(): MemoEntry | undefined {
    return this.#queue[0];
  }

  add(entries: Iterable<MemoEntry>): void {
    this.#queue.push(...entries);
    this.pump();
  }
  /** To be called when a step was asked for. */
  pump(): void {
    const [next] = this.#queue;
    if (this.#isScheduled || this.#isStopped || next === undefined || !this.#hooks.isAsked(next)) return;
    this.#isScheduled = true;
    // A tick asked for by a promise callback comes when no such callback is left.
    queueMicrotask(() => process.nextTick(() => this.#deliver()));
  }
  stop(): void {
    this.#isStopped = true;
    this.#queue.length = 0;
  }

  #deliver(): void {
    this.#isScheduled = false;
    const next = this.#queue.shift();
    if (next === undefined) return;
    this.#hooks.deliver(next);
    if (this.isEmpty) this.#hooks.onEmpty();
    else this.pump();
  }
}
