/**
 * Optional: stores on Level's binding of RocksDB 6.17 (`rocksdb` 5.2.1, an optional peer dependency), for who must stay
 * on it. It runs on Node 20 alone: on later versions the binding aborts the whole process when it is loaded, so it is
 * never imported before `levelUnavailable` says that it may be. Prefer `RocksDbStoreFactory`.
 */
import { mkdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import type { LevelIterator, LevelRocksDb } from "rocksdb";
import { ClosedError, ConfigError, StoreLockedError } from "@eddy/clients/errors";
import type { ScanRange, Store, StoreBatch, StoreFactory } from "../../ports/store.js";
import { callError, openError } from "./rocksdb-errors.js";

const NODE_MAJOR = "20";

/** @returns why this Node cannot load the binding; null if it can. */
export function levelUnavailable(nodeVersion: string): string | null {
  if (nodeVersion.split(".")[0] === NODE_MAJOR) return null;
  return `rocksdb 5.2.1 aborts the process on Node ${nodeVersion}; it runs on Node ${NODE_MAJOR} alone`;
}

export class LevelStore implements Store {
  readonly #db: LevelRocksDb;
  readonly #directory: string;
  readonly #onClose: () => void;
  /** Calls under way. The binding crashes when it is closed before they end, and orders no writes by itself. */
  readonly #calls = new Set<Promise<unknown>>();
  #lastWrite: Promise<void> = Promise.resolve();
  #closing: Promise<void> | null = null;

  constructor(db: LevelRocksDb, directory: string, onClose: () => void) {
    this.#db = db;
    this.#directory = directory;
    this.#onClose = onClose;
  }

  getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#call(() => promisify(this.#db.getMany.bind(this.#db))(keys, { asBuffer: true }));
  }

  scan({ from, to, limit }: ScanRange): Promise<readonly (readonly [key: string, value: Uint8Array])[]> {
    return this.#call(async () => {
      if (limit <= 0) return [];
      return readRows(this.#db.iterator({ gte: from, lt: to, limit, keyAsBuffer: false, valueAsBuffer: true }));
    });
  }

  write({ puts, deletes }: StoreBatch): Promise<void> {
    const operations = [
      ...deletes.map((key) => ({ type: "del" as const, key })),
      ...puts.map(([key, value]) => ({ type: "put" as const, key, value: asBuffer(value) })),
    ];
    const earlier = this.#lastWrite;
    const written = this.#call(async () => {
      await earlier;
      if (operations.length > 0) await promisify(this.#db.batch.bind(this.#db))(operations);
    });
    this.#lastWrite = written.catch(() => undefined);
    return written;
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    await Promise.allSettled(this.#calls);
    await promisify(this.#db.close.bind(this.#db))();
    this.#onClose();
  }

  async #call<T>(action: () => Promise<T>): Promise<T> {
    if (this.#closing !== null) throw new ClosedError("this store is closed", { directory: this.#directory });
    const call = action();
    this.#calls.add(call);
    try {
      return await call;
    } catch (cause) {
      throw callError(cause, this.#directory);
    } finally {
      this.#calls.delete(call);
    }
  }
}

export class LevelStoreFactory implements StoreFactory {
  readonly #directory: string;
  readonly #makeDb: (directory: string) => LevelRocksDb;
  readonly #open = new Set<string>();

  private constructor(directory: string, makeDb: (directory: string) => LevelRocksDb) {
    this.#directory = directory;
    this.#makeDb = makeDb;
  }

  /**
   * @param directory holds one folder per store.
   * @throws ConfigError where the binding is not installed, or cannot run.
   */
  static async load(directory: string): Promise<LevelStoreFactory> {
    const reason = levelUnavailable(process.versions.node);
    if (reason !== null) throw new ConfigError(reason);
    try {
      return new LevelStoreFactory(directory, (await import("rocksdb")).default);
    } catch (cause) {
      throw new ConfigError("the package rocksdb 5.2.1 cannot be loaded; is it installed?", {}, { cause });
    }
  }

  async open(name: string): Promise<LevelStore> {
    const directory = resolve(this.#directory, name);
    await mkdir(directory, { recursive: true });
    const db = this.#makeDb(directory);
    try {
      await promisify(db.open.bind(db))({ createIfMissing: true });
    } catch (cause) {
      throw openError(cause, directory);
    }
    this.#open.add(name);
    return new LevelStore(db, directory, () => this.#open.delete(name));
  }

  async destroy(name: string): Promise<void> {
    const directory = join(this.#directory, name);
    if (this.#open.has(name)) throw new StoreLockedError(`the store in ${directory} is open`, { directory });
    await rm(directory, { recursive: true, force: true });
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

async function readRows(iterator: LevelIterator): Promise<readonly (readonly [key: string, value: Buffer])[]> {
  const rows: (readonly [string, Buffer])[] = [];
  try {
    for (let row = await nextRow(iterator); row !== null; row = await nextRow(iterator)) rows.push(row);
  } finally {
    await promisify(iterator.end.bind(iterator))();
  }
  return rows;
}

function nextRow(iterator: LevelIterator): Promise<readonly [key: string, value: Buffer] | null> {
  return new Promise((resolve, reject) => {
    iterator.next((error, key, value) => {
      if (error) reject(error);
      else resolve(key === undefined || value === undefined ? null : [key, value]);
    });
  });
}
