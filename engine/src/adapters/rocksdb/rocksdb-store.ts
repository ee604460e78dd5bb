/** Stores on RocksDB: one database per store, so that releasing a partition is a close and restoring one a delete. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { ClosedError, StoreLockedError } from "@eddy/clients/errors";
import type { ScanRange, Store, StoreBatch, StoreFactory } from "../../ports/store.js";
import { GroupCommit } from "./group-commit.js";
import { NativeDb } from "./native-db.js";

/** Memtables of one store, in bytes each: rows that change often are merged there before they reach a table file. */
const WRITE_BUFFER_BYTES = 16 * 1_048_576;

interface QueuedBatch {
  readonly batch: StoreBatch;
  readonly bytes: number;
}

export class RocksDbStore implements Store {
  readonly #db: NativeDb;
  readonly #onClose: () => void;
  /** The binding writes batches on a pool of threads, in any order: only one is under way at a time. */
  readonly #writes: GroupCommit<QueuedBatch>;
  #closing: Promise<void> | null = null;

  constructor(db: NativeDb, onClose: () => void) {
    this.#db = db;
    this.#onClose = onClose;
    this.#writes = new GroupCommit((group) => this.#writeGroup(group));
  }

  async getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    this.#checkOpen();
    return this.#db.getMany(keys);
  }

  async scan(range: ScanRange): Promise<readonly (readonly [key: string, value: Uint8Array])[]> {
    this.#checkOpen();
    const rows = await this.#db.scan(range);
    return rows.map(({ key, value }) => [key.toString(), value]);
  }

  async write(batch: StoreBatch): Promise<void> {
    this.#checkOpen();
    if (batch.puts.length === 0 && batch.deletes.length === 0) return;
    const bytes = batch.puts.reduce((sum, [key, value]) => sum + key.length + value.byteLength, 0);
    await this.#writes.add({ batch, bytes });
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    await this.#writes.drain();
    await this.#db.close();
    this.#onClose();
  }

  #writeGroup(group: readonly QueuedBatch[]): Promise<void> {
    return this.#db.write((to) => {
      for (const { batch } of group) {
        for (const key of batch.deletes) to.delete(key);
        for (const [key, value] of batch.puts) to.put(key, value);
      }
    });
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new ClosedError("this store is closed", { directory: this.#db.directory });
  }
}

export class RocksDbStoreFactory implements StoreFactory {
  readonly #directory: string;
  readonly #open = new Set<string>();

  /** @param directory holds one folder per store. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  async open(name: string): Promise<RocksDbStore> {
    const db = await NativeDb.open(join(this.#directory, name), { writeBufferBytes: WRITE_BUFFER_BYTES });
    this.#open.add(name);
    return new RocksDbStore(db, () => this.#open.delete(name));
  }

  async destroy(name: string): Promise<void> {
    const directory = join(this.#directory, name);
    if (this.#open.has(name)) throw new StoreLockedError(`the store in ${directory} is open`, { directory });
    await rm(directory, { recursive: true, force: true });
  }
}
