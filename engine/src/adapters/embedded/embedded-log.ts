/**
 * The durable log of one process, on RocksDB: the semantics of a Kafka topic without a broker.
 *
 *   append ─┐                    ┌─ one RocksDB batch ── (fsync: sync its write-ahead log) ──> acknowledge, wake readers
 *   commit ─┼─> queue ─> group ──┘
 *   offset ─┘            while a group is being written, the next one gathers
 *
 * Acknowledged means: in RocksDB's write-ahead log, handed to the operating system, so that it survives kill -9 of this
 * process; with `fsync` it is on the disk and survives a power loss too. After a failed write, as on a full disk, nobody
 * knows what the disk holds, and offsets must not be given out twice: the log then refuses every write until it has read
 * again what is there, as after a crash. Readers see none of a failed write before. The directory belongs to one process
 * at a time.
 */
import { randomUUID } from "node:crypto";
import type { Offset } from "@eddy/schemas";
import { ClosedError, TransientError, invariant } from "@eddy/clients/errors";
import {
  type Appended,
  type ChangelogWriter,
  checkRecords,
  checkSameTopic,
  checkSpec,
  type Clock,
  type GroupOffset,
  type Log,
  type Logger,
  type LogReader,
  type NewRecord,
  type OffsetRange,
  type TopicSpec,
  unknownPartition,
} from "@eddy/clients";
import { PartitionReader } from "../partition-reader.js";
import { GroupCommit } from "../rocksdb/group-commit.js";
import { NativeDb } from "../rocksdb/native-db.js";
import { loadTopics, newTopic, topicRow } from "./catalog.js";
import type { EmbeddedPartition, EmbeddedTopic } from "./embedded-partition.js";
import { groupKey } from "./keys.js";
import { LogCleaner } from "./log-cleaner.js";
import { recordBytesMax } from "./record-batch.js";
import { TailCache } from "./tail-cache.js";
import { WalSync, openForSync } from "./wal-sync.js";
import type { OpenForSync } from "./wal-sync.js";
import { LogWrite, WriteGroup } from "./write-group.js";

export interface EmbeddedLogOptions {
  /** Gives the append times, the real time of waiting reads, and the pace of retention. */
  readonly clock: Clock;
  /** Is told of failures of retention and compaction, which run in the background, and of writes that fail. */
  readonly logger: Pick<Logger, "error">;
  /** Acknowledged records survive a power loss too, at the price of a disk's sync per group. */
  readonly fsync: boolean;
  /** Size of a memtable in bytes; default 32 MiB. */
  readonly writeBufferBytes?: number;
  /** The newest records of all partitions that stay in memory, in bytes; default 32 MiB. */
  readonly tailBytesMax?: number;
  /** Keys that one run of compaction holds in memory, some 100 bytes each; default 200,000. */
  readonly notedKeysMax?: number;
  /** How files are synced: for tests of `fsync`. */
  readonly openForSync?: OpenForSync;
}

const WRITE_BUFFER_BYTES = 32 * 1_048_576;
const TAIL_BYTES_MAX = 32 * 1_048_576;
const NOTED_KEYS_MAX = 200_000;
/** Pause between two looks whether writes are possible again, in ms. */
const MEND_EVERY_MS = 1_000;
/** What an append takes in a group besides its records, roughly. */
const WRITE_OVERHEAD_BYTES = 64;

export class EmbeddedLog implements Log {
  readonly #db: NativeDb;
  readonly #clock: Clock;
  readonly #walSync: WalSync | null;
  readonly #topics: Map<string, EmbeddedTopic>;
  readonly #tails: TailCache;
  readonly #readers = new Set<PartitionReader>();
  readonly #commits: GroupCommit<LogWrite<unknown>>;
  readonly #cleaner: LogCleaner;
  readonly #logger: Pick<Logger, "error">;
  /** Of the last write; null once it has been looked what came of it. */
  #failure: Error | null = null;
  #mendAtMs = Number.NEGATIVE_INFINITY;
  #closing: Promise<void> | null = null;

