/** The inbox read again, as the contract of `RowView.pastEvents` says: newest first, until a bound is met. */
import { LIMITS, type InboxRecord } from "@eddy/schemas";
import { eventIn, type PastEvent, type PastRange } from "../../src/core/index.js";

export interface PastRecord {
  readonly offset: number;
  readonly appendTimeMs: number;
  readonly record: InboxRecord | null;
  readonly raw: { readonly value: Uint8Array | null };
}

export function pastEventsOf(inbox: readonly PastRecord[], range: PastRange): readonly PastEvent[] {
  const { names, fromRawMs, toOffset } = range;
  const found: PastEvent[] = [];
  let searched = 0;
  let bytes = 0;
  let advancedSinceMs = 0;
  for (const { offset, appendTimeMs, record, raw } of inbox.toReversed()) {
    if (offset >= toOffset) continue;
    if (names.length === 0 || appendTimeMs < fromRawMs || searched === LIMITS.pastRecordsMax) break;
    searched += 1;
    const event = record === null ? null : eventIn(record);
    if (event !== null && names.includes(event.name)) {
      bytes += raw.value?.length ?? 0;
      if (bytes > LIMITS.pastBytesMax) break;
      found.push({ offset, rawMs: appendTimeMs, advancedSinceMs, record: event });
    }
    if (record?.kind === "advance") advancedSinceMs += record.ms;
  }
  return found.toReversed();
}
