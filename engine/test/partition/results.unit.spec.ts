/** Results (ADR 0022) on their way through a partition task: neither cached nor loaded for a batch, and put together for a worker. */
import { encodeRow } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { MemoryStoreFactory } from "../../src/adapters/memory/index.js";
import { resultKey, runKey, type Core, type ReadRequest, type RowKey } from "../../src/core/index.js";
import { Overlay } from "../../src/partition/overlay.js";
import { Prefetch, type Planned } from "../../src/partition/prefetch.js";
import type { Store } from "../../src/ports/store.js";

const RUN = `${"a".repeat(29)}1`;
const KEY = resultKey(RUN, 0);
const ROW = { data: new Uint8Array(50_000) };
const asked = (key: RowKey): ReadRequest => ({ kind: "row", key });

async function opened(...stored: readonly RowKey<"result">[]): Promise<{ store: Store; overlay: Overlay }> {
  const store = await new MemoryStoreFactory().open("s");
  await store.write({ puts: stored.map((key) => [key, encodeRow("result", ROW)]), deletes: [] });
  const past = { find: () => Promise.resolve([]) };
  return { store, overlay: new Overlay(store, past, { cacheBytesMax: 1_000_000_000 }) };
}

describe("the overlay", () => {
  it("takes results, and lets go of them, without having read them", async () => {
    const { overlay } = await opened();
    overlay.put(KEY, ROW);
    overlay.delete(resultKey(RUN, 1));
    const frozen = overlay.freeze();
    expect(frozen.rows).toEqual([
      [KEY, ROW],
      [resultKey(RUN, 1), null],
    ]);
  });

  it("writes nothing of a result that came and went between two checkpoints", async () => {
    const { overlay } = await opened();
    overlay.put(KEY, ROW);
    overlay.delete(KEY);
    expect(overlay.freeze().rows).toEqual([]);
  });

  it("deletes what a checkpoint is writing", async () => {
    const { overlay } = await opened();
    overlay.put(KEY, ROW);
    overlay.freeze();
    overlay.unpin();
    overlay.delete(KEY);
    overlay.thaw(() => 1);
    expect(overlay.freeze().rows).toEqual([[KEY, null]]);
  });

  it("keeps them in no cache, read or written", async () => {
    const { overlay } = await opened(KEY);
    await overlay.load([asked(KEY)]);
    overlay.put(resultKey(RUN, 1), ROW);
    overlay.freeze();
    overlay.thaw(() => 50_000);
    overlay.unpin();
    expect(overlay.isLoaded(asked(KEY))).toBe(false);
    expect(overlay.isLoaded(asked(resultKey(RUN, 1)))).toBe(false);
    expect(overlay.cachedBytes).toBe(0);
  });

  it("forgets after a decision those that were read for it, not those that changed", async () => {
    const { overlay } = await opened(KEY);
    await overlay.load([asked(KEY), asked(runKey(RUN))]);
    overlay.put(resultKey(RUN, 1), ROW);
    expect(overlay.get(KEY)?.data.length).toBe(50_000);
    overlay.unpinResults();
    expect(overlay.isLoaded(asked(KEY))).toBe(false);
    expect(overlay.isLoaded(asked(runKey(RUN)))).toBe(true);
    expect(overlay.get(resultKey(RUN, 1))).toBe(ROW);
    expect(await overlay.peek(KEY)).toMatchObject({ data: { length: 50_000 } });
  });
});

describe("prefetch", () => {
  it("loads results for one input, and not for many", async () => {
    const { overlay } = await opened(KEY);
    const core = { readPlan: () => [asked(runKey(RUN)), asked(KEY)].filter((r) => !overlay.isLoaded(r)) };
    const prefetch = new Prefetch(core as unknown as Core, overlay);
    const planned = { input: { kind: "tick" } } as Planned;
    await prefetch.load([planned, planned]);
    expect([overlay.isLoaded(asked(runKey(RUN))), overlay.isLoaded(asked(KEY))]).toEqual([true, false]);
    await prefetch.load([planned]);
    expect(overlay.isLoaded(asked(KEY))).toBe(true);
    expect(prefetch.load([planned])).toBe(null);
  });
});
