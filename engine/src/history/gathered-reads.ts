/**
 * Single reads of a store, gathered: while one is under way, what is asked for meanwhile becomes the next. Many look-ups
 * at once cost few store operations, and never crowd out those of the engine, which share a small pool of threads.
 */
import type { Store } from "../ports/store.js";

/** Keys of one read. */
const KEYS_MAX = 1_000;

interface Wanted {
  readonly key: string;
  readonly resolve: (value: Uint8Array | undefined) => void;
  readonly reject: (error: unknown) => void;
}

export class GatheredReads {
  readonly #store: Store;
  #wanted: Wanted[] = [];
  #isReading = false;

  constructor(store: Store) {
    this.#store = store;
  }

  /** @returns the value as of some moment after the call; undefined where there is none. */
  get(key: string): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      this.#wanted.push({ key, resolve, reject });
      if (!this.#isReading) void this.#read();
    });
  }

  getAll(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    return Promise.all(keys.map((key) => this.get(key)));
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    while (this.#wanted.length > 0) {
      const batch = this.#wanted.slice(0, KEYS_MAX);
      this.#wanted = this.#wanted.slice(KEYS_MAX);
      try {
        const values = await this.#store.getMany(batch.map(({ key }) => key));
        for (const [i, { resolve }] of batch.entries()) resolve(values[i]);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isReading = false;
  }
}
