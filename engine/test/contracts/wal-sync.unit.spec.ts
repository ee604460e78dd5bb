import { describe, expect, it } from "vitest";
import { WalSync } from "../../src/adapters/embedded/wal-sync.js";
import type { OpenForSync } from "../../src/adapters/embedded/wal-sync.js";

/** A folder of write-ahead logs that notes what is done to it. */
class Folder {
  current = "/db/1.log";
  readonly deleted = new Set<string>();
  #done: string[] = [];
  failing: string | null = null;

  readonly open: OpenForSync = async (path) => {
    if (this.deleted.has(path)) return null;
    const note = async (what: string): Promise<void> => {
      if (this.failing === path) throw new Error(`cannot sync ${path}`);
      this.#done.push(`${what} ${path}`);
    };
    return { datasync: () => note("datasync"), sync: () => note("sync"), close: () => note("close") };
  };
  done(): readonly string[] {
    return this.#done.splice(0);
  }
}

describe("sync of the write-ahead log", () => {
  it("syncs the file in use after each write, and its folder when the file is new", async () => {
    const folder = new Folder();
    const wal = new WalSync(async () => folder.current, folder.open);
    await wal.sync();
    expect(folder.done()).toEqual(["datasync /db/1.log", "sync /db", "close /db"]);
    await wal.sync();
    expect(folder.done()).toEqual(["datasync /db/1.log"]);
  });
  it("syncs the file before it first, whole, when a write started a new one", async () => {
    const folder = new Folder();
    const wal = new WalSync(async () => folder.current, folder.open);
    await wal.sync();
    folder.done();
    folder.current = "/db/2.log";
    await wal.sync();
    expect(folder.done()).toEqual([
      "datasync /db/1.log",
      "close /db/1.log",
      "datasync /db/2.log",
      "sync /db",
      "close /db",
    ]);
  });
  it("takes a file that is gone for flushed", async () => {
    const folder = new Folder();
    folder.deleted.add("/db/1.log");
    const wal = new WalSync(async () => folder.current, folder.open);
    await wal.sync();
    expect(folder.done()).toEqual(["sync /db", "close /db"]);
    await wal.sync();
    await wal.close();
  });
  it.each(["/db/1.log", "/db/2.log", "/db"])("fails when %s cannot be synced", async (path) => {
    const folder = new Folder();
    const wal = new WalSync(async () => folder.current, folder.open);
    await wal.sync();
    folder.current = "/db/2.log";
    folder.failing = path;
    await expect(wal.sync()).rejects.toThrow(`cannot sync ${path}`);
  });
});
