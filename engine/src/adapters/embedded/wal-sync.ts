/**
 * Makes what was written survive a power loss. rocksdb-native cannot be asked to sync its write-ahead log, but says
 * which file that is; a file can be synced by anybody who opens it.
 *
 * Writes run one at a time and each is followed by `sync`, so that at most two files have unsynced bytes: the one that
 * was current at the last sync and the one that is current now. The older one goes first, whole: recovery stops at
 * the first gap. A file that is gone was flushed to a table file, which RocksDB itself has synced.
 */
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname } from "node:path";

export interface SyncedFile {
  /** Resolves when the file's bytes and its length are on the disk. */
  datasync(): Promise<void>;
  /** For a folder: resolves when its entries are on the disk; `datasync` alone need not do that. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** @returns null where there is no such file. */
export type OpenForSync = (path: string) => Promise<SyncedFile | null>;

export async function openForSync(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

export class WalSync {
  readonly #walFile: () => Promise<string>;
  readonly #open: OpenForSync;
  #path = "";
  #file: SyncedFile | null = null;

  /** @param walFile path of the write-ahead log file in use. */
  constructor(walFile: () => Promise<string>, openFile: OpenForSync = openForSync) {
    this.#walFile = walFile;
    this.#open = openFile;
  }

  /** Resolves when everything written so far survives a power loss. Calls must not overlap. */
  async sync(): Promise<void> {
    const path = await this.#walFile();
    await this.#file?.datasync();
    if (path === this.#path) return;
    await this.#file?.close();
    this.#file = await this.#open(path);
    this.#path = path;
    await this.#file?.datasync();
    await this.#syncFolder(dirname(path));
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = null;
    this.#path = "";
  }

  /** A new file is found after a power loss only if its folder was synced. */
  async #syncFolder(path: string): Promise<void> {
    const folder = await this.#open(path);
    await folder?.sync();
    await folder?.close();
  }
}