  private constructor(db: NativeDb, topics: Map<string, EmbeddedTopic>, options: EmbeddedLogOptions) {
    this.#db = db;
    this.#topics = topics;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#tails = new TailCache(options.tailBytesMax ?? TAIL_BYTES_MAX);
    this.#walSync = options.fsync ? new WalSync(() => db.walFile(), options.openForSync ?? openForSync) : null;
    this.#commits = new GroupCommit((group) => this.#writeGroup(group));
    this.#cleaner = new LogCleaner({
      clock: options.clock,
      write: (bytes, prepare) => this.#write(bytes, prepare),
      onError: (error) =>
        options.logger.error({ error, directory: db.directory }, "cleaning of the embedded log failed"),
      notedKeysMax: options.notedKeysMax ?? NOTED_KEYS_MAX,
    });
  }

  /**
   * Opens the log of `directory`, or makes it, and recovers offsets and epochs from its records.
   * @throws StoreLockedError that names the directory while another owner has it; StateCorruptedError when it is
   * damaged; ConfigError when the directory cannot be used.
   */
  static async open(directory: string, options: EmbeddedLogOptions): Promise<EmbeddedLog> {
    const db = await NativeDb.open(directory, { writeBufferBytes: options.writeBufferBytes ?? WRITE_BUFFER_BYTES });
    try {
      const log = new EmbeddedLog(db, await loadTopics(db), options);
      await log.#walSync?.sync();
      log.#cleaner.start(() => log.#allPartitions());
      return log;
    } catch (error) {
      await db.close();
      throw error;
    }
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    for (const spec of specs) checkSpec(spec);
    await this.#write(WRITE_OVERHEAD_BYTES, (group) => {
      const known = new Map([...this.#topics.values()].map(({ spec }) => [spec.name, spec]));
      for (const spec of specs) {
        checkSameTopic(known.get(spec.name) ?? spec, spec);
        known.set(spec.name, spec);
      }
      for (const spec of specs) this.#putTopic(group, spec);
    });
  }

  async topicId(topic: string): Promise<string> {
    this.#checkOpen();
    const found = this.#topics.get(topic);
    if (found === undefined) throw unknownPartition(topic, 0);
    return found.id;
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended> {
    const found = this.#partition(topic, partition);
    invariant(records.length > 0, "an append holds at least one record", { topic, partition });
    checkRecords(found.topic.spec, partition, records);
    return this.#write(bytesOf(records), (group) => group.append(found, records));
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
    const epoch = await this.#write(WRITE_OVERHEAD_BYTES, (group) => {
      group.remember(found, { epoch: found.memory.epoch + 1 });
      return found.memory.epoch;
    });
    let open = true;
    return {
      commit: async (records) => {
        if (!open) throw new ClosedError("this changelog writer is closed", { topic, partition });
        checkRecords(found.topic.spec, partition, records);
        return this.#write(bytesOf(records), (group) => {
          found.checkEpoch(epoch);
          if (records.length > 0) group.append(found, records);
          return found.assignedEnd;
        });
      },
      close: async () => {
        open = false;
      },
    };
  }

  async commitGroupOffset(group: string, topic: string, partition: number, at: GroupOffset): Promise<void> {
    this.#partition(topic, partition);
    const value = Buffer.from(JSON.stringify(at));
    await this.#write(value.byteLength, (to) => to.put(groupKey(group, topic, partition), value));
  }

  async groupOffset(group: string, topic: string, partition: number): Promise<GroupOffset | null> {
    this.#partition(topic, partition);
    const [value] = await this.#db.getMany([groupKey(group, topic, partition)]);
    return value === undefined ? null : (JSON.parse(value.toString()) as GroupOffset);
  }

  /** Applies retention and compaction everywhere now; they also run by themselves. */
  clean(): Promise<void> {
    this.#checkOpen();
    return this.#cleaner.clean(this.#allPartitions());
  }

  /** Resolves when no cleaning is under way or due. */
  cleaned(): Promise<void> {
    return this.#cleaner.idle();
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    for (const reader of this.#readers) await reader.close();
    await this.#cleaner.stop();
    await this.#commits.drain();
    await this.#walSync?.close();
    await this.#db.close();
  }

  /** @returns what `prepare` returned, once the group that it was part of is durable. @throws what it threw. */
  async #write<T>(bytes: number, prepare: (group: WriteGroup) => T): Promise<T> {
    this.#checkOpen();
    const write = new LogWrite(bytes, prepare);
    await this.#commits.add(write);
    return write.result();
  }

  async #writeGroup(writes: readonly LogWrite<unknown>[]): Promise<void> {
    if (this.#failure !== null) await this.#mend(this.#failure);
    const group = new WriteGroup(this.#clock.nowMs());
    for (const write of writes) write.prepare(group);
    try {
      await this.#db.write((batch) => group.fill(batch));
      await this.#walSync?.sync();
    } catch (cause) {
      throw this.#failed(cause);
    }
    for (const partition of group.show(this.#tails)) this.#cleaner.noteAppend(partition);
  }

  #failed(cause: unknown): Error {
    const { directory } = this.#db;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `a write to the log failed, it is tried again until the log takes writes: ${reason}`;
    // Once: it may last.
    if (this.#failure === null) this.#logger.error({ directory, err: cause }, message);
    this.#failure = new TransientError(message, { directory }, { cause });
    this.#mendAtMs = this.#clock.nowMs() + MEND_EVERY_MS;
    return this.#failure;
  }

  /** Takes over what the disk has, once the database can be opened again. @throws why it cannot */
  async #mend(failure: Error): Promise<void> {
    if (this.#clock.nowMs() < this.#mendAtMs) throw failure;
    try {
      await this.#walSync?.close();
      await this.#db.reopen(); // also where only a sync failed: another one would not tell what is lost
      await this.#walSync?.sync();
      const stored = await loadTopics(this.#db);
      for (const [name, { partitions }] of this.#topics) {
        const found = stored.get(name);
        if (found === undefined)
          this.#topics.delete(name); // its making failed
        else for (const partition of partitions) partition.restore(found.partitions[partition.no] ?? partition);
      }
    } catch (cause) {
      throw this.#failed(cause);
    }
    this.#failure = null;
  }

  #putTopic(group: WriteGroup, spec: TopicSpec): void {
    let topic = this.#topics.get(spec.name);
    if (topic === undefined) {
      const no = 1 + Math.max(0, ...[...this.#topics.values()].map((other) => other.no));
      topic = newTopic(this.#db, { no, id: randomUUID(), spec });
      this.#topics.set(spec.name, topic);
    }
    topic.spec = spec;
    group.put(...topicRow(topic));
  }

  #allPartitions(): readonly EmbeddedPartition[] {
    return [...this.#topics.values()].flatMap(({ partitions }) => partitions);
  }

  #partition(topic: string, partition: number): EmbeddedPartition {
    this.#checkOpen();
    const found = this.#topics.get(topic)?.partitions[partition];
    if (found === undefined) throw unknownPartition(topic, partition);
    return found;
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new ClosedError("this log is closed", { directory: this.#db.directory });
  }
}

function bytesOf(records: readonly NewRecord[]): number {
  return records.reduce((sum, record) => sum + recordBytesMax(record), WRITE_OVERHEAD_BYTES);
}
