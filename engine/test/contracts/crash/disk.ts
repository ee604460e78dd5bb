/**
 * A disk that loses what was not synced. The process that writes tells how much of each write-ahead log was synced, and
 * up to which file its folder was; `losePower` then takes the rest away, as a power loss may.
 */
import { readdir, rm, stat, truncate } from "node:fs/promises";
import { basename, join } from "node:path";
import { openForSync } from "../../../src/adapters/embedded/wal-sync.js";
import type { OpenForSync, SyncedFile } from "../../../src/adapters/embedded/wal-sync.js";

const WAL = /^(\d+)\.log$/;
const walNumber = (name: string): number => Number(WAL.exec(name)?.[1] ?? NaN);

/** Syncs as the engine does, and tells of each sync once it is done. */
export function tellingSyncs(tell: (sync: Record<string, number>) => void): OpenForSync {
  return async (path) => {
    const file = await openForSync(path);
    if (file === null) return null;
    const told: SyncedFile = {
      datasync: async () => {
        const { size } = await file.stat();
        await file.datasync();
        tell({ wal: walNumber(basename(path)), walBytes: size });
      },
      sync: async () => {
        const named = Math.max(0, ...(await readdir(path)).map(walNumber).filter(Number.isFinite));
        await file.sync();
        tell({ namedWal: named });
      },
      close: () => file.close(),
    };
    return told;
  };
}

/** @param acks what the process told. */
export async function losePower(directory: string, acks: readonly Record<string, number>[]): Promise<void> {
  const synced = new Map<number, number>();
  let named = 0;
  for (const { wal, walBytes, namedWal } of acks) {
    if (wal !== undefined) synced.set(wal, walBytes ?? 0);
    named = Math.max(named, namedWal ?? 0);
  }
  for (const name of await readdir(directory)) {
    if (!WAL.test(name)) continue;
    const path = join(directory, name);
    const { size } = await stat(path);
    const kept = Math.min(size, synced.get(walNumber(name)) ?? 0);
    if (walNumber(name) > named) await rm(path);
    else await truncate(path, kept);
  }
}
