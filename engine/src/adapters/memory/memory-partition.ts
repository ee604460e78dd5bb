/**
 * One partition of one topic in memory: its records in offset order, with gaps where compaction took some.
 * Work and memory are bounded without a background task: every append drops what retention allows, and compacts once
 * a compacted partition holds more than twice what its last compaction left.
 */
import { offset, type Offset } from "@eddy/schemas";
import { FencedError, OffsetOutOfRangeError } from "../../errors/codes.js";
import type { Appended, LogRecord, NewRecord, OffsetRange, TopicSpec } from "../../ports/log.js";
import { AppendSignal } from "../append-signal.js";
import type { Fetched, RecordSource } from "../partition-reader.js";

/** A compacted partition below this many records is left alone. */
const COMPACTION_RECORDS_MIN = 1_024;
/** Dropped records at the front stay in the array until there are this many, and they are half of it. */
const FRONT_RECORDS_MIN = 1_024;

export class MemoryPartition implements RecordSource {
  /** May change in its retention: read through it, never copy it. */
  readonly topic: { spec: TopicSpec };
  readonly #partition: number;
  readonly #signal = new AppendSignal();
  #records: LogRecord[] = [];
  /** Records before this index are deleted. */
  #front = 0;
  #start = 0;
  #end = 0;
  #lastAppendMs = 0;
  #compactAt = COMPACTION_RECORDS_MIN;
  #epoch = 0;

  constructor(topic: { spec: TopicSpec }, partition: number) {
    this.topic = topic;
    this.#partition = partition;
  }

  get range(): OffsetRange {
    return { start: offset(this.#start), end: offset(this.#end) };
  }

  append(records: readonly NewRecord[], nowMs: number): Appended {
    const appendTimeMs = Math.max(this.#lastAppendMs, nowMs);
    const baseOffset = offset(this.#end);
    for (const { key, value } of records) {
      this.#records.push({ offset: offset(this.#end), key, value, appendTimeMs });
      this.#end += 1;
    }
    this.#lastAppendMs = appendTimeMs;
    this.#signal.announce(offset(this.#end));
    if (this.topic.spec.policy === "delete") this.enforceRetention(nowMs);
    else if (this.#records.length >= this.#compactAt) this.compact(nowMs);
    return { baseOffset, appendTimeMs };
  }

  /** @returns the epoch of the new writer; earlier ones are fenced. */
  openWriter(): number {
    this.#epoch += 1;
    return this.#epoch;
  }

  /** @throws FencedError when a newer writer was opened. */
  checkEpoch(epoch: number): void {
    if (epoch === this.#epoch) return;
    throw new FencedError(`a newer writer owns partition ${this.#partition} of ${this.topic.spec.name}`, {
      topic: this.topic.spec.name,
      partition: this.#partition,
      epoch,
      currentEpoch: this.#epoch,
    });
  }

  /** Drops records of a `delete` topic that are older than its retention; one of exactly that age stays. */
  enforceRetention(nowMs: number): void {
    if (this.topic.spec.policy !== "delete") return;
    const oldestMs = nowMs - this.topic.spec.retentionMs;
    let first = this.#records[this.#front];
    if (first === undefined || first.appendTimeMs >= oldestMs) return;
    while (first !== undefined && first.appendTimeMs < oldestMs) {
      this.#front += 1;
      first = this.#records[this.#front];
    }
    this.#start = first?.offset ?? this.#end;
    if (this.#front >= FRONT_RECORDS_MIN && this.#front * 2 >= this.#records.length) {
      this.#records = this.#records.slice(this.#front);
      this.#front = 0;
    }
  }

  /** Keeps the newest record of each key of a `compact` topic; a newest one that is an old tombstone goes too. */
  compact(nowMs: number): void {
    if (this.topic.spec.policy !== "compact") return;
    const oldestMs = nowMs - this.topic.spec.retentionMs;
    const newest = new Map<string | null, Offset>();
    for (const record of this.#records) newest.set(record.key, record.offset);
    this.#records = this.#records.filter(
      (record) =>
        newest.get(record.key) === record.offset && (record.value !== null || record.appendTimeMs >= oldestMs),
    );
    this.#compactAt = Math.max(COMPACTION_RECORDS_MIN, this.#records.length * 2);
  }

  fetch(from: Offset, recordsMax: number): Promise<Fetched> {
    if (from < this.#start || from > this.#end) {
      const fields = { topic: this.topic.spec.name, partition: this.#partition, from, ...this.range };
      const error = new OffsetOutOfRangeError(
        `offset ${from} is not in ${this.#start}..${this.#end} of partition ${this.#partition} of ` +
          this.topic.spec.name,
        fields,
      );
      return Promise.reject(error);
    }
    const first = this.#indexOf(from);
    const records = this.#records.slice(first, first + recordsMax);
    const last = records.at(-1);
    const readAll = first + records.length === this.#records.length;
    return Promise.resolve({ records, next: offset(readAll || last === undefined ? this.#end : last.offset + 1) });
  }

  onRecordAt(from: Offset, wake: () => void): () => void {
    if (from >= this.#end) return this.#signal.wait(from, wake);
    wake();
    return () => undefined;
  }

  /** @returns the index of the first record at or behind `from`. */
  #indexOf(from: Offset): number {
    let low = this.#front;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#records[middle]?.offset ?? Infinity) < from) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
