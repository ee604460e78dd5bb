/**
 * One partition of one topic in memory: its records in offset order, with gaps where compaction took some.
 * Work and memory are bounded without a background task: every append drops what retention allows, and compacts once
 * a compacted partition holds more than twice what its last compaction left.
 */
import { offset } from "@eddy/schemas";
import type { Offset } from "@eddy/schemas";
import { FencedError } from "@eddy/clients/errors";
import type { Appended, LogRecord, NewRecord, OffsetRange, TopicSpec } from "@eddy/clients";
import { AppendSignal } from "../append-signal.js";
import { FrontQueue } from "../front-queue.js";
import type { Fetched, RecordSource } from "../partition-reader.js";

/** A compacted partition below this many records is left alone. */
const COMPACTION_RECORDS_MIN = 1_024;

export class MemoryPartition implements RecordSource {
  /** May change in its retention: read through it, never copy it. */
  readonly topic: { spec: TopicSpec };
  readonly #partition: number;
  readonly #signal = new AppendSignal();
  #records = new FrontQueue<LogRecord>();
  #start = 0;
  #end = 0;
  #lastAppendMs = 0;
  #compactAt = COMPACTION_RECORDS_MIN;
  #epoch = 0;

  constructor(topic: { spec: TopicSpec }, partition: number) {
    this.topic = topic;
    this.#partition = partition;
  }

  get name(): string {
    return `partition ${this.#partition} of ${this.topic.spec.name}`;
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
    throw new FencedError(`a newer writer owns ${this.name}`, {
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
    const expired = this.#records.firstIndex((record) => record.appendTimeMs >= oldestMs);
    if (expired === 0) return;
    this.#records.drop(expired);
    this.#start = this.#records.at(0)?.offset ?? this.#end;
  }

  /** Keeps the newest record of each key of a `compact` topic; a newest one that is an old tombstone goes too. */
  compact(nowMs: number): void {
    if (this.topic.spec.policy !== "compact") return;
    const oldestMs = nowMs - this.topic.spec.retentionMs;
    const newest = new Map<string | null, Offset>();
    const all = this.#records.slice(0, this.#records.length);
    for (const record of all) newest.set(record.key, record.offset);
    this.#records.clear();
    for (const record of all) {
      const isOldTombstone = record.value === null && record.appendTimeMs < oldestMs;
      if (newest.get(record.key) === record.offset && !isOldTombstone) this.#records.push(record);
    }
    this.#compactAt = Math.max(COMPACTION_RECORDS_MIN, this.#records.length * 2);
  }

  fetch(from: Offset, recordsMax: number): Promise<Fetched> {
    const first = this.#records.firstIndex((record) => record.offset >= from);
    const records = this.#records.slice(first, recordsMax);
    const last = records.at(-1);
    const readAll = first + records.length === this.#records.length;
    return Promise.resolve({ records, next: offset(readAll || last === undefined ? this.#end : last.offset + 1) });
  }

  onRecordAt(from: Offset, wake: () => void): () => void {
    if (from >= this.#end) return this.#signal.wait(from, wake);
    wake();
    return () => undefined;
  }
}
