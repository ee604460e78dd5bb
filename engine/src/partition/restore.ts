/** Brings a store up to the end of the changelog: rows as they are, index entries derived from them anew. */
import { offset, type Offset } from "@eddy/schemas";
import { indexDiff, kindOf, META_KEY, type RowKey } from "../core/index.js";
import { ClosedError, StateCorruptedError, TransientError } from "@eddy/clients/errors";
import type { LogReader, LogRecord } from "@eddy/clients";
import type { Store } from "../ports/store.js";
import type { TaskContext } from "./deps.js";
import { Holdings, NO_HOLDINGS } from "./holdings.js";
import { decodeStored } from "./overlay.js";
import { encodePosition, POSITION_KEY, type StorePosition } from "./store-position.js";

const BATCH_RECORDS_MAX = 1_000;
const READ_WAIT_MS = 1_000;
/** Empty reads in a row before the changelog's end that mean that the log does not answer. */
const EMPTY_READS_MAX = 30;

export interface Restoring {
  readonly store: Store;
  /** Where the store stands. */
  readonly position: StorePosition;
  /** Exclusive: everything before it is restored. */
  readonly end: Offset;
  /** Aborted: the task is stopping. */
  readonly signal: AbortSignal;
}

/** @returns the new position of the store, which has it already. */
export async function restore(context: TaskContext, restoring: Restoring): Promise<StorePosition> {
  const { log, topics, partition, clock, meter } = context;
  const { store, end, signal } = restoring;
  let position = restoring.position;
  const holdings = new Holdings(position.holdings ?? NO_HOLDINGS);
  const reader = log.reader(topics.changelog, partition, position.changelogOffset);
  try {
    let empty = 0;
    while (reader.position < end) {
      if (signal.aborted) throw new ClosedError("stopped while it restored", { partition });
      const records = await nextRecords(reader);
      empty = records.length === 0 ? empty + 1 : 0;
      if (empty > EMPTY_READS_MAX) {
        throw new TransientError(`the changelog gives nothing between ${reader.position} and its end ${end}`, {
          topic: topics.changelog,
          partition,
        });
      }
      const changelogOffset = offset(Math.min(reader.position, end));
      // Not complete yet: a takeover that goes on from here may miss tombstones that were compacted away meanwhile.
      position = { ...position, changelogOffset };
      const wanted = records.filter((record) => record.offset < end);
      position = await writeRecords(store, wanted, { position, holdings });
      meter.count("eddy_restored_records_total", wanted.length);
    }
  } finally {
    await reader.close();
  }
  position = { ...position, completeAtMs: clock.nowMs() };
  await store.write({ puts: [[POSITION_KEY, encodePosition(position)]], deletes: [] });
  return position;
}

function nextRecords(reader: LogReader): Promise<readonly LogRecord[]> {
  return reader.read({ recordsMax: BATCH_RECORDS_MAX, waitMs: READ_WAIT_MS });
}

interface Standing {
  readonly position: StorePosition;
  /** Of the rows there. */
  readonly holdings: Holdings;
}

/** @returns the position that it has written. */
async function writeRecords(
  store: Store,
  records: readonly LogRecord[],
  { position, holdings }: Standing,
): Promise<StorePosition> {
  const newest = new Map<string, Uint8Array | null>();
  for (const { key, value, offset: at } of records) {
    if (key === null) throw new StateCorruptedError("a changelog record has no key", { offset: at });
    newest.set(key, value);
  }
  const keys = [...newest.keys()].filter((key) => key !== META_KEY);
  const stored = await store.getMany(keys);
  const puts: [string, Uint8Array][] = [];
  const deletes: string[] = [];
  for (const [i, key] of keys.entries()) {
    if (kindOf(key) === null) throw new StateCorruptedError(`changelog key ${key} is of no known kind`, { key });
    const before = stored[i];
    const after = newest.get(key) ?? null;
    const rowKey = key as RowKey;
    const rowBefore = before === undefined ? null : decodeStored(rowKey, before);
    const rowAfter = after === null ? null : decodeStored(rowKey, after);
    const diff = indexDiff(rowKey, rowBefore, rowAfter);
    holdings.changed(rowKey, rowBefore, rowAfter, diff);
    deletes.push(...diff.removed);
    for (const [entry, value] of diff.added) puts.push([entry, new TextEncoder().encode(value)]);
    if (after === null) deletes.push(key);
    else puts.push([key, after]);
  }
  const meta = newest.get(META_KEY);
  if (meta !== undefined && meta !== null) puts.push([META_KEY, meta]);
  const written = { ...position, holdings: holdings.stored() };
  puts.push([POSITION_KEY, encodePosition(written)]);
  await store.write({ puts, deletes });
  return written;
}
