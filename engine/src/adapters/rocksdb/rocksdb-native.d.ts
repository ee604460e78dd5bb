/** The part of rocksdb-native 3.18 that we use; the package has no types. */
declare module "rocksdb-native" {
  type Key = string | Uint8Array;

  interface ReadBatch {
    get(key: Key): Promise<Buffer | null>;
    /** Rejects with an AggregateError if any `get` failed. */
    flush(): Promise<void>;
  }
  interface WriteBatch {
    tryPut(key: Key, value: Uint8Array): void;
    tryDelete(key: Key): void;
    /** From `start` inclusive to `end` exclusive. */
    tryDeleteRange(start: Key, end: Key): void;
    flush(): Promise<void>;
  }
  interface BatchOptions {
    /** Operations that fit before the native buffer grows. */
    readonly capacity?: number;
    /** Gives the batch back after its flush; without it, `close` of the database waits for it forever. */
    readonly autoDestroy?: boolean;
  }
  interface Range {
    readonly gte: Key;
    readonly lt: Key;
  }
  interface IteratorOptions {
    readonly limit?: number;
    /** Rows per native call. A call that gives fewer ends the iteration. */
    readonly capacity?: number;
    readonly reverse?: boolean;
  }
  interface Options {
    /** In bytes, per column family. */
    readonly writeBufferSize?: number;
    readonly maxWriteBufferNumber?: number;
    readonly enableBlobFiles?: boolean;
    readonly minBlobSize?: number;
    readonly maxBackgroundJobs?: number;
  }

  export default class RocksDB {
    constructor(path: string, options?: Options);
    ready(): Promise<void>;
    read(options?: BatchOptions): ReadBatch;
    write(options?: BatchOptions): WriteBatch;
    iterator(range: Range, options?: IteratorOptions): AsyncIterable<{ readonly key: Buffer; readonly value: Buffer }>;
    /** `path` is relative to the database's folder, with a leading slash. */
    currentWalFile(): Promise<{ readonly path: string; readonly number: number }>;
    /** Writes the memtable to a table file; a new WAL file follows. */
    flush(): Promise<void>;
    /** Waits for batches and iterators under way. */
    close(): Promise<void>;
  }
}
