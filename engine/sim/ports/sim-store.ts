/** The disk of one machine: it outlives the processes that run on it, but for the newest batches, or now and then whole. */
import { LOSABLE_BATCHES_MAX, MemoryStoreFactory } from "../../src/adapters/memory/memory-store.js";
import { StateCorruptedError } from "@eddy/clients/errors";
import type { ScanRange, Store, StoreBatch, StoreFactory } from "../../src/ports/store.js";
import type { Prng } from "../prng.js";
import type { SimProcess } from "../process.js";
import type { OpKind, Scheduler } from "../scheduler.js";

export class SimDisk {
  #files = new MemoryStoreFactory();
  /** Stores that cannot be opened before they are made anew. */
  readonly damaged = new Set<string>();

  get files(): MemoryStoreFactory {
    return this.#files;
  }

  /**
   * The process that used it is gone.
   * @param how `wipe`: the machine is gone as well, an empty one takes its place. `damage`: one store cannot be read.
   */
  crash(rng: Prng, how: { readonly wipe: boolean; readonly damage: boolean }): void {
    this.damaged.clear();
    if (how.damage) this.damaged.add(`state-${rng.between(0, 3)}`);
    if (how.wipe) this.#files = new MemoryStoreFactory();
    else this.#files.crash(rng.chance(0.5) ? 0 : rng.between(1, Math.min(4, LOSABLE_BATCHES_MAX)));
  }
}

export class SimStoreFactory implements StoreFactory {
  readonly #scheduler: Scheduler;
  readonly #process: SimProcess;
  readonly #files: MemoryStoreFactory;
  readonly #damaged: Set<string>;

  constructor(scheduler: Scheduler, process: SimProcess, disk: SimDisk) {
    this.#scheduler = scheduler;
    this.#process = process;
    this.#files = disk.files;
    this.#damaged = disk.damaged;
  }

  async open(name: string): Promise<Store> {
    const inner = await this.#do("storeOpen", `open ${name}`, async () => {
      if (this.#damaged.has(name)) throw new StateCorruptedError(`simulated damage of ${name}`);
      return this.#files.open(name);
    });
    return {
      getMany: (keys) => this.#do("storeRead", `get ${name} x${keys.length}`, () => inner.getMany(keys)),
      scan: (range: ScanRange) => this.#do("storeRead", `scan ${name} ${range.from}`, () => inner.scan(range)),
      write: (batch: StoreBatch) =>
        this.#do("storeWrite", `write ${name} +${batch.puts.length} -${batch.deletes.length}`, () =>
          inner.write(batch),
        ),
      close: () => inner.close(),
    };
  }

  destroy(name: string): Promise<void> {
    return this.#do("storeOpen", `destroy ${name}`, () => {
      this.#damaged.delete(name);
      return this.#files.destroy(name);
    });
  }

  #do<T>(kind: OpKind, what: string, act: () => Promise<T>): Promise<T> {
    return this.#scheduler.suspend(this.#process, { kind, what, delayMs: this.#process.delayMs(kind), act });
  }
}
