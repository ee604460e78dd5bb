/**
 * Retention and compaction of the embedded log, one partition at a time, in small writes between those of others.
 *
 * Retention (`delete` topics): append times never go back, so the first record to keep is found by bisection, and
 * what lies before it goes in one range deletion. Runs every minute.
 *
 * Compaction (`compact` topics), as Kafka's log cleaner does it, in two passes:
 *   0 ......... cleanEnd ......... upTo ... end        1. read the dirty part, note the newest offset of each key
 *   |  clean      |     dirty       |  untouched       2. rewrite 0..upTo without what a noted offset overtakes
 * `upTo` stops where the notes reach their bound; the rest is for the next run. A crash between the writes of pass 2 only
 * leaves records that a later one overtakes. A tombstone goes after the retention, and never before the values
 * that it covers: those lie before it and were dropped by the same pass, or by an earlier one. Runs when the
 * dirty part is as long as what the last run left, so that a record is rewritten a few times at most.
 */
import { offset } from "@eddy/schemas";
import type { Offset } from "@eddy/schemas";
import { ClosedError } from "@eddy/clients/errors";
import type { Clock, LogRecord } from "@eddy/clients";
import type { EmbeddedPartition, StoredBatch } from "./embedded-partition.js";
import { BATCH_BYTES_MAX, batchHeader, decodeBatch } from "./record-batch.js";
import type { WriteGroup } from "./write-group.js";

const RETENTION_PERIOD_MS = 60_000;
/** A compacted partition with fewer dirty records is left alone. */
const DIRTY_RECORDS_MIN = 1_024;
/** Batches read, and rewritten in one write, at a time. */
const PAGE_BATCHES = 16;

export type Write = <T>(bytes: number, prepare: (group: WriteGroup) => T) => Promise<T>;

export interface LogCleanerOptions {
  readonly clock: Clock;
  /** Writes a small part of a run, between the writes of others. */
  readonly write: Write;
  /** Is told why a run in the background failed. */
  readonly onError: (error: unknown) => void;
  /** Keys that one run of compaction notes: bounds its memory, some 100 bytes each. */
  readonly notedKeysMax: number;
}

export class LogCleaner {
  readonly #options: LogCleanerOptions;
  readonly #stop = new AbortController();
  readonly #due = new Set<EmbeddedPartition>();
  /** One run at a time, in the order of the calls. */
  #work: Promise<void> = Promise.resolve();
  #pacing: Promise<void> = Promise.resolve();

  constructor(options: LogCleanerOptions) {
    this.#options = options;
  }

  /** Enforces retention from time to time, until `stop`. */
  start(partitions: () => readonly EmbeddedPartition[]): void {
    this.#pacing = this.#pace(partitions);
  }

