import { encodeRow, type RunRow } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { MemoryStoreFactory } from "../../src/adapters/memory/index.js";
import {
  idsKey,
  inFlightPrefix,
  keptEventKey,
  runKey,
  timerKey,
  type IndexRange,
  type PastEvent,
  type PastRange,
  type Row,
} from "../../src/core/index.js";
import { IndexWindow } from "../../src/partition/index-window.js";
import { Overlay } from "../../src/partition/overlay.js";
import type { PastSource } from "../../src/partition/past-events.js";
import type { Store } from "../../src/ports/store.js";
import { eventOf, runOf } from "./builders.js";

const run: (runId: string, given?: Partial<RunRow>) => Row<"run"> = runOf;
const sleeping = (runId: string, dueAtMs: number): Row<"run"> =>
  run(runId, { pending: [{ kind: "sleep", no: 0, dueAtMs, stepId: "s" }] });
const timerOf = (runId: string, dueAtMs: number): string =>
  timerKey({ domain: "v", dueAtMs, target: { kind: "pending", runId, no: 0 } });
const requested = (runId: string, at: number): Row<"run"> =>
  run(runId, { invocation: { no: 1, cause: { offset: at, index: 0 }, leaseUntilMs: null, memoSent: 0 } });

const bytesOf = (row: Row<"run">): Uint8Array => encodeRow("run", row as RunRow);

const NO_PAST: PastSource = { find: async (ranges) => ranges.map(() => []) };

async function opened(cacheBytesMax = 1_000_000, past = NO_PAST): Promise<{ store: Store; overlay: Overlay }> {
  const store = await new MemoryStoreFactory().open("s");
  return { store, overlay: new Overlay(store, past, { cacheBytesMax }) };
}
const load = (overlay: Overlay, ...ids: string[]): Promise<void> =>
  overlay.load(ids.map((id) => ({ kind: "row", key: runKey(id) }) as const));
/** Writes what is frozen, as a checkpoint does. */
async function thaw(overlay: Overlay, store: Store): Promise<void> {
  const { rows, indexAdded, indexRemoved } = overlay.freeze();
  const text = new TextEncoder();
  await store.write({
    puts: [
      ...rows.flatMap(([key, row]) => (row === null ? [] : [[key, bytesOf(row as Row<"run">)] as const])),
      ...indexAdded.map(([key, value]) => [key, text.encode(value)] as const),
    ],
    deletes: [...rows.flatMap(([key, row]) => (row === null ? [key] : [])), ...indexRemoved],
  });
  overlay.thaw(() => 100);
}

