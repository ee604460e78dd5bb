/** How far the store has come in the changelog: a key of its own beside the rows, in the same batches. */
import { offset, type Offset } from "@eddy/schemas";
import { StateCorruptedError } from "@eddy/clients/errors";
import { parseHoldings, type StoredHoldings } from "./holdings.js";

/** Neither a row nor an index key: kind letter m, as meta has it. */
export const POSITION_KEY = "m|position";

export interface StorePosition {
  /** Everything before it is in the store. */
  readonly changelogOffset: Offset;
  /** Incarnation of the changelog that the offset belongs to. */
  readonly topicId: string;
  /** When the store was last known to have all of the changelog, ms since 1970 by the owner's clock; 0: never yet. */
  readonly completeAtMs: number;
  /** Of the rows there; null: not told by the build that wrote it. */
  readonly holdings: StoredHoldings | null;
}

export function encodePosition(position: StorePosition): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(position));
}

/** @throws StateCorruptedError */
export function decodePosition(bytes: Uint8Array): StorePosition {
  const text = new TextDecoder().decode(bytes);
  try {
    const { changelogOffset, topicId, completeAtMs, holdings } = JSON.parse(text) as Record<string, unknown>;
    if (typeof changelogOffset === "number" && typeof topicId === "string" && typeof completeAtMs === "number") {
      return { changelogOffset: offset(changelogOffset), topicId, completeAtMs, holdings: parseHoldings(holdings) };
    }
  } catch (cause) {
    throw new StateCorruptedError("the store's position is not JSON", { text }, { cause });
  }
  throw new StateCorruptedError("the store's position lacks a field", { text });
}