  /** Compacts the partition soon, if that is worth it. */
  noteAppend(partition: EmbeddedPartition): void {
    if (partition.topic.spec.policy !== "compact" || this.#due.has(partition)) return;
    if (partition.dirtyCount < Math.max(DIRTY_RECORDS_MIN, partition.memory.cleanCount)) return;
    this.#due.add(partition);
    this.#inBackground(async () => {
      this.#due.delete(partition);
      await this.#compact(partition);
      this.noteAppend(partition);
    });
  }

  /** Cleans all of the partitions now, each whole. */
  clean(partitions: readonly EmbeddedPartition[]): Promise<void> {
    return this.#inTurn(async () => {
      for (const partition of partitions) {
        await this.#enforceRetention(partition);
        for (let more = partition.topic.spec.policy === "compact"; more;) more = await this.#compact(partition);
      }
    });
  }

  /** Resolves when no run is under way or due. */
  async idle(): Promise<void> {
    for (let seen: Promise<void> | null = null; seen !== this.#work;) {
      seen = this.#work;
      await seen;
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#pacing;
    await this.idle();
  }

  async #pace(partitions: () => readonly EmbeddedPartition[]): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#options.clock.sleep(RETENTION_PERIOD_MS, signal);
      this.#inBackground(async () => {
        for (const partition of partitions()) await this.#enforceRetention(partition);
      });
      await this.idle();
    }
  }

  #inBackground(run: () => Promise<void>): void {
    void this.#inTurn(run).catch((error: unknown) => {
      if (!(error instanceof ClosedError)) this.#options.onError(error);
    });
  }

  #inTurn(run: () => Promise<void>): Promise<void> {
    const mine = this.#work.then(async () => {
      if (!this.#stop.signal.aborted) await run();
    });
    // Who waits for the work waits for its end only; who asked for a run learns how it went.
    this.#work = mine.catch(() => undefined);
    return mine;
  }

  async #enforceRetention(partition: EmbeddedPartition): Promise<void> {
    const { policy, retentionMs } = partition.topic.spec;
    if (policy !== "delete" || this.#stop.signal.aborted) return;
    const { start } = partition.range;
    const keep = await firstKept(partition, this.#options.clock.nowMs() - retentionMs);
    if (keep === start) return;
    partition.tail.clear();
    await this.#options.write(0, (group) => {
      group.remember(partition, { start: keep });
      group.deleteBatches(partition, start, keep);
    });
  }

  /** @returns whether records are left that it has not seen, because it noted as many keys as it may. */
  async #compact(partition: EmbeddedPartition): Promise<boolean> {
    const { end } = partition.range;
    const oldestMs = this.#options.clock.nowMs() - partition.topic.spec.retentionMs;
    const { newest, upTo } = await noteNewest(partition, end, this.#options.notedKeysMax);
    const survives = (record: LogRecord): boolean => {
      const overtakenBy = newest.get(record.key ?? "") ?? record.offset;
      if (overtakenBy > record.offset) return false;
      return record.value !== null || record.appendTimeMs >= oldestMs;
    };
    let left = 0;
    for (let at = offset(0); at < upTo && !this.#stop.signal.aborted;) {
      const page = await partition.batches(at, upTo, PAGE_BATCHES);
      const last = page.at(-1)?.last;
      if (last === undefined) break;
      left += await this.#rewrite(partition, page, survives);
      at = offset(last + 1);
    }
    if (this.#stop.signal.aborted) return false;
    partition.tail.clear();
    await this.#options.write(0, (group) => group.remember(partition, { cleanEnd: upTo, cleanCount: left }));
    return upTo < end;
  }

  /** Drops records of a page that do not survive, and joins small batches. @returns how many records are left. */
  async #rewrite(
    partition: EmbeddedPartition,
    page: readonly StoredBatch[],
    survives: (record: LogRecord) => boolean,
  ): Promise<number> {
    const records = page.flatMap(({ bytes }) => decodeBatch(bytes));
    const kept = records.filter(survives);
    const bytes = page.reduce((sum, batch) => sum + batch.bytes.byteLength, 0);
    const canJoin = page.length > 1 && bytes < BATCH_BYTES_MAX;
    if (kept.length < records.length || canJoin) {
      const old = page.map(({ last }) => last);
      await this.#options.write(bytes, (group) => group.replaceBatches(partition, old, kept));
    }
    return kept.length;
  }
}

/** @returns the first offset whose record is not older than `oldestMs`; the end, if all are. */
async function firstKept(partition: EmbeddedPartition, oldestMs: number): Promise<Offset> {
  const { start, end } = partition.range;
  let low = start;
  let high = end;
  // The oldest first: usually there is nothing to drop.
  for (let middle = start; low < high; middle = offset(Math.floor((low + high) / 2))) {
    const [batch] = await partition.batches(middle, end, 1);
    if (batch === undefined) break;
    const { baseOffset, appendTimeMs } = batchHeader(batch.bytes);
    if (appendTimeMs < oldestMs) low = offset(batch.last + 1);
    else high = baseOffset;
  }
  return low;
}

/** Pass 1: the newest offset of each key from `cleanEnd` to `upTo`, which is `end` or as far as the bound allows. */
async function noteNewest(
  partition: EmbeddedPartition,
  end: Offset,
  keysMax: number,
): Promise<{ readonly newest: ReadonlyMap<string, Offset>; readonly upTo: Offset }> {
  const newest = new Map<string, Offset>();
  let upTo = partition.memory.cleanEnd;
  while (upTo < end) {
    const page = await partition.batches(upTo, end, PAGE_BATCHES);
    if (page.length === 0) return { newest, upTo: end };
    for (const { last, bytes } of page) {
      const records = decodeBatch(bytes, upTo);
      if (newest.size > 0 && newest.size + records.length > keysMax) return { newest, upTo };
      for (const record of records) newest.set(record.key ?? "", record.offset);
      upTo = offset(last + 1);
    }
  }
  return { newest, upTo };
}
