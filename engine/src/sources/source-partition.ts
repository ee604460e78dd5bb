/**
 * Takes the records of one partition of a user's topic into the inbox, while the group gives it to this engine.
 *
 *   made --resume--> taking --quiesce--> still --resume--> taking ... --stop--> ended
 *                       \__ fenced ________/
 *
 * Invariants:
 *  E1  A source offset is committed only after the inbox has the events of all records before it, and the dead letter
 *      topic those that are none. So nothing is lost, whenever the process ends.
 *  E2  A record becomes the same event with the same id each time, so what is sent twice because of E1 (a crash before the
 *      commit, an owner that was replaced without noticing) is dropped by the window of ids: a day of the log's time.
 *  E3  Batches follow each other: the next one is sent when the former is acknowledged. So events that share a match value
 *      are in the inbox in the order of the source's partition, and no more than one fetch is held in memory.
 *  E4  A record that is no event stops nothing. A registry, an inbox or a broker that does not answer is waited for.
 */
import {
  LogTail,
  RequestError,
  type Clock,
  type EventSender,
  type GroupMember,
  type Log,
  type Logger,
  type LogRecord,
  type Meter,
  type NewRecord,
  type PartitionWork,
} from "@eddy/clients";
import { ClosedError, FencedError, TransientError } from "@eddy/clients/errors";
import { offset, type EventInput, type Offset } from "@eddy/schemas";
import { letterOf } from "./dead-letters.js";
import { NO_HEADERS, UndecodableError, type Decode } from "./decoded.js";
import { toEvent, type Mapping } from "./to-event.js";

export interface SourcePartitionDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly sender: Pick<EventSender, "send">;
  /** Of the source's group; it has `partition`. */
  readonly member: Pick<GroupMember, "commit" | "committed">;
  readonly decode: Decode;
  readonly mapping: Mapping;
  readonly topic: string;
  readonly partition: number;
  /** Name of the dead letter topic, and how many partitions it has. */
  readonly dlq: { readonly topic: string; readonly partitions: number };
  /** Where to begin where nothing was ever committed. */
  readonly from: "earliest" | "latest";
}

/** What one look at the partition gave. */
interface Taken {
  readonly events: readonly { readonly event: EventInput; readonly record: LogRecord }[];
  readonly letters: readonly NewRecord[];
}

/** Records of one batch. */
export const SOURCE_BATCH_RECORDS_MAX = 500;
/** Before another try to learn where to begin, in ms. */
const PAUSE_MS = { min: 50, max: 5_000 } as const;
/** Behind any offset: a tail reaches it never. */
const NEVER = offset(Number.MAX_SAFE_INTEGER);
/** Ids are told by the record, not made by a machine: they are remembered for a day. */
const NONE_GENERATED: ReadonlySet<number> = new Set();

export class SourcePartition implements PartitionWork {
  readonly #deps: SourcePartitionDeps;
  /** While not aborted, records may be taken; a new one for each `resume`. */
  #epoch = new AbortController();
  #tail: LogTail | null = null;
  #beginning: Promise<void> = Promise.resolve();
  #topicId = "";
  /** Records before it are in the inbox, committed or not. */
  #sentTo: Offset = offset(0);
  #failure: Error | null = null;
  #trouble: string | null = null;
  #sinceMs: number;

  constructor(deps: SourcePartitionDeps) {
    this.#deps = deps;
    this.#sinceMs = deps.clock.nowMs();
  }

  resume(): void {
    this.#epoch = new AbortController();
    this.#failure = null;
    this.#sinceMs = this.#deps.clock.nowMs();
    this.#beginning = this.#begin(this.#epoch.signal);
  }

  /** What is in hand is sent and committed, or given up within the time that an append may take. */
  async quiesce(): Promise<void> {
    this.#epoch.abort();
    await this.#tail?.stop();
    await this.#beginning;
    this.#tail = null;
  }

  stop(): Promise<void> {
    return this.quiesce();
  }

  get failure(): Error | null {
    return this.#failure ?? this.#tail?.failure ?? null;
  }

  /** Why it goes on only later, such as a registry that does not answer; null: nothing is in its way. */
  get trouble(): string | null {
    return this.failure?.message ?? this.#trouble;
  }

  /** Offset of the first record not taken yet; null: it is not known yet. */
  get nextOffset(): Offset | null {
    return this.#tail?.nextOffset ?? null;
  }

  /** All that came before was taken, by this process's clock. */
  get freshAtMs(): number {
    return Math.max(this.#tail?.freshAtMs ?? Number.NEGATIVE_INFINITY, this.#sinceMs);
  }

  get partition(): number {
    return this.#deps.partition;
  }

  async #begin(epoch: AbortSignal): Promise<void> {
    const { clock, logger, topic, partition } = this.#deps;
    for (let pauseMs: number = PAUSE_MS.min; !epoch.aborted; pauseMs = Math.min(2 * pauseMs, PAUSE_MS.max)) {
      try {
        this.#tail = await this.#open(epoch);
        this.#tail?.start();
        await this.#tail?.reached(NEVER);
      } catch (err) {
        if (epoch.aborted || err instanceof FencedError) return;
        const fields = { err, topic, partition, pauseMs };
        if (err instanceof TransientError) {
          this.#trouble = err.message;
          logger.warn(fields, "a partition of a source cannot be read yet, trying again");
        } else {
          this.#failure = err instanceof Error ? err : new Error(String(err));
          logger.error(fields, "a partition of a source cannot be read; trying again, as its settings may change");
          pauseMs = PAUSE_MS.max;
        }
        await clock.sleep(pauseMs, epoch);
      }
    }
  }

