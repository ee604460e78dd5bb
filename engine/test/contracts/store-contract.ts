/** The Store port's contract, S1-S4 of ports/store.ts, for every adapter: call it inside the adapter's spec file. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ClosedError, StoreLockedError } from "../../../clients/src/errors/codes.js";
import type { Store, StoreFactory } from "../../src/ports/store.js";

export interface StoreWorld {
  readonly factory: StoreFactory;
  /** Another factory on the same disk, as another process would have it. */
  otherFactory(): StoreFactory;
  /** Closes what is open and removes the disk. */
  dispose(): Promise<void>;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value);
const put = (key: string, value = key): readonly [string, Uint8Array] => [key, bytes(value)];
const EVERYTHING = { from: "\u0000", to: "\u{10ffff}", limit: 1_000_000 };

async function keysIn(store: Store, range: Partial<typeof EVERYTHING> = {}): Promise<readonly string[]> {
  return (await store.scan({ ...EVERYTHING, ...range })).map(([key]) => key);
}
async function textsOf(store: Store, keys: readonly string[]): Promise<readonly (string | undefined)[]> {
  return (await store.getMany(keys)).map(text);
}

export function storeContract(adapter: string, makeWorld: () => Promise<StoreWorld>): void {
  describe(`store contract: ${adapter}`, () => {
    let world: StoreWorld;
    let store: Store;
    beforeEach(async () => {
      world = await makeWorld();
      store = await world.factory.open("state-0");
    });
    afterEach(async () => {
      await store.close();
      await world.dispose();
    });
    const fill = (...keys: readonly string[]): Promise<void> =>
      store.write({ puts: keys.map((key) => put(key)), deletes: [] });

    describe("S1 write", () => {
      it("applies a batch whole, and gives values in the order asked for", async () => {
        await store.write({ puts: [put("a", "1"), put("b", "2"), put("c", "3")], deletes: [] });
        await store.write({ puts: [put("b", "22"), put("d", "4")], deletes: ["a", "never-there"] });
        const values = await textsOf(store, ["d", "a", "b", "b", "x", "c"]);
        expect(values).toEqual(["4", undefined, "22", "22", undefined, "3"]);
      });
      it("applies deletes before puts, and the last put of a key", async () => {
        await store.write({ puts: [put("a", "old")], deletes: [] });
        await store.write({ puts: [put("a", "new"), put("b", "1"), put("b", "2")], deletes: ["a", "b"] });
        expect(await textsOf(store, ["a", "b"])).toEqual(["new", "2"]);
      });
      it("takes an empty batch and answers no keys with no values", async () => {
        await store.write({ puts: [], deletes: [] });
        expect(await store.getMany([])).toEqual([]);
        expect(await keysIn(store)).toEqual([]);
      });
      it("keeps an empty value apart from no value, and a large one whole", async () => {
        const large = new Uint8Array(4 * 1_048_576).map((_, i) => i % 251);
        const puts = [["empty", new Uint8Array(0)] as const, ["large", large] as const];
        await store.write({ puts, deletes: [] });
        const [empty, none, found] = await store.getMany(["empty", "none", "large"]);
        expect(empty?.byteLength).toBe(0);
        expect(none).toBeUndefined();
        expect(Buffer.compare(found ?? bytes(""), large)).toBe(0);
      });
      it("takes batches that were not awaited in the order of the calls", async () => {
        const writes = Array.from({ length: 50 }, (_, i) => store.write({ puts: [put("n", String(i))], deletes: [] }));
        await Promise.all(writes);
        expect(await textsOf(store, ["n"])).toEqual(["49"]);
      });
      it("takes 5,000 rows at once", async () => {
        const keys = Array.from({ length: 5_000 }, (_, i) => String(i).padStart(6, "0"));
        await fill(...keys);
        expect(await keysIn(store)).toEqual(keys);
        expect(await textsOf(store, keys)).toEqual(keys);
      });
      it("keeps everything over close and open", async () => {
        await fill("a", "b");
        await store.write({ puts: [], deletes: ["a"] });
        await store.close();
        store = await world.otherFactory().open("state-0");
        expect(await textsOf(store, ["a", "b"])).toEqual([undefined, "b"]);
      });
    });

    describe("S2 order", () => {
      it("is that of UTF-8 bytes, not of UTF-16 units", async () => {
        const keys = [
          "€",
          "a",
          "\u{1f600}",
          "\uffff",
          "ab",
          "Z",
          "\ue000",
          "é",
          "\u{10000}",
          "a|b",
          "a|",
          "\u0001",
          "~",
        ];
        const byBytes = [...keys].sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
        expect(byBytes).not.toEqual([...keys].sort());
        await fill(...keys);
        expect(await keysIn(store)).toEqual(byBytes);
      });
      it("makes `from` inclusive and `to` exclusive", async () => {
        await fill("a", "b", "b|1", "c");
        expect(await keysIn(store, { from: "b", to: "c" })).toEqual(["b", "b|1"]);
        expect(await keysIn(store, { from: "aa", to: "b|" })).toEqual(["b"]);
        expect(await keysIn(store, { from: "\u{10000}", to: "\u{10001}" })).toEqual([]);
      });
      it("finds nothing in an empty or reversed range", async () => {
        await fill("a", "b", "c");
        expect(await keysIn(store, { from: "b", to: "b" })).toEqual([]);
        expect(await keysIn(store, { from: "c", to: "a" })).toEqual([]);
      });
      it.each([0, 1, 8, 9, 10, 11])("stops at a limit of %i out of 10 rows", async (limit) => {
        const keys = Array.from({ length: 10 }, (_, i) => `k${i}`);
        await fill(...keys);
        expect(await keysIn(store, { limit })).toEqual(keys.slice(0, limit));
      });
      it("scans values with their keys, without what was deleted", async () => {
        await fill("a", "b", "c");
        await store.write({ puts: [put("c", "new")], deletes: ["a"] });
        const rows = await store.scan(EVERYTHING);
        expect(rows.map(([key, value]) => [key, text(value)])).toEqual([
          ["b", "b"],
          ["c", "new"],
        ]);
      });
    });

    it("S3 a scan sees one state while batches change every row", async () => {
      const keys = Array.from({ length: 1_000 }, (_, i) => `k${String(i).padStart(4, "0")}`);
      const version = (n: number): Promise<void> =>
        store.write({ puts: keys.map((key) => put(key, String(n))), deletes: [] });
      await version(0);
      const scans: Promise<readonly (readonly [string, Uint8Array])[]>[] = [];
      const writes: Promise<void>[] = [];
      for (let n = 1; n <= 20; n += 1) {
        scans.push(store.scan(EVERYTHING));
        writes.push(version(n));
      }
      for (const rows of await Promise.all(scans)) {
        expect(rows).toHaveLength(keys.length);
        expect(new Set(rows.map(([, value]) => text(value))).size).toBe(1);
      }
      await Promise.all(writes);
    });

    describe("S4 use after close", () => {
      it("rejects with ClosedError, and closing again is harmless", async () => {
        await fill("a");
        await store.close();
        await store.close();
        await expect(store.getMany(["a"])).rejects.toThrow(ClosedError);
        await expect(store.scan(EVERYTHING)).rejects.toThrow(ClosedError);
        await expect(store.write({ puts: [put("b")], deletes: [] })).rejects.toThrow(ClosedError);
        await expect(store.getMany([])).rejects.toThrow(ClosedError);
      });
      it("lets calls under way end, before close resolves", async () => {
        await fill("a", "b");
        const under = [store.write({ puts: [put("c")], deletes: [] }), store.getMany(["a"]), store.scan(EVERYTHING)];
        const closed = store.close();
        const ends = await Promise.allSettled(under);
        await closed;
        expect(ends.map((end) => end.status)).toEqual(["fulfilled", "fulfilled", "fulfilled"]);
        store = await world.otherFactory().open("state-0");
        expect(await textsOf(store, ["c"])).toEqual(["c"]);
      });
    });

    describe("factory", () => {
      it("refuses a second open of a name with StoreLockedError that names it, until it is closed", async () => {
        for (const factory of [world.factory, world.otherFactory()]) {
          const second = factory.open("state-0");
          await expect(second).rejects.toThrow(StoreLockedError);
          await expect(second).rejects.toThrow("state-0");
        }
        await fill("still usable");
        await store.close();
        store = await world.factory.open("state-0");
        expect(await keysIn(store)).toEqual(["still usable"]);
      });
      it("keeps stores of different names apart", async () => {
        await fill("a");
        const other = await world.factory.open("state-1");
        expect(await keysIn(other)).toEqual([]);
        await other.close();
      });
      it("destroys a closed store whole, one that never was, but not an open one", async () => {
        await fill("a");
        await expect(world.factory.destroy("state-0")).rejects.toThrow(StoreLockedError);
        expect(await keysIn(store)).toEqual(["a"]);
        await store.close();
        await world.factory.destroy("state-0");
        await world.factory.destroy("state-never");
        store = await world.factory.open("state-0");
        expect(await keysIn(store)).toEqual([]);
      });
    });
  });
}