describe("the overlay", () => {
  it("throws for what was not loaded, and knows what is not there", async () => {
    const { overlay } = await opened();
    expect(() => overlay.get(runKey("a"))).toThrow("read plan");
    expect(() => overlay.indexValue("x|a")).toThrow("read plan");
    expect(() => overlay.scanIndex({ from: "q|", to: "q}", limit: 1 })).toThrow("read plan");
    expect(() => overlay.put(runKey("a"), run("a"))).toThrow("read before");
    await overlay.load([
      { kind: "row", key: runKey("a") },
      { kind: "index", key: "x|a" },
    ]);
    expect(overlay.get(runKey("a"))).toBe(null);
    expect(overlay.indexValue("x|a")).toBe(null);
  });

  it("asks the store once for what is missing, and not at all for what it has", async () => {
    const { overlay, store } = await opened();
    const asked: (readonly string[])[] = [];
    const getMany = store.getMany.bind(store);
    store.getMany = (keys) => {
      asked.push(keys);
      return getMany(keys);
    };
    await load(overlay, "a", "b", "a");
    await load(overlay, "b", "c");
    await load(overlay, "c");
    expect(asked).toEqual([[runKey("a"), runKey("b")], [runKey("c")]]);
  });

  it("writes no trace of a row that came and went between two checkpoints", async () => {
    const { overlay } = await opened();
    await load(overlay, "a", "b");
    overlay.put(runKey("a"), sleeping("a", 10));
    overlay.put(runKey("b"), sleeping("b", 10));
    overlay.delete(runKey("a"));
    const { rows, indexAdded, indexRemoved } = overlay.freeze();
    expect(rows.map(([key]) => key)).toEqual([runKey("b")]);
    expect(indexAdded).toEqual([[timerOf("b", 10), ""]]);
    expect(indexRemoved).toEqual([]);
  });

  it("deletes a row that the frozen layer or the store has", async () => {
    const { overlay, store } = await opened();
    await load(overlay, "a");
    overlay.put(runKey("a"), sleeping("a", 10));
    overlay.freeze();
    overlay.delete(runKey("a"));
    overlay.thaw(() => 0);
    expect(overlay.freeze()).toMatchObject({
      rows: [[runKey("a"), null]],
      indexAdded: [],
      indexRemoved: [timerOf("a", 10)],
    });
    overlay.thaw(() => 0);
    await store.write({ puts: [[runKey("s"), bytesOf(sleeping("s", 20))]], deletes: [] });
    await load(overlay, "s");
    overlay.delete(runKey("s"));
    expect(overlay.freeze()).toMatchObject({
      rows: [[runKey("s"), null]],
      indexAdded: [],
      indexRemoved: [timerOf("s", 20)],
    });
  });

  it("deletes a kept event unread, by a tombstone, for it may be there", async () => {
    const { overlay } = await opened();
    overlay.delete(keptEventKey("route", 7));
    expect(overlay.freeze().rows).toEqual([[keptEventKey("route", 7), null]]);
  });

  it("takes a kept event that is put unread for a new one", async () => {
    const { overlay } = await opened();
    const event = { eventId: "e", atMs: 1, payload: new Uint8Array() };
    overlay.put(keptEventKey("route", 7), event);
    overlay.put(keptEventKey("route", 8), event);
    overlay.delete(keptEventKey("route", 8));
    expect(overlay.get(keptEventKey("route", 7))).toEqual(event);
    expect(overlay.freeze().rows).toEqual([[keptEventKey("route", 7), event]]);
  });

  it("removes an index entry that was replaced and came back", async () => {
    const { overlay, store } = await opened();
    await store.write({
      puts: [
        [runKey("a"), bytesOf(sleeping("a", 10))],
        [timerOf("a", 10), new Uint8Array()],
      ],
      deletes: [],
    });
    await load(overlay, "a");
    overlay.put(runKey("a"), sleeping("a", 20));
    overlay.put(runKey("a"), sleeping("a", 10));
    overlay.put(runKey("a"), sleeping("a", 30));
    expect(overlay.freeze()).toMatchObject({
      indexAdded: [[timerOf("a", 30), ""]],
      indexRemoved: [timerOf("a", 10)],
    });
  });

  it("shows the newest of all layers, while and after a checkpoint writes", async () => {
    const { overlay, store } = await opened();
    await load(overlay, "a", "b");
    overlay.put(runKey("a"), sleeping("a", 1));
    overlay.put(runKey("b"), sleeping("b", 1));
    overlay.freeze();
    overlay.put(runKey("a"), sleeping("a", 2));
    expect(overlay.get(runKey("a"))).toEqual(sleeping("a", 2));
    expect(overlay.get(runKey("b"))).toEqual(sleeping("b", 1));
    await store.write({ puts: [[runKey("a"), bytesOf(sleeping("a", 1))]], deletes: [] });
    overlay.thaw(() => 0);
    expect(overlay.get(runKey("a"))).toEqual(sleeping("a", 2));
    expect(overlay.get(runKey("b"))).toEqual(sleeping("b", 1));
  });

  it("keeps clean rows within its bound, reads them again when they are needed (G11)", async () => {
    const bound = 20_000;
    const { overlay, store } = await opened(bound);
    const ids = Array.from({ length: 500 }, (_, n) => `run${n}`);
    for (const id of ids) {
      await load(overlay, id);
      overlay.put(runKey(id), sleeping(id, 10));
      await thaw(overlay, store);
      overlay.unpin();
      expect(overlay.cachedBytes).toBeLessThanOrEqual(bound);
    }
    expect(overlay.changedRows).toBe(0);
    expect(overlay.isLoaded({ kind: "row", key: runKey("run0") })).toBe(false);
    expect(overlay.isLoaded({ kind: "row", key: runKey("run499") })).toBe(true);
    await load(overlay, "run0");
    expect(overlay.get(runKey("run0"))).toEqual(sleeping("run0", 10));
  });

  it("holds a row until the batch ends, though the cache is too small for it", async () => {
    const { overlay, store } = await opened(10);
    await store.write({ puts: [[runKey("a"), bytesOf(run("a"))]], deletes: [] });
    await load(overlay, "a");
    expect(overlay.get(runKey("a"))).toEqual(run("a"));
    overlay.unpin();
    expect(overlay.isLoaded({ kind: "row", key: runKey("a") })).toBe(false);
  });

  it("names a row that it cannot read", async () => {
    const { overlay, store } = await opened();
    await store.write({ puts: [[runKey("a"), new Uint8Array([9, 9, 9])]], deletes: [] });
    await expect(load(overlay, "a")).rejects.toMatchObject({ code: "STATE_CORRUPTED" });
    await expect(overlay.peek(runKey("a"))).rejects.toMatchObject({ code: "STATE_CORRUPTED" });
  });

  it("remembers ids as index entries, one by one", async () => {
    const { overlay } = await opened();
    const key = idsKey("user", 1, 0);
    await overlay.load([{ kind: "row", key }]);
    overlay.put(key, { ids: [["a", 4, 10]], expiresAtMs: 100 });
    overlay.put(key, {
      ids: [
        ["a", 4, 10],
        ["b", 5, 11],
      ],
      expiresAtMs: 100,
    });
    expect(overlay.indexValue("x|a")).toBe("4 10");
    expect(overlay.indexValue("x|b")).toBe("5 11");
    overlay.delete(key);
    expect(overlay.freeze()).toMatchObject({ rows: [], indexAdded: [], indexRemoved: [] });
  });
});

