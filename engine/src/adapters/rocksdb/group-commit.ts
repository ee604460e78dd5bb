/**
 * Writes in the order of their calls, several at a time: while one group is being written, what comes in forms the next.
 * A group is one RocksDB batch, so its items are stored together; each item alone is told how it went.
 */
export interface GroupItem {
  /** Size in bytes, roughly: bounds a group. */
  readonly bytes: number;
}

/** A group takes no further item once it has this many bytes: bounds memory and the wait of its first item. */
const GROUP_BYTES_MAX = 4 * 1_048_576;

interface Queued<T> {
  readonly item: T;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class GroupCommit<T extends GroupItem> {
  readonly #write: (items: readonly T[]) => Promise<void>;
  #queue: Queued<T>[] = [];
  #running: Promise<void> | null = null;

  /** @param write stores all items or none; called with one group at a time. */
  constructor(write: (items: readonly T[]) => Promise<void>) {
    this.#write = write;
  }

  /** Resolves when the item is stored; rejects with what `write` threw for its group. */
  add(item: T): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when everything that was added has been written or refused. */
  async drain(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  async #run(): Promise<void> {
    // Calls of the same turn of the event loop share the first group too.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const group = this.#nextGroup();
      try {
        await this.#write(group.map(({ item }) => item));
        for (const { resolve } of group) resolve();
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#running = null;
  }

  #nextGroup(): readonly Queued<T>[] {
    let bytes = 0;
    let count = 0;
    for (const { item } of this.#queue) {
      if (count > 0 && bytes + item.bytes > GROUP_BYTES_MAX) break;
      bytes += item.bytes;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }
}
