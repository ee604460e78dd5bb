/** Stores in memory. The factory is the disk: what its stores hold survives their `close`, and a simulated crash. */
import { createRequire } from "node:module";
import type SortedBtree from "sorted-btree";
import { ClosedError, StoreLockedError, invariant } from "@eddy/clients/errors";
import type { ScanRange, Store, StoreBatch, StoreFactory } from "../../ports/store.js";
import { compareKeys } from "./key-order.js";

// The package is CommonJS, and Node and test runners disagree about what its default import is: ask for it as Node does.
const { default: BTree } = createRequire(import.meta.url)("sorted-btree") as typeof SortedBtree;
type Rows = InstanceType<typeof BTree<string, Uint8Array>>;

/** Batches per store that a crash may lose: S1 allows the newest ones to go. */
export const LOSABLE_BATCHES_MAX = 16;

/** What a batch overwrote; undefined where there was nothing. */
type Undo = readonly (readonly [key: string, value: Uint8Array | undefined])[];

interface Disk {
  readonly rows: Rows;
  /** Of the newest batches, oldest first. */
  readonly undos: Undo[];
  owner: MemoryStore | null;
}

export class MemoryStore implements Store {
  readonly #disk: Disk;

  constructor(disk: Disk) {
    this.#disk = disk;
    disk.owner = this;
  }

  async getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    const { rows } = this.#opened();
    return keys.map((key) => rows.get(key));
  }

  async scan({ from, to, limit }: ScanRange): Promise<readonly (readonly [key: string, value: Uint8Array])[]> {
    const { rows } = this.#opened();
    const found: (readonly [key: string, value: Uint8Array])[] = [];
    if (limit <= 0 || compareKeys(from, to) >= 0) return found;
    // Not `getRange`: with a maximum of n it gives n + 1 (sorted-btree 2.1.0).
    rows.forRange(from, to, false, (key, value) => {
      found.push([key, value]);
      return found.length === limit ? { break: limit } : undefined;
    });
    return found;
  }

  async write({ puts, deletes }: StoreBatch): Promise<void> {
    const { rows, undos } = this.#opened();
    const touched = new Set([...deletes, ...puts.map(([key]) => key)]);
    undos.push([...touched].map((key) => [key, rows.get(key)]));
    if (undos.length > LOSABLE_BATCHES_MAX) undos.shift();
    for (const key of deletes) rows.delete(key);
    for (const [key, value] of puts) rows.set(key, value);
  }

  async close(): Promise<void> {
    if (this.#disk.owner === this) this.#disk.owner = null;
  }

  #opened(): Disk {
    if (this.#disk.owner !== this) throw new ClosedError("this store is closed");
    return this.#disk;
  }
}

export class MemoryStoreFactory implements StoreFactory {
  readonly #disks = new Map<string, Disk>();

  async open(name: string): Promise<MemoryStore> {
    const disk = this.#disks.get(name) ?? { rows: new BTree(undefined, compareKeys), undos: [], owner: null };
    if (disk.owner !== null) throw new StoreLockedError(`the store ${name} is open already`, { name });
    this.#disks.set(name, disk);
    return new MemoryStore(disk);
  }

  async destroy(name: string): Promise<void> {
    const disk = this.#disks.get(name);
    if (disk !== undefined && disk.owner !== null) throw new StoreLockedError(`the store ${name} is open`, { name });
    this.#disks.delete(name);
  }

  /**
   * The process that uses these stores dies: its handles are dead, what is written stays, except the newest
   * `batchesLost` batches of each store (0 as after kill -9, more as after a power loss).
   */
  crash(batchesLost = 0): void {
    invariant(batchesLost <= LOSABLE_BATCHES_MAX, "a crash loses only what can be undone", { batchesLost });
    for (const disk of this.#disks.values()) {
      disk.owner = null;
      const lost = disk.undos.splice(Math.max(0, disk.undos.length - batchesLost));
      for (const undo of lost.reverse()) undoBatch(disk.rows, undo);
    }
  }
}

function undoBatch(rows: Rows, undo: Undo): void {
  for (const [key, value] of undo) {
    if (value === undefined) rows.delete(key);
    else rows.set(key, value);
  }
}
