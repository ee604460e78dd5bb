/** Counts what a store holds that does not say so: once, where an earlier build wrote it. */
import { KIND_LETTERS, NO_DIFF, timerPrefix, type IndexDiff, type RowKey } from "../core/index.js";
import type { Store } from "../ports/store.js";
import { Holdings, type StoredHoldings } from "./holdings.js";
import { decodeStored } from "./overlay.js";

/** Rows or index entries of one scan. */
const SCAN_MAX = 1_024;

/** @throws StateCorruptedError */
export async function countHoldings(store: Store): Promise<StoredHoldings> {
  const holdings = new Holdings();
  for await (const [key, bytes] of allOf(store, `${KIND_LETTERS.run}|`)) {
    const runKey = key as RowKey<"run">;
    holdings.changed(runKey, null, decodeStored(runKey, bytes), NO_DIFF);
  }
  for (const domain of ["v", "w"] as const) {
    for await (const [key] of allOf(store, timerPrefix(domain))) {
      const diff: IndexDiff = { removed: [], added: [[key, ""]] };
      holdings.changed(key as RowKey, null, null, diff);
    }
  }
  return holdings.stored();
}

/** @param prefix ends with "|". */
async function* allOf(store: Store, prefix: string): AsyncIterable<readonly [key: string, value: Uint8Array]> {
  const to = `${prefix.slice(0, -1)}}`;
  for (let from = prefix; ;) {
    const found = await store.scan({ from, to, limit: SCAN_MAX });
    yield* found;
    const last = found.at(-1)?.[0];
    if (last === undefined || found.length < SCAN_MAX) return;
    from = `${last}\0`;
  }
}