describe("scans of the index", () => {
  const range: IndexRange = { from: inFlightPrefix("app"), to: "q}", limit: 3 };
  const found = (overlay: Overlay): string[] => overlay.scanIndex(range).map(([, runId]) => runId);

  it("merge what is stored, frozen and dirty", async () => {
    const { overlay, store } = await opened();
    await load(overlay, "a", "b", "c", "d");
    for (const [id, at] of [
      ["a", 1],
      ["b", 2],
    ] as const) {
      overlay.put(runKey(id), requested(id, at));
    }
    await thaw(overlay, store);
    overlay.put(runKey("c"), requested("c", 3));
    overlay.delete(runKey("a"));
    overlay.freeze();
    overlay.put(runKey("d"), requested("d", 0));
    overlay.delete(runKey("b"));
    await overlay.load([{ kind: "scan", range }]);
    expect(found(overlay)).toEqual(["d", "c"]);
  });

  it("follow what is decided after they were loaded", async () => {
    const { overlay } = await opened();
    await load(overlay, "a", "b");
    overlay.put(runKey("a"), requested("a", 1));
    await overlay.load([{ kind: "scan", range }]);
    overlay.put(runKey("b"), requested("b", 2));
    overlay.delete(runKey("a"));
    expect(found(overlay)).toEqual(["b"]);
  });

  it("are read on when what was loaded no longer reaches the limit", async () => {
    const { overlay, store } = await opened();
    const ids = Array.from({ length: 1_100 }, (_, n) => `r${String(n).padStart(4, "0")}`);
    await load(overlay, ...ids);
    for (const [n, id] of ids.entries()) overlay.put(runKey(id), requested(id, n));
    await thaw(overlay, store);
    await overlay.load([{ kind: "scan", range }]);
    expect(found(overlay)).toEqual(["r0000", "r0001", "r0002"]);
    await load(overlay, ...ids);
    for (const id of ids.slice(0, 1_023)) overlay.delete(runKey(id));
    expect(overlay.isLoaded({ kind: "scan", range })).toBe(false);
    await overlay.load([{ kind: "scan", range }]);
    expect(found(overlay)).toEqual(["r1023", "r1024", "r1025"]);
  });

  it("are read again when a checkpoint overtakes them", async () => {
    const { overlay, store } = await opened();
    await load(overlay, "a");
    overlay.put(runKey("a"), requested("a", 1));
    const scan = store.scan.bind(store);
    let scans = 0;
    store.scan = async (wanted) => {
      const before = await scan(wanted);
      // The answer is old by the time it is given: the checkpoint has been written meanwhile.
      if (scans++ === 0) await thaw(overlay, store);
      return before;
    };
    await overlay.load([{ kind: "scan", range }]);
    expect(scans).toBe(2);
    expect(found(overlay)).toEqual(["a"]);
  });
});

