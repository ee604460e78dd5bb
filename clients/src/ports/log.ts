/**
 * Port: the log. Topics of partitions of records, with the semantics of Kafka: an append is acknowledged when it is
 * durable, offsets of one partition grow, records get the log's append time, the changelog takes transactional batches
 * from one fenced writer per partition.
 *
 * Contract (test/contracts/log-contract.ts is its executable form; every adapter runs it):
 *  L1  `append` resolves only when the records are durable as the adapter promises, in the order given, at consecutive
 *      offsets of one partition; it stores all of them or none.
 *  L2  Append time never goes back within a partition.
 *  L3  A rejected `append` may or may not have stored its records (outcome unknown), unless it threw `FencedError` or
 *      `BadRecordError`: then it stored nothing.
 *  L4  A reader sees every record from its start offset on, in offset order, none twice.
 *  L5  `commit` of a changelog writer is atomic. After a newer writer was opened for the same partition, the older one's
 *      commits throw `FencedError` and store nothing.
 *  L6  Readers of the changelog see committed records only.
 *  L7  A compacted topic keeps at least the newest record of each key.
 *  L8  Group offsets are durable once `commitGroupOffset` resolves; the newest wins.
 * Offsets of a partition grow, but need not be consecutive: compaction and transactions leave gaps. Whoever hands
 * `value` bytes over or gets them does not change them afterwards.
 * Errors: `TransientError` (retry is useful), `FencedError`, `OffsetOutOfRangeError`, `BadRecordError` (a tombstone in a
 * topic that is not compacted, a record without a key in one that is, or one that is too large), `ClosedError` (use
 * after close), `InvariantViolation` (unknown topic or partition, overlapping reads: a bug of the caller).
 */
import type { Offset } from "@eddy/schemas";

export type TopicPolicy = "delete" | "compact";

export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
  readonly policy: TopicPolicy;
  /** Records older than this may be dropped (delete), tombstones likewise (compact). In ms. */
  readonly retentionMs: number;
}

export interface NewRecord {
  readonly key: string | null;
  /** null: a tombstone; only in compacted topics. */
  readonly value: Uint8Array | null;
}

export interface LogRecord extends NewRecord {
  readonly offset: Offset;
  /** ms since 1970, by the log's clock. In topics that are not ours it may be what the producer says, -1: it says none. */
  readonly appendTimeMs: number;
  /** By name; of several with one name the last. Absent where there are none: Eddy writes none. */
  readonly headers?: RecordHeaders;
}

export type RecordHeaders = ReadonlyMap<string, Uint8Array | null>;

export interface Appended {
  readonly baseOffset: Offset;
  readonly appendTimeMs: number;
}

export interface OffsetRange {
  /** First offset that can still be read. */
  readonly start: Offset;
  /** The offset that the next record will get: the high watermark. */
  readonly end: Offset;
}

export interface ReadLimits {
  readonly recordsMax: number;
  /** How long to wait for a first record, in ms of real time; 0 asks without waiting. */
  readonly waitMs: number;
}

/** One reader of one partition; calls must not overlap. */
export interface LogReader {
  /**
   * @returns the next records, empty after `waitMs` without one.
   * @throws OffsetOutOfRangeError when the position was deleted by retention, or lies behind the end: never skips
   * silently. May give fewer than `recordsMax` records although there are more.
   */
  read(limits: ReadLimits): Promise<readonly LogRecord[]>;
  /**
   * Offset that the next `read` starts at. A read moves it over gaps too, so that a reader that has everything stands
   * at the end.
   */
  readonly position: Offset;
  /** Ends a waiting `read` with an empty answer. Idempotent. */
  close(): Promise<void>;
}

/** The only process that may write one changelog partition, until a newer one is opened. */
export interface ChangelogWriter {
  /**
   * `records` may be empty: then it only checks the fence.
   * @returns the offset after the last record written. @throws FencedError, TransientError (outcome unknown)
   */
  commit(records: readonly NewRecord[]): Promise<Offset>;
  close(): Promise<void>;
}

export interface GroupOffset {
  readonly offset: Offset;
  /** Free text of the committer; Eddy keeps delivery marks here. */
  readonly metadata: string;
}

export interface Log {
  /**
   * Creates what is missing; idempotent.
   * @throws ConfigError where an existing topic has another partition count or policy; another retention is taken over.
   */
  ensureTopics(specs: readonly TopicSpec[]): Promise<void>;
  /** Identity of this incarnation of the topic: another one after it was deleted and made again. */
  topicId(topic: string): Promise<string>;
  /** L1-L3. `records` not empty. */
  append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended>;
  offsets(topic: string, partition: number): Promise<OffsetRange>;
  reader(topic: string, partition: number, from: Offset): LogReader;
  /** Fences every earlier writer of the partition, then resolves. */
  openChangelogWriter(topic: string, partition: number): Promise<ChangelogWriter>;
  commitGroupOffset(group: string, topic: string, partition: number, at: GroupOffset): Promise<void>;
  groupOffset(group: string, topic: string, partition: number): Promise<GroupOffset | null>;
  close(): Promise<void>;
}
