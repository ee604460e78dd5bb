/**
 * Port: the local store of one partition: an ordered map from text keys to bytes.
 *
 * Contract (test/contracts/store-contract.ts):
 *  S1  `write` is atomic: after a crash all of a batch is there or nothing; batches survive in order (a later one never
 *      without an earlier one). The newest ones may be lost: the log repairs that.
 *  S2  Keys are ordered by their UTF-8 bytes, the same in memory and on disk.
 *  S3  A `scan` sees one consistent state.
 *  S4  Use after `close` rejects with an error, it never crashes the process.
 * A store has one owner process; opening it twice throws `StoreLockedError`. Damage found at open throws
 * `StateCorruptedError`: the caller wipes and restores.
 */
/** Deletes apply before puts. Keys are well-formed text. Whoever hands bytes over or gets them never changes them. */
export interface StoreBatch {
  readonly puts: readonly (readonly [key: string, value: Uint8Array])[];
  readonly deletes: readonly string[];
}

export interface ScanRange {
  /** Inclusive. */
  readonly from: string;
  /** Exclusive. */
  readonly to: string;
  readonly limit: number;
}

export interface Store {
  /** @returns values in the order of `keys`; undefined where there is none. */
  getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>;
  /** Ascending. */
  scan(range: ScanRange): Promise<readonly (readonly [key: string, value: Uint8Array])[]>;
  write(batch: StoreBatch): Promise<void>;
  close(): Promise<void>;
}

/** Makes the stores of this process. `name` is a folder name such as `state-3`. */
export interface StoreFactory {
  open(name: string): Promise<Store>;
  /** Deletes a closed store whole; no error if there is none. */
  destroy(name: string): Promise<void>;
}