  /** Goes on where the group has committed. */
  async #open(epoch: AbortSignal): Promise<LogTail | null> {
    const { log, member, topic, partition, from } = this.#deps;
    this.#topicId = await log.topicId(topic);
    const [range, committed] = [await log.offsets(topic, partition), await member.committed(partition)];
    if (epoch.aborted) return null;
    let at = from === "latest" ? range.end : range.start;
    // The topic may have been made again under its name: then none of its records was ever taken.
    if (committed !== null) {
      const isSame = committed.metadata === this.#topicId;
      at = isSame ? offset(Math.min(committed.offset, range.end)) : range.start;
    } else if (from === "latest") {
      await member.commit(partition, { offset: at, metadata: this.#topicId });
    }
    if (epoch.aborted) return null;
    this.#sentTo = at;
    this.#trouble = null;
    this.#failure = null;
    return new LogTail({
      ...this.#deps,
      from: at,
      recordsMax: SOURCE_BATCH_RECORDS_MAX,
      onRecords: (records) => this.#take(records, epoch),
      onOutOfRange: () => this.#afterDeleted(),
    });
  }

  /** Retention was faster, or the topic is another one now: its first record is next. */
  async #afterDeleted(): Promise<Offset> {
    const { log, meter, topic, partition } = this.#deps;
    const former = this.#topicId;
    this.#topicId = await log.topicId(topic);
    const { start, end } = await log.offsets(topic, partition);
    const isSame = former === this.#topicId;
    // Behind its end a partition is after the loss of brokers that had more: what it has was taken.
    const next = isSame && this.#sentTo > end ? end : start;
    if (isSame && next > this.#sentTo) {
      meter.count("eddy_source_records_total", next - this.#sentTo, { source: topic, outcome: "deleted" });
    }
    this.#sentTo = next;
    return next;
  }

  async #take(records: readonly LogRecord[], epoch: AbortSignal): Promise<void> {
    const { member, partition, logger, topic } = this.#deps;
    const last = records.at(-1);
    if (last === undefined || epoch.aborted) return;
    try {
      const fresh = records.filter((record) => record.offset >= this.#sentTo);
      await this.#send(await this.#read(fresh), fresh.length);
      this.#sentTo = offset(last.offset + 1);
      await member.commit(partition, { offset: this.#sentTo, metadata: this.#topicId });
      this.#trouble = null;
    } catch (err) {
      if (err instanceof FencedError || err instanceof ClosedError) {
        logger.info({ topic, partition }, "the group has moved on: nothing is taken until its next assignment");
        this.#epoch.abort();
        return;
      }
      if (err instanceof TransientError) this.#trouble = err.message;
      throw err;
    }
  }

  async #read(records: readonly LogRecord[]): Promise<Taken> {
    const { decode, mapping, topic, partition, clock } = this.#deps;
    const events: { readonly event: EventInput; readonly record: LogRecord }[] = [];
    const letters: NewRecord[] = [];
    for (const record of records) {
      const { value, key, headers = NO_HEADERS, appendTimeMs: recordMs } = record;
      if (value === null) continue; // Says that a key is gone; it is no event.
      try {
        const decoded = { key, headers, value: await decode(value, headers) };
        const place = { topic, topicId: this.#topicId, partition, offset: record.offset };
        events.push({ event: toEvent(mapping, decoded, { place, recordMs, nowMs: clock.nowMs() }), record });
      } catch (error) {
        if (!(error instanceof UndecodableError)) throw error;
        letters.push(this.#letter(record, error));
      }
    }
    return { events, letters };
  }

  /** @param count of the records, tombstones with them */
  async #send({ events, letters }: Taken, count: number): Promise<void> {
    const { log, meter, topic, partition, dlq } = this.#deps;
    const refused = await this.#sendEvents(events);
    const all = [...letters, ...refused];
    for (const letter of all) await log.append(dlq.topic, partition % dlq.partitions, [letter]);
    const told = { event: events.length - refused.length, dead_letter: all.length };
    const tombstone = count - told.event - told.dead_letter;
    for (const [outcome, by] of Object.entries({ ...told, tombstone })) {
      if (by > 0) meter.count("eddy_source_records_total", by, { source: topic, outcome });
    }
  }

  /** @returns letters for those that no inbox takes, such as one that is too large: the others are sent without it. */
  async #sendEvents(events: Taken["events"]): Promise<readonly NewRecord[]> {
    if (events.length === 0) return [];
    try {
      await this.#deps.sender.send(
        events.map(({ event }) => event),
        NONE_GENERATED,
      );
      return [];
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      const [only] = events;
      if (events.length === 1 && only !== undefined) {
        return [this.#letter(only.record, new UndecodableError(error.message, null, { cause: error }))];
      }
      // Nothing of it was sent.
      const half = events.length >> 1;
      const first = await this.#sendEvents(events.slice(0, half));
      return [...first, ...(await this.#sendEvents(events.slice(half)))];
    }
  }

  #letter(record: LogRecord, error: UndecodableError): NewRecord {
    const { topic, partition, logger } = this.#deps;
    logger.warn({ topic, partition, offset: record.offset, reason: error.message }, "a record of a source is no event");
    return letterOf(record, error, { topic, partition });
  }
}