describe("past events", () => {
  it("are asked for once in a batch, all ranges together, and forgotten with it", async () => {
    const asked: (readonly PastRange[])[] = [];
    const one: PastEvent = { offset: 3, rawMs: 1, advancedSinceMs: 0, record: eventOf() };
    const find: PastSource["find"] = async (ranges) => {
      asked.push(ranges);
      return ranges.map(({ names }) => (names.includes("n") ? [one] : []));
    };
    const { overlay } = await opened(1_000, { find });
    const [n, m, later] = [
      { names: ["n"], fromRawMs: 1, toOffset: 7 },
      { names: ["m"], fromRawMs: 1, toOffset: 7 },
      { names: ["n"], fromRawMs: 1, toOffset: 8 },
    ];
    const requests = (...ranges: readonly PastRange[]) => ranges.map((range) => ({ kind: "past", range }) as const);
    expect(() => overlay.pastEvents(n)).toThrow("read plan");
    await overlay.load(requests(n, m, { ...n }));
    await overlay.load(requests(m, later));
    expect(asked).toEqual([[n, m], [later]]);
    expect(overlay.pastEvents({ ...n })).toEqual([one]);
    expect(overlay.pastEvents(m)).toEqual([]);
    overlay.unpin();
    expect(overlay.isLoaded({ kind: "past", range: n })).toBe(false);
    expect(() => overlay.pastEvents(n)).toThrow("read plan");
  });
});

describe("peek", () => {
  it("reads beside the loop, and again when the row changed and was written meanwhile", async () => {
    const { overlay, store } = await opened(10);
    await store.write({ puts: [[runKey("a"), bytesOf(run("a", { nextPendingNo: 1 }))]], deletes: [] });
    const getMany = store.getMany.bind(store);
    let reads = 0;
    store.getMany = async (keys) => {
      const before = await getMany(keys);
      if (reads++ === 0) {
        await load(overlay, "a");
        overlay.put(runKey("a"), run("a", { nextPendingNo: 2 }));
        await thaw(overlay, store);
        overlay.unpin();
      }
      return before;
    };
    expect((await overlay.peek(runKey("a")))?.nextPendingNo).toBe(2);
    expect(await overlay.peek(runKey("none"))).toBe(null);
    await load(overlay, "none");
    overlay.put(runKey("none"), run("none"));
    expect(await overlay.peek(runKey("none"))).toEqual(run("none"));
  });
});

describe("a window of an index", () => {
  it("forgets its end when it grows too large, and covers less", () => {
    const window = new IndexWindow({ from: "t|", to: "t}" });
    window.extend("t}", []);
    for (let n = 0; n < 10; n++) window.noteAdded(`t|${n}`, "");
    expect(window.complete).toBe(true);
    window.trim(4);
    expect(window.complete).toBe(false);
    expect(window.size).toBe(4);
    window.noteAdded("t|7", "");
    window.noteAdded("t|35", "");
    expect(window.has("t|7")).toBe(false);
    expect(window.first(10).map(([key]) => key)).toEqual(["t|0", "t|1", "t|2", "t|3", "t|35"]);
    expect(window.readFrom).toBe("t|4");
  });
});
