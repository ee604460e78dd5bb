/**
 * Takes a partition over, in this order: fence the former owner's checkpoints, take the end of the changelog, bring the
 * store up to it, check that the inbox still has what comes next, begin. Never redoes what the former owner may have
 * half done.
 *
 * To begin is to commit meta with the next incarnation, before anything is decided. It proves that nobody has fenced us
 * meanwhile: a newer owner's checkpoint, and a compaction after it, may have taken away rows that we were still to read.
 * And it says by which logic a partition that has seen nothing is decided from its first record on.
 */
import { decodeMeta, encodeMeta, encodeRow, offset, BadRecordError, type MetaRow, type Offset } from "@eddy/schemas";
import { FUNCTIONS_KEY, META_KEY, PARTITION_KEY } from "../core/index.js";
import { initialFunctionsRow, initialPartitionRow } from "../core/state/initial.js";
import { ConfigError, OffsetOutOfRangeError, StateCorruptedError } from "@eddy/clients/errors";
import { type ChangelogWriter, coreTopicSpecs, type OffsetRange } from "@eddy/clients";
import type { Store } from "../ports/store.js";
import type { TaskContext } from "./deps.js";
import { countHoldings } from "./count-holdings.js";
import { NO_HOLDINGS } from "./holdings.js";
import { restore } from "./restore.js";
import { decodePosition, encodePosition, POSITION_KEY, type StorePosition } from "./store-position.js";

export interface TakenOver {
  readonly writer: ChangelogWriter;
  readonly store: Store;
  readonly position: StorePosition;
  /** As the changelog has it, but of the next incarnation. */
  readonly meta: MetaRow;
  /** End of the inbox at the takeover: what lies before it was, perhaps, decided by a former owner. */
  readonly inboxEnd: Offset;
}

export interface TakeoverWishes {
  /** Start from an empty store, whatever there is. */
  readonly wipe: boolean;
  /** Aborted: the task is stopping. */
  readonly signal: AbortSignal;
}

/**
 * @throws TransientError, FencedError; ConfigError where the state is of a version that this build does not read;
 * OffsetOutOfRangeError where the inbox lacks records that were never applied; ClosedError when stopped.
 */
export async function takeOver(context: TaskContext, wishes: TakeoverWishes): Promise<TakenOver> {
  const { log, topics, partition, clock, meter } = context;
  const startedAtMs = clock.nowMs();
  const writer = await log.openChangelogWriter(topics.changelog, partition);
  let store: Store | null = null;
  try {
    const range = await log.offsets(topics.changelog, partition);
    const opened = await openStore(context, range, wishes);
    store = opened.store;
    const position = await restore(context, { ...opened, end: range.end, signal: wishes.signal });
    meter.observe("eddy_restore_seconds", (clock.nowMs() - startedAtMs) / 1_000);
    const former = await readMeta(context, store);
    const inbox = await log.offsets(topics.inbox, partition);
    const meta = { ...(former ?? freshMeta(context)), incarnation: (former?.incarnation ?? 0) + 1 };
    checkInbox(context, meta, inbox);
    const begun = await begin(context, { writer, store, position, meta, isFresh: former === null });
    return { writer, store, position: begun, meta, inboxEnd: inbox.end };
  } catch (error) {
    await store?.close();
    await writer.close();
    throw error;
  }
}

interface Opened {
  readonly store: Store;
  readonly position: StorePosition;
}

/** Opens the store; wipes it where it cannot be brought up to the changelog's end by reading on. */
async function openStore(context: TaskContext, range: OffsetRange, { wipe }: TakeoverWishes): Promise<Opened> {
  const { log, stores, topics, partition, logger } = context;
  const name = `state-${partition}`;
  const topicId = await log.topicId(topics.changelog);
  const start = { changelogOffset: range.start, topicId, completeAtMs: 0, holdings: NO_HOLDINGS };
  const existing = wipe ? "it is damaged" : await openExisting(context, name, range, topicId);
  if (typeof existing !== "string") return existing;
  if (existing !== FRESH) logger.warn({ partition, store: name, reason: existing }, "wiped the store to restore it");
  await stores.destroy(name);
  return { store: await stores.open(name), position: start };
}

const FRESH = "it is new";

