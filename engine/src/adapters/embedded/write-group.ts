/**
 * What is written together in one RocksDB batch: appends, commits, fences, offsets and cleaning, in the order in which
 * they were asked for. Offsets and append times are given out here, so that they follow that order. The records of one
 * partition become common batches, whoever appended them.
 */
import { offset } from "@eddy/schemas";
import type { Offset } from "@eddy/schemas";
import type { Appended, LogRecord, NewRecord } from "@eddy/clients";
import type { GroupItem } from "../rocksdb/group-commit.js";
import type { Batch } from "../rocksdb/native-db.js";
import type { EmbeddedPartition, PartitionMemory } from "./embedded-partition.js";
import { partitionKey } from "./keys.js";
import { batchesOf, encodeBatch } from "./record-batch.js";
import type { TailCache } from "./tail-cache.js";

/** One thing to write. `prepare` runs when its turn comes; when it throws, this item alone is refused. */
export class LogWrite<T> implements GroupItem {
  readonly bytes: number;
  readonly #prepare: (group: WriteGroup) => T;
  #outcome: { readonly value: T } | { readonly refusal: Error } | null = null;

  constructor(bytes: number, prepare: (group: WriteGroup) => T) {
    this.bytes = bytes;
    this.#prepare = prepare;
  }

  prepare(group: WriteGroup): void {
    try {
      this.#outcome = { value: this.#prepare(group) };
    } catch (error) {
      this.#outcome = { refusal: error instanceof Error ? error : new Error(String(error)) };
    }
  }

  /** Once the group is written. @throws what `prepare` threw. */
  result(): T {
    if (this.#outcome === null) throw new Error("the group of this write has not been written");
    if ("refusal" in this.#outcome) throw this.#outcome.refusal;
    return this.#outcome.value;
  }
}

export class WriteGroup {
  readonly #nowMs: number;
  readonly #operations: ((batch: Batch) => void)[] = [];
  readonly #appends = new Map<EmbeddedPartition, LogRecord[]>();

  /** @param nowMs append time of the group, unless a partition is ahead of it already. */
  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  put(key: Buffer, value: Uint8Array): void {
    this.#operations.push((batch) => batch.put(key, value));
  }

  append(partition: EmbeddedPartition, records: readonly NewRecord[]): Appended {
    const appendTimeMs = Math.max(partition.lastAppendMs, this.#nowMs);
    const baseOffset = partition.assignedEnd;
    let assigned = this.#appends.get(partition);
    if (assigned === undefined) this.#appends.set(partition, (assigned = []));
    let at: number = baseOffset;
    for (const { key, value } of records) {
      assigned.push({ offset: offset(at), key, value, appendTimeMs });
      at += 1;
    }
    partition.assignedEnd = offset(at);
    partition.lastAppendMs = appendTimeMs;
    return { baseOffset, appendTimeMs };
  }

  remember(partition: EmbeddedPartition, changed: Partial<PartitionMemory>): void {
    partition.remember(changed);
    this.put(partitionKey(partition.topic.no, partition.no), Buffer.from(JSON.stringify(partition.memory)));
  }

  /** Deletes the batches whose last offsets lie in `from`..`to`, without `to`. */
  deleteBatches(partition: EmbeddedPartition, from: Offset, to: Offset): void {
    this.#operations.push((batch) => batch.deleteRange(partition.recordsKey(from), partition.recordsKey(to)));
  }

  /** Puts `records` in the place of the batches that end at the `old` offsets. */
  replaceBatches(partition: EmbeddedPartition, old: readonly Offset[], records: readonly LogRecord[]): void {
    this.#operations.push((batch) => {
      for (const last of old) batch.delete(partition.recordsKey(last));
      putRecords(batch, partition, records);
    });
  }

  /** Puts everything into the batch. */
  fill(batch: Batch): void {
    for (const operation of this.#operations) operation(batch);
    for (const [partition, records] of this.#appends) putRecords(batch, partition, records);
  }

  /** Shows readers what was written. @returns the partitions that grew. */
  show(cache: TailCache): Iterable<EmbeddedPartition> {
    for (const [partition, records] of this.#appends) {
      cache.add(partition.tail, records);
      partition.advance(partition.assignedEnd);
    }
    return this.#appends.keys();
  }
}

function putRecords(batch: Batch, partition: EmbeddedPartition, records: readonly LogRecord[]): void {
  for (const part of batchesOf(records)) {
    const last = part.at(-1);
    if (last !== undefined) batch.put(partition.recordsKey(last.offset), encodeBatch(part));
  }
}
