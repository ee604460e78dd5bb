/** The part of Level's rocksdb 5.2 that we use; the package has no types. Calls before `open` or after `close` crash. */
declare module "rocksdb" {
  type Callback<T = void> = (error: Error | null | undefined, result: T) => void;

  export interface LevelRocksDb {
    open(options: { readonly createIfMissing: boolean }, callback: Callback): void;
    /** undefined where there is no value. */
    getMany(
      keys: readonly string[],
      options: { readonly asBuffer: true },
      callback: Callback<readonly (Buffer | undefined)[]>,
    ): void;
    batch(
      operations: readonly (
        | { readonly type: "put"; readonly key: string; readonly value: Buffer }
        | { readonly type: "del"; readonly key: string }
      )[],
      callback: Callback,
    ): void;
    iterator(range: {
      readonly gte: string;
      readonly lt: string;
      readonly limit: number;
      readonly keyAsBuffer: false;
      readonly valueAsBuffer: true;
    }): LevelIterator;
    close(callback: Callback): void;
  }
  export interface LevelIterator {
    /** Without a key: the end. */
    next(callback: (error: Error | null | undefined, key?: string, value?: Buffer) => void): void;
    end(callback: Callback): void;
  }
  const makeDb: (directory: string) => LevelRocksDb;
  export default makeDb;
}
