/**
 * One partition of the embedded log: where it starts and ends, who owns its changelog, and how its records are read.
 * Only `WriteGroup`, which runs one group at a time, changes what is written down.
 *
 *   start <= cleanEnd <= end <= assignedEnd
 *   start        first offset that retention left (compaction leaves it alone)
 *   cleanEnd     compaction went this far
 *   end          behind the newest record that is durable: what readers see
 *   assignedEnd  behind the newest record of the group that is being written
 */
import { offset } from "@eddy/schemas";
import type { Offset } from "@eddy/schemas";
import { FencedError, StateCorruptedError } from "@eddy/clients/errors";
import type { LogRecord, OffsetRange, TopicSpec } from "@eddy/clients";
import { AppendSignal } from "../append-signal.js";
import { checkInRange } from "../partition-reader.js";
import type { Fetched, RecordSource } from "../partition-reader.js";
import type { NativeDb } from "../rocksdb/native-db.js";
import { lastOffsetOf, recordsKey } from "./keys.js";
import { decodeBatch } from "./record-batch.js";
import { Tail } from "./tail-cache.js";

/** A fetch stops once it has this many bytes. */
const FETCH_BYTES_MAX = 4 * 1_048_576;
/** Batches of the first scan of a fetch; each further one doubles it, so that large records stay few. */
const FIRST_SCAN_BATCHES = 4;

export interface EmbeddedTopic {
  readonly no: number;
  readonly id: string;
  spec: TopicSpec;
  readonly partitions: readonly EmbeddedPartition[];
}

/** What a partition remembers besides its records. */
export interface PartitionMemory {
  readonly start: Offset;
  /** The end when this was written: it may have no records left from which to tell. */
  readonly end: Offset;
  readonly lastAppendMs: number;
  readonly epoch: number;
  readonly cleanEnd: Offset;
  /** Records that compaction left below `cleanEnd`. */
  readonly cleanCount: number;
}

export interface StoredBatch {
  readonly last: Offset;
  readonly bytes: Buffer;
}

export class EmbeddedPartition implements RecordSource {
  readonly topic: Pick<EmbeddedTopic, "no" | "spec">;
  readonly no: number;
  readonly tail = new Tail();
  readonly #db: NativeDb;
  readonly #signal = new AppendSignal();
  #memory: PartitionMemory;
  #end: Offset;
  assignedEnd: Offset;
  /** Of the newest record that was assigned an offset. */
  lastAppendMs: number;

  /** @param newest the newest record that is stored; null if there is none. */
  constructor(
    db: NativeDb,
    topic: Pick<EmbeddedTopic, "no" | "spec">,
    no: number,
    memory: PartitionMemory | null,
    newest: LogRecord | null,
  ) {
    const zero = offset(0);
    this.#db = db;
    this.topic = topic;
    this.no = no;
    this.#memory = memory ?? { start: zero, end: zero, lastAppendMs: 0, epoch: 0, cleanEnd: zero, cleanCount: 0 };
    this.#end = offset(Math.max(this.#memory.end, newest === null ? 0 : newest.offset + 1));
    this.assignedEnd = this.#end;
    this.lastAppendMs = Math.max(this.#memory.lastAppendMs, newest?.appendTimeMs ?? 0);
  }

  get name(): string {
    return `partition ${this.no} of ${this.topic.spec.name}`;
  }

  get range(): OffsetRange {
    return { start: this.#memory.start, end: this.#end };
  }

  get memory(): PartitionMemory {
    return { ...this.#memory, end: this.#end, lastAppendMs: this.lastAppendMs };
  }

  /**
   * After a write of unknown outcome: what the disk has of the partition counts.
   * @param stored the same partition, as the catalog has read it.
   * @throws StateCorruptedError where it lacks what readers saw
   */
  restore(stored: EmbeddedPartition): void {
    const { end } = stored.range;
    if (end < this.#end) {
      const message = `${this.name} ends at ${end} on the disk, but records up to ${this.#end} were there before`;
      throw new StateCorruptedError(message, { partition: this.name, end, before: this.#end });
    }
    this.tail.clear();
    this.#memory = stored.memory;
    this.assignedEnd = end;
    this.lastAppendMs = stored.lastAppendMs;
    this.advance(end);
  }

  /** From the moment this is part of a write group: a reader must not go where records are being deleted. */
  remember(changed: Partial<PartitionMemory>): void {
    this.#memory = { ...this.#memory, ...changed };
  }

  /** @throws FencedError when a newer writer was opened. */
  checkEpoch(epoch: number): void {
    const { epoch: currentEpoch } = this.#memory;
    if (epoch === currentEpoch) return;
    throw new FencedError(`a newer writer owns ${this.name}`, { partition: this.name, epoch, currentEpoch });
  }

  /** Shows readers what is durable now. */
  advance(end: Offset): void {
    this.#end = end;
    this.#signal.announce(end);
  }

  /** Records that compaction has not seen yet. */
  get dirtyCount(): number {
    return this.#end - this.#memory.cleanEnd;
  }

  async fetch(from: Offset, recordsMax: number): Promise<Fetched> {
    const end = this.#end;
    if (from >= end) return { records: [], next: end };
    const cached = this.tail.read(from, Math.min(recordsMax, end - from));
    if (cached !== null) return { records: cached, next: offset(from + cached.length) };
    const fetched = await this.#fetchStored(from, end, recordsMax);
    // Retention may have passed `from` during the scan: then what was found is not all there was.
    checkInRange(this, from);
    return fetched;
  }

  onRecordAt(from: Offset, wake: () => void): () => void {
    if (from >= this.#end) return this.#signal.wait(from, wake);
    wake();
    return () => undefined;
  }

  /** Batches that hold records at or behind `from` and before `to`, in order; the first may begin before `from`. */
  async batches(from: Offset, to: Offset, limit: number): Promise<readonly StoredBatch[]> {
    const rows = await this.#db.scan({ from: this.recordsKey(from), to: this.recordsKey(to), limit });
    return rows.map(({ key, value }) => ({ last: lastOffsetOf(key), bytes: value }));
  }

  recordsKey(lastOffset: Offset): Buffer {
    return recordsKey(this.topic.no, this.no, lastOffset);
  }

  async #fetchStored(from: Offset, end: Offset, recordsMax: number): Promise<Fetched> {
    const records: LogRecord[] = [];
    let next = from;
    let bytes = 0;
    for (let limit = FIRST_SCAN_BATCHES; records.length < recordsMax && bytes < FETCH_BYTES_MAX; limit *= 2) {
      const wanted = Math.min(limit, recordsMax - records.length);
      const batches = await this.batches(next, end, wanted);
      for (const batch of batches) {
        for (const record of decodeBatch(batch.bytes, next)) records.push(record);
        next = offset(batch.last + 1);
        bytes += batch.bytes.byteLength;
      }
      if (batches.length < wanted) return { records, next: end };
    }
    return { records, next };
  }
}
