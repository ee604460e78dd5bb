/**
 * The log in memory, for `eddy dev --in-memory`, for users' tests and for the simulator. The processes of a simulated
 * cluster share the data: each has a `MemoryLog` of its own, made by `session`, and closing that (or never closing it,
 * as after a crash) leaves the data and the other sessions alone.
 */
import type { Offset } from "@eddy/schemas";
import { ClosedError, invariant } from "@eddy/clients/errors";
import {
  type Appended,
  type ChangelogWriter,
  checkRecords,
  checkSameTopic,
  checkSpec,
  type Clock,
  type GroupOffset,
  type Log,
  type LogReader,
  type NewRecord,
  type OffsetRange,
  type TopicSpec,
  unknownPartition,
} from "@eddy/clients";
import { PartitionReader } from "../partition-reader.js";
import { MemoryPartition } from "./memory-partition.js";

interface MemoryTopic {
  spec: TopicSpec;
  readonly id: string;
  readonly partitions: MemoryPartition[];
}

interface MemoryLogData {
  readonly topics: Map<string, MemoryTopic>;
  readonly groupOffsets: Map<string, GroupOffset>;
  topicsMade: number;
}

export class MemoryLog implements Log {
  readonly #clock: Clock;
  readonly #data: MemoryLogData;
  readonly #readers = new Set<PartitionReader>();
  #closed = false;

  /** @param clock gives the append times, and the real time of waiting reads. */
  constructor(clock: Clock, data: MemoryLogData = { topics: new Map(), groupOffsets: new Map(), topicsMade: 0 }) {
    this.#clock = clock;
    this.#data = data;
  }

  /** Another handle on the same data, as another process would have it; usable after this one was closed. */
  session(clock: Clock = this.#clock): MemoryLog {
    return new MemoryLog(clock, this.#data);
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    this.#checkOpen();
    for (const spec of specs) {
      checkSpec(spec);
      const existing = this.#data.topics.get(spec.name);
      if (existing !== undefined) checkSameTopic(existing.spec, spec);
    }
    for (const spec of specs) {
      const existing = this.#data.topics.get(spec.name);
      if (existing === undefined) this.#makeTopic(spec);
      else existing.spec = spec;
    }
  }

  async topicId(topic: string): Promise<string> {
    this.#checkOpen();
    const found = this.#data.topics.get(topic);
    if (found === undefined) throw unknownPartition(topic, 0);
    return found.id;
  }

  /** Deletes a topic with its records; its waiting readers get nothing more. No error if there is none. */
  deleteTopic(topic: string): void {
    this.#data.topics.delete(topic);
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended> {
    const found = this.#partition(topic, partition);
    invariant(records.length > 0, "an append holds at least one record", { topic, partition });
    checkRecords(found.topic.spec, partition, records);
    return found.append(records, this.#clock.nowMs());
  }

  async offsets(topic: string, partition: number): Promise<OffsetRange> {
    return this.#partition(topic, partition).range;
  }

  reader(topic: string, partition: number, from: Offset): LogReader {
    const source = this.#partition(topic, partition);
    const reader = new PartitionReader(source, from, this.#clock, (closed) => this.#readers.delete(closed));
    this.#readers.add(reader);
    return reader;
  }

  async openChangelogWriter(topic: string, partition: number): Promise<ChangelogWriter> {
    const found = this.#partition(topic, partition);
    const epoch = found.openWriter();
    let open = true;
    return {
      commit: async (records) => {
        if (!open) throw new ClosedError("this changelog writer is closed", { topic, partition });
        this.#checkOpen();
        found.checkEpoch(epoch);
        checkRecords(found.topic.spec, partition, records);
        if (records.length > 0) found.append(records, this.#clock.nowMs());
        return found.range.end;
      },
      close: async () => {
        open = false;
      },
    };
  }

  async commitGroupOffset(group: string, topic: string, partition: number, at: GroupOffset): Promise<void> {
    this.#partition(topic, partition);
    this.#data.groupOffsets.set(JSON.stringify([group, topic, partition]), at);
  }

  async groupOffset(group: string, topic: string, partition: number): Promise<GroupOffset | null> {
    this.#partition(topic, partition);
    return this.#data.groupOffsets.get(JSON.stringify([group, topic, partition])) ?? null;
  }

  /** Applies retention and compaction everywhere at once; appends do it on their own, bit by bit. */
  clean(): void {
    for (const { partitions } of this.#data.topics.values()) {
      for (const partition of partitions) {
        partition.enforceRetention(this.#clock.nowMs());
        partition.compact(this.#clock.nowMs());
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const reader of this.#readers) await reader.close();
  }

  #makeTopic(spec: TopicSpec): void {
    this.#data.topicsMade += 1;
    const topic: MemoryTopic = { spec, id: `${this.#clock.nowMs()}-${this.#data.topicsMade}`, partitions: [] };
    for (let p = 0; p < spec.partitions; p += 1) topic.partitions.push(new MemoryPartition(topic, p));
    this.#data.topics.set(spec.name, topic);
  }

  #partition(topic: string, partition: number): MemoryPartition {
    this.#checkOpen();
    const found = this.#data.topics.get(topic)?.partitions[partition];
    if (found === undefined) throw unknownPartition(topic, partition);
    return found;
  }

  #checkOpen(): void {
    if (this.#closed) throw new ClosedError("this log is closed");
  }
}
