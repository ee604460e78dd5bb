/**
 * What the data directory takes of its disk. Walking through the files is done beside everything else, at most once in
 * half a minute, and only while somebody asks.
 */
import { readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Clock, Logger } from "@eddy/clients";

export interface DiskUsage {
  /** Bytes of files, by what they belong to. */
  readonly stores: Readonly<Record<StoreKind, number>>;
  /** Of the file system, in bytes. */
  readonly size: number;
  readonly free: number;
}
export type StoreKind = "state" | "history" | "log" | "other";

const LOOK_AGAIN_MS = 30_000;

export class DiskUsageWatch {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #known: DiskUsage | null = null;
  #lookedAtMs = -Infinity;

  constructor({ directory, clock, logger }: { directory: string; clock: Clock; logger: Logger }) {
    this.#directory = directory;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** What is known; null at first. Looks again beside, when that is old. */
  get usage(): DiskUsage | null {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#lookedAtMs >= LOOK_AGAIN_MS) {
      this.#lookedAtMs = nowMs;
      void this.#look();
    }
    return this.#known;
  }

  async #look(): Promise<void> {
    try {
      const { bsize, blocks, bavail } = await statfs(this.#directory);
      const stores = { state: 0, history: 0, log: 0, other: 0 };
      await addSizes(this.#directory, "other", stores);
      this.#known = { stores, size: bsize * blocks, free: bsize * bavail };
    } catch (err) {
      this.#logger.debug({ err, directory: this.#directory }, "the size of the data directory cannot be told");
    }
  }
}

const KINDS: readonly (readonly [RegExp, StoreKind])[] = [
  [/^state-\d+$/, "state"],
  [/^history-\d+$/, "history"],
  [/^log$/, "log"],
];

async function addSizes(directory: string, kind: StoreKind, sums: Record<StoreKind, number>): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    const kindThere = KINDS.find(([pattern]) => pattern.test(entry.name))?.[1] ?? kind;
    if (entry.isDirectory()) await addSizes(path, kindThere, sums);
    else sums[kind] += await sizeOf(path);
  }
}

/** RocksDB deletes files at any time. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
}