/** @returns the store, closed again if it has to be wiped: then the reason. */
async function openExisting(
  context: TaskContext,
  name: string,
  range: OffsetRange,
  topicId: string,
): Promise<Opened | string> {
  let store: Store | null = null;
  try {
    store = await context.stores.open(name);
    const [bytes] = await store.getMany([POSITION_KEY]);
    const position = bytes === undefined ? null : decodePosition(bytes);
    const reason = position === null ? FRESH : wipeReason(context, position, range, topicId);
    if (reason === null && position !== null) {
      return { store, position: { ...position, holdings: position.holdings ?? (await countHoldings(store)) } };
    }
    await store.close();
    return reason ?? FRESH;
  } catch (error) {
    await store?.close();
    if (error instanceof StateCorruptedError) return error.message;
    throw error;
  }
}

/** @returns null when reading on from the position gives the right rows. */
function wipeReason(
  { clock, topics, partitions }: TaskContext,
  { changelogOffset, topicId, completeAtMs }: StorePosition,
  range: OffsetRange,
  topicIdNow: string,
): string | null {
  if (topicId !== topicIdNow) return `it is of changelog ${topicId}, which is ${topicIdNow} now`;
  if (changelogOffset < range.start) return `its position ${changelogOffset} is below the changelog's ${range.start}`;
  if (changelogOffset > range.end) return `its position ${changelogOffset} is above the changelog's ${range.end}`;
  const spec = coreTopicSpecs(topics, partitions).find(({ name }) => name === topics.changelog);
  const ageMs = clock.nowMs() - completeAtMs;
  // Tombstones older than the retention may be gone: rows that they deleted would come back to life.
  if (spec !== undefined && ageMs > spec.retentionMs / 2) return `it was complete ${ageMs} ms ago`;
  return null;
}

interface Beginning extends Pick<TakenOver, "writer" | "store" | "position" | "meta"> {
  /** The partition has seen nothing: it gets its first rows. */
  readonly isFresh: boolean;
}

/** @returns the store's position. @throws FencedError, TransientError */
async function begin({ core, clock }: TaskContext, given: Beginning): Promise<StorePosition> {
  const { writer, store, meta, isFresh } = given;
  const puts: [string, Uint8Array][] = [[META_KEY, encodeMeta(meta)]];
  if (isFresh) {
    puts.push([PARTITION_KEY, encodeRow("partition", initialPartitionRow(core.logicVersion))]);
    puts.push([FUNCTIONS_KEY, encodeRow("functions", initialFunctionsRow())]);
  }
  const changelogOffset = await writer.commit(puts.map(([key, value]) => ({ key, value })));
  const position = { ...given.position, changelogOffset, completeAtMs: clock.nowMs() };
  await store.write({ puts: [...puts, [POSITION_KEY, encodePosition(position)]], deletes: [] });
  return position;
}

function freshMeta({ core }: TaskContext): MetaRow {
  return { nextOffset: 0, index: 0, rawMs: 0, lastTimer: "", logic: core.logicVersion, incarnation: 0 };
}

/** @returns null: the partition has seen nothing. */
async function readMeta({ core, partition }: TaskContext, store: Store): Promise<MetaRow | null> {
  const [bytes] = await store.getMany([META_KEY]);
  if (bytes === undefined) return null;
  const version = core.logicVersion;
  const meta = metaOf(bytes);
  const readable = [version - 1, version].filter((n) => n >= 1);
  if (!readable.includes(meta.logic)) {
    throw new ConfigError(
      `partition ${partition} is of logic version ${meta.logic}, this build reads ${readable.join(" and ")}: ` +
        "run a build that reads it, and upgrade one version at a time",
      { partition, logic: meta.logic, readable },
    );
  }
  return meta;
}

function metaOf(bytes: Uint8Array): MetaRow {
  try {
    return decodeMeta(bytes);
  } catch (cause) {
    if (!(cause instanceof BadRecordError)) throw cause;
    throw new StateCorruptedError(`the store's meta cannot be read: ${cause.message}`, {}, { cause });
  }
}

function checkInbox({ topics, partition }: TaskContext, meta: MetaRow, inbox: OffsetRange): void {
  const nextOffset = offset(meta.nextOffset);
  if (nextOffset >= inbox.start && nextOffset <= inbox.end) return;
  const what = nextOffset < inbox.start ? "records between were deleted unread" : "the inbox has lost records";
  throw new OffsetOutOfRangeError(
    `partition ${partition} goes on at offset ${nextOffset}, its inbox has ${inbox.start} to ${inbox.end}: ${what}`,
    { topic: topics.inbox, partition, nextOffset, start: inbox.start, end: inbox.end },
  );
}
