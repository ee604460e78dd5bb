import { cp, mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RocksDbStoreFactory } from "../../src/adapters/rocksdb/index.js";
import { ConfigError, StateCorruptedError, StoreLockedError } from "../../../clients/src/errors/codes.js";
import { storeContract } from "./store-contract.js";

storeContract("rocksdb", async () => {
  const directory = await mkdtemp(join(tmpdir(), "eddy-store-"));
  return {
    factory: new RocksDbStoreFactory(directory),
    otherFactory: () => new RocksDbStoreFactory(directory),
    dispose: () => rm(directory, { recursive: true }),
  };
});

/** Keeps the first `share` of the newest write-ahead log's bytes. */
async function cutWal(store: string, share: number): Promise<void> {
  const names = (await readdir(store)).filter((name) => name.endsWith(".log")).sort();
  const path = join(store, names.at(-1) ?? "");
  await truncate(path, Math.floor((await stat(path)).size * share));
}

describe("rocksdb store: what the file system can do to it", () => {
  let directory: string;
  let factory: RocksDbStoreFactory;
  const inStore = (name = ""): string => join(directory, "state-0", name);
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "eddy-store-"));
    factory = new RocksDbStoreFactory(directory);
    const store = await factory.open("state-0");
    await store.write({ puts: [["k", Buffer.from("v")]], deletes: [] });
    await store.close();
    // Opening writes what the write-ahead log held to a table file.
    await (await factory.open("state-0")).close();
  });
  afterEach(() => rm(directory, { recursive: true }));

  it("names the directory that is locked", async () => {
    const store = await factory.open("state-0");
    const refused = factory.open("state-0");
    await expect(refused).rejects.toThrow(StoreLockedError);
    await expect(refused).rejects.toThrow(inStore());
    await store.close();
  });

  const damages: readonly (readonly [string, RegExp, (bytes: Buffer) => Buffer])[] = [
    ["a manifest with other bytes", /^MANIFEST/, (bytes) => bytes.fill(0x55, 10, 40)],
    ["an empty CURRENT", /^CURRENT$/, () => Buffer.alloc(0)],
    ["a table file with other bytes", /\.sst$/, (bytes) => bytes.fill(0x55)],
    ["a table file cut short", /\.sst$/, (bytes) => bytes.subarray(0, bytes.length / 2)],
  ];
  it.each(damages)("throws StateCorruptedError for %s; after destroy it starts anew", async (_, file, damage) => {
    const names = (await readdir(inStore())).filter((name) => file.test(name));
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) await writeFile(inStore(name), damage(await readFile(inStore(name))));
    await expect(factory.open("state-0")).rejects.toThrow(StateCorruptedError);
    await factory.destroy("state-0");
    const store = await factory.open("state-0");
    expect(await store.getMany(["k"])).toEqual([undefined]);
    await store.close();
  });
  it("throws StateCorruptedError when a table file is gone", async () => {
    for (const name of await readdir(inStore())) if (name.endsWith(".sst")) await rm(inStore(name));
    await expect(factory.open("state-0")).rejects.toThrow(StateCorruptedError);
  });
  it("throws ConfigError when the directory is a file", async () => {
    await writeFile(join(directory, "state-1"), "");
    await expect(factory.open("state-1")).rejects.toThrow(ConfigError);
  });
  it("S1 goes back to an earlier batch, never to half of one, when the newest write-ahead log is cut", async () => {
    const store = await factory.open("state-0");
    for (let n = 1; n <= 50; n += 1) {
      const puts = ["a", "b", "c"].map((key) => [key, Buffer.from(String(n))] as const);
      await store.write({ puts, deletes: [] });
    }
    const found: number[] = [];
    for (const share of [0, 0.31, 0.5, 0.77, 0.99, 1]) {
      await cp(inStore(), join(directory, "cut"), { recursive: true });
      await cutWal(join(directory, "cut"), share);
      const cut = await factory.open("cut");
      const values = (await cut.getMany(["a", "b", "c"])).map((value) => Number(Buffer.from(value ?? []).toString()));
      expect(new Set(values).size).toBe(1);
      found.push(values[0] ?? NaN);
      await cut.close();
      await factory.destroy("cut");
    }
    await store.close();
    expect(found).toEqual([...found].sort((x, y) => x - y));
    expect([found[0], found.at(-2), found.at(-1)]).toEqual([0, 49, 50]);
  });
  it("does not gather RocksDB's text logs over many opens", async () => {
    for (let i = 0; i < 5; i += 1) await (await factory.open("state-0")).close();
    expect((await readdir(inStore())).filter((name) => name.startsWith("LOG")).length).toBeLessThanOrEqual(2);
  });
});
