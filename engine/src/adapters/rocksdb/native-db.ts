/**
 * One RocksDB database, with our errors: what RocksDB says in text alone becomes a class that callers can branch on.
 * Used by the store and by the embedded log.
 *
 * After a write that failed, as on a full disk, RocksDB takes no more until it is opened again: the next write does that
 * first, and calls that come meanwhile wait for it. What the failed write left is then as after a crash: all or nothing.
 */
import { mkdir, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import RocksDB from "rocksdb-native";
import { ClosedError, ConfigError } from "@eddy/clients/errors";
import { callError, openError, textOf } from "./rocksdb-errors.js";

export type Key = string | Uint8Array;

export interface Batch {
  put(key: Key, value: Uint8Array): void;
  delete(key: Key): void;
  /** From `from` inclusive to `to` exclusive. */
  deleteRange(from: Key, to: Key): void;
}

export interface KeyRange {
  /** Inclusive. */
  readonly from: Key;
  /** Exclusive. */
  readonly to: Key;
  readonly limit: number;
  /** Descending. */
  readonly reverse?: boolean;
}

export interface NativeDbOptions {
  /** Size of a memtable in bytes; up to three of them are in memory. */
  readonly writeBufferBytes: number;
}

/** Rows of one native call of an iterator: what a scan holds at once besides its answer. */
const SCAN_ROWS_PER_CALL_MAX = 1_024;
const MEMTABLES_MAX = 3;

export class NativeDb {
  readonly directory: string;
  readonly #options: NativeDbOptions;
  #db: RocksDB;
  /** failed: it takes no writes; closed: nothing at all, as it could not be opened again. */
  #state: "well" | "failed" | "closed" = "well";
  #reopening: Promise<void> | null = null;
  #closing: Promise<void> | null = null;

  private constructor(directory: string, db: RocksDB, options: NativeDbOptions) {
    this.directory = directory;
    this.#db = db;
    this.#options = options;
  }

  /**
   * Opens the database of `directory`, and makes both where they do not exist.
   * @throws StoreLockedError while another owner, in any process, has it open; StateCorruptedError when it is damaged;
   * ConfigError when the directory cannot be used; TransientError when the machine lacks space or files.
   */
  static async open(directory: string, options: NativeDbOptions): Promise<NativeDb> {
    const path = resolve(directory);
    try {
      await mkdir(path, { recursive: true });
    } catch (cause) {
      throw new ConfigError(`cannot use ${path} as a data directory: ${textOf(cause)}`, { directory: path }, { cause });
    }
    return new NativeDb(path, await openNative(path, options), options);
  }

  /** Opens it again, as after a crash; calls that come meanwhile wait. @throws as `open`; then it can be tried again. */
  async reopen(): Promise<void> {
    this.#checkOpen();
    this.#reopening ??= this.#openAgain().finally(() => (this.#reopening = null));
    await this.#reopening;
    this.#checkOpen();
  }

  /** One native call for all keys. @returns values in the order of `keys`. */
  async getMany(keys: readonly Key[]): Promise<readonly (Buffer | undefined)[]> {
    await this.#readable();
    if (keys.length === 0) return [];
    const batch = this.#db.read({ capacity: keys.length, autoDestroy: true });
    const reads = keys.map((key) => batch.get(key));
    return this.#guarded(async () => {
      const [values] = await Promise.all([Promise.all(reads), batch.flush()]);
      return values.map((value) => value ?? undefined);
    });
  }

  /** One consistent state, in key order. */
  async scan(range: KeyRange): Promise<readonly { readonly key: Buffer; readonly value: Buffer }[]> {
    await this.#readable();
    if (range.limit <= 0) return [];
    // A capacity above the limit tells the iterator at its first call that there is no more: one call instead of two.
    const capacity = Math.min(range.limit + 1, SCAN_ROWS_PER_CALL_MAX);
    const options = { limit: range.limit, capacity, reverse: range.reverse ?? false };
    const rows = this.#db.iterator({ gte: range.from, lt: range.to }, options);
    return this.#guarded(async () => {
      const found: { key: Buffer; value: Buffer }[] = [];
      for await (const row of rows) found.push(row);
      return found;
    });
  }

  /** Writes what `fill` puts into the batch: all of it or nothing, in the write-ahead log when it resolves. */
  async write(fill: (batch: Batch) => void): Promise<void> {
    this.#checkOpen();
    if (this.#state !== "well" || this.#reopening !== null) await this.reopen();
    const batch = this.#db.write({ autoDestroy: true });
    fill({
      put: (key, value) => batch.tryPut(key, value),
      delete: (key) => batch.tryDelete(key),
      deleteRange: (from, to) => batch.tryDeleteRange(from, to),
    });
    try {
      await this.#guarded(() => batch.flush());
    } catch (error) {
      this.#state = "failed";
      throw error;
    }
  }

  /** Path of the write-ahead log file that the next write goes to, unless that write starts another. */
  async walFile(): Promise<string> {
    await this.#readable();
    return this.#guarded(async () => join(this.directory, (await this.#db.currentWalFile()).path));
  }

  /** Writes the memtable to a table file. */
  async flush(): Promise<void> {
    await this.#readable();
    return this.#guarded(() => this.#db.flush());
  }

  /** Lets calls under way end first. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    await this.#reopening?.catch(() => undefined); // whoever asked for it is told
    if (this.#state !== "closed") await this.#db.close();
  }

  async #openAgain(): Promise<void> {
    if (this.#state !== "closed") await this.#db.close();
    this.#state = "closed";
    this.#db = await openNative(this.directory, this.#options);
    this.#state = "well";
  }

  /** Reads go on after a failed write, but for the time in which it is opened again. */
  async #readable(): Promise<void> {
    this.#checkOpen();
    if (this.#state === "closed" || this.#reopening !== null) await this.reopen();
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new ClosedError("this database is closed", { directory: this.directory });
  }

  async #guarded<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (cause) {
      throw callError(cause, this.directory);
    }
  }
}

/** @throws as `NativeDb.open` */
async function openNative(path: string, { writeBufferBytes }: NativeDbOptions): Promise<RocksDB> {
  const db = new RocksDB(path, { writeBufferSize: writeBufferBytes, maxWriteBufferNumber: MEMTABLES_MAX });
  try {
    await db.ready();
  } catch (cause) {
    throw openError(cause, path);
  } finally {
    await removeOldInfoLogs(path); // also of a try that failed: there may be many, and no room
  }
  return db;
}

/** RocksDB starts a new text log at each open and keeps a thousand old ones: they say nothing that we need. */
async function removeOldInfoLogs(directory: string): Promise<void> {
  const old = (await readdir(directory)).filter((name) => name.startsWith("LOG.old."));
  await Promise.all(old.map((name) => rm(join(directory, name), { force: true })));
}
