/** What a worker knows of one run: its event and its settled steps. Enough to re-enter the handler from nothing. */
import type { MemoEntry, RunState, StepRequest } from "@eddy/schemas";
import { sameBytes } from "../protocol/json.js";

export class RunMemory {
  readonly event: Uint8Array;
  readonly #memo = new Map<string, MemoEntry>();

  constructor(event: Uint8Array, memo: readonly MemoEntry[]) {
    this.event = event;
    for (const entry of memo) this.#memo.set(entry.stepId, entry);
  }

  static of(state: Pick<RunState, "event" | "memo">): RunMemory {
    return new RunMemory(state.event, state.memo);
  }

  get(stepId: string): MemoEntry | undefined {
    return this.#memo.get(stepId);
  }
  get size(): number {
    return this.#memo.size;
  }
  entries(): IterableIterator<MemoEntry> {
    return this.#memo.values();
  }
  add(entry: MemoEntry): void {
    this.#memo.set(entry.stepId, entry);
  }

  /**
   * Takes in what a request brings.
   * @returns the entries that are new, or null where this memory and the engine's differ: then it must not be used. It
   *   has too few entries after another worker had the run; too many, or others, after reports of this one were dropped.
   */
  merge({ memo, memoTotal }: Pick<StepRequest, "memo" | "memoTotal">): readonly MemoEntry[] | null {
    const fresh: MemoEntry[] = [];
    for (const entry of memo) {
      const own = this.#memo.get(entry.stepId);
      if (own === undefined) fresh.push(entry);
      else if (!sameBytes(own.data, entry.data) || (own.error === null) !== (entry.error === null)) return null;
    }
    if (this.#memo.size + fresh.length !== memoTotal) return null;
    for (const entry of fresh) this.add(entry);
    return fresh;
  }
}
