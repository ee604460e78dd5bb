/**
 * Where the events that a partition is the home of lie in its inbox, by their ids: an event is looked up there as it was
 * received, whether anything came of it or not, and nothing is written a second time but a key.
 *
 *  n                              where to read on in the inbox, and of which topic
 *  e|<day>|<digest of id>|<offset>  an event, by the day of its append; days are dropped whole
 *
 * Invariants: keys and the position are written in one batch. Rows outlive what the inbox holds by two days at most. Its
 * trouble is its own: look-ups of events are refused, all else goes on.
 */
import {
  BadRecordError,
  decodeInbox,
  digestOf,
  isEventRecord,
  offset,
  type InboxRecordOf,
  type Offset,
} from "@eddy/schemas";
import { type Clock, type Log, type Logger, type LogRecord, LogTail } from "@eddy/clients";
import { ClosedError, OffsetOutOfRangeError, TransientError } from "@eddy/clients/errors";
import type { Store } from "../ports/store.js";
import { Barrier } from "./barrier.js";
import { afterPrefix, decodeJson, encodeJson, FORMAT, type Position } from "./history-rows.js";

export interface EventIndexDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Name of the inbox topic. */
  readonly topic: string;
  readonly partition: number;
  /** As of `LogTail`. */
  readonly gatherMs?: number;
  /** Of the inbox, in ms of append time. */
  readonly retentionMs: number;
}

/** An event as it was received. */
export interface ReceivedEvent {
  readonly id: string;
  readonly name: string;
  readonly receivedAtMs: number;
  /** JSON text; null: the inbox has dropped it since. */
  readonly payload: Uint8Array;
}

const POSITION_KEY = "n";
const PREFIX = "e|";
const RECORDS_MAX = 500;
const DAY_MS = 86_400_000;
const SWEEP_PERIOD_MS = 60_000;
/** Rows of one sweep, and of one step of it. */
const SWEEP_ROWS = { max: 100_000, step: 5_000 } as const;
/** Pause before the inbox is followed anew, in ms. */
const AGAIN_MS = 1_000;
/** How long the log may take to give one record that it has, in ms. */
const READ_MS_MAX = 1_000;

const NOTHING = new Uint8Array();
const dayOf = (ms: number): string => String(Math.max(0, Math.floor(ms / DAY_MS))).padStart(9, "0");
const idPrefix = (day: string, id: string): string => `${PREFIX}${day}|${digestOf("event", id)}|`;
const eventKey = (appendTimeMs: number, id: string, at: Offset): string =>
  idPrefix(dayOf(appendTimeMs), id) + String(at).padStart(16, "0");

export class EventIndex {
  readonly #deps: EventIndexDeps;
  readonly #store: Store;
  readonly #stopping = new AbortController();
  readonly #barrier: Barrier;
  #tail: LogTail | null = null;
  #topicId = "";
  #sweptAtMs = 0;
  #running: Promise<void> | null = null;

  /** @param store stays the caller's to close, once this has stopped. */
  constructor(deps: EventIndexDeps, store: Store) {
    this.#deps = deps;
    this.#store = store;
    this.#barrier = new Barrier({ ...deps, reached: (end) => this.#reached(end) });
  }

  /** Follows the inbox, whatever happens, until `stop`. Idempotent. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when nothing is under way. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#tail?.stop();
    await this.#running;
  }

  /**
   * The first event of this id that the inbox still holds, among those that this partition is the home of.
   * @throws TransientError while the inbox is not read as far as it was at the call; ClosedError after `stop`
   */
  async find(id: string): Promise<ReceivedEvent | null> {
    await this.#barrier.pass();
    const { clock, retentionMs } = this.#deps;
    const nowMs = clock.nowMs();
    const days = new Set<string>();
    for (let ms = nowMs - retentionMs - DAY_MS; ms <= nowMs + DAY_MS; ms += DAY_MS) days.add(dayOf(ms));
    const found = await Promise.all([...days].map((day) => this.#offsetsOf(idPrefix(day, id))));
    for (const at of found.flat()) {
      const event = await this.#eventAt(at, id);
      if (event !== null) return event;
    }
    return null;
  }

  async #offsetsOf(prefix: string): Promise<readonly Offset[]> {
    const rows = await this.#store.scan({ from: prefix, to: afterPrefix(prefix), limit: 1 });
    return rows.map(([key]) => offset(Number(key.slice(prefix.length))));
  }

  /** null: the inbox no longer has it. */
  async #eventAt(at: Offset, id: string): Promise<ReceivedEvent | null> {
    const { log, topic, partition } = this.#deps;
    const reader = log.reader(topic, partition, at);
    try {
      const [record] = await reader.read({ recordsMax: 1, waitMs: READ_MS_MAX });
      if (record === undefined || record.offset !== at) return null;
      const event = eventOf(record);
      if (event === null || event.id !== id) return null;
      return { id, name: event.name, receivedAtMs: record.appendTimeMs, payload: event.payload };
    } catch (error) {
      if (error instanceof OffsetOutOfRangeError) return null;
      throw error;
    } finally {
      await reader.close();
    }
  }

  #reached(end: Offset): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.reject(new ClosedError("the event index is closed"));
    const { partition } = this.#deps;
    const notYet = new TransientError(`the events of partition ${partition} are being read; try again`, { partition });
    return this.#tail?.reached(end) ?? Promise.reject(notYet);
  }

  async #run(): Promise<void> {
    const { clock, logger, partition } = this.#deps;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#follow();
        return;
      } catch (err) {
        if (signal.aborted) return;
        const level = err instanceof TransientError ? "warn" : "error";
        logger[level]({ err, partition }, "events cannot be looked up, trying again");
        this.#tail = null;
        await clock.sleep(AGAIN_MS, signal);
      }
    }
  }

  /** Resolves when stopped. @throws what ended the tail */
  async #follow(): Promise<void> {
    const { log, topic, partition } = this.#deps;
    const { signal } = this.#stopping;
    this.#topicId = await log.topicId(topic);
    const { start, end } = await log.offsets(topic, partition);
    const from = await this.#openAt(start, end);
    if (signal.aborted) return;
    const tail = new LogTail({
      ...this.#deps,
      from,
      recordsMax: RECORDS_MAX,
      onRecords: (records) => this.#take(records),
      onOutOfRange: async () => (await log.offsets(topic, partition)).start,
    });
    this.#tail = tail;
    tail.start();
    await Promise.race([tail.reached(offset(Number.MAX_SAFE_INTEGER)), aborted(signal)]);
  }

  /** Empty where what it holds is not of this inbox. @returns where to read on. */
  async #openAt(start: Offset, end: Offset): Promise<Offset> {
    const [row] = await this.#store.getMany([POSITION_KEY]);
    const position = row === undefined ? null : decodeJson<Position>(row);
    if (position === null) return start;
    const { topicId, nextOffset, format } = position;
    // What the inbox has dropped needs no key.
    if (format === FORMAT && topicId === this.#topicId && nextOffset <= end) return offset(Math.max(nextOffset, start));
    await this.#store.write({ puts: [], deletes: [POSITION_KEY] });
    while ((await this.#dropBefore(afterPrefix(PREFIX), SWEEP_ROWS.step)) > 0);
    return start;
  }

  async #take(records: readonly LogRecord[]): Promise<void> {
    const last = records.at(-1);
    if (last === undefined) return;
    const { partition, clock } = this.#deps;
    const position: Position = { topicId: this.#topicId, nextOffset: last.offset + 1, format: FORMAT };
    const puts: [string, Uint8Array][] = [[POSITION_KEY, encodeJson(position)]];
    for (const record of records) {
      const event = eventOf(record);
      if (event === null || event.home !== partition || event.origin !== null) continue;
      puts.push([eventKey(record.appendTimeMs, event.id, record.offset), NOTHING]);
    }
    await this.#store.write({ puts, deletes: [] });
    if (clock.nowMs() - this.#sweptAtMs >= SWEEP_PERIOD_MS) await this.#sweep();
  }

  /** Drops the days that the inbox has dropped. */
  async #sweep(): Promise<void> {
    const { clock, retentionMs } = this.#deps;
    this.#sweptAtMs = clock.nowMs();
    const to = PREFIX + dayOf(clock.nowMs() - retentionMs - DAY_MS);
    for (let dropped = 0; dropped < SWEEP_ROWS.max;) {
      const count = await this.#dropBefore(to, SWEEP_ROWS.step);
      if (count === 0) return;
      dropped += count;
    }
  }

  async #dropBefore(to: string, limit: number): Promise<number> {
    const rows = await this.#store.scan({ from: PREFIX, to, limit });
    await this.#store.write({ puts: [], deletes: rows.map(([key]) => key) });
    return rows.length;
  }
}

/** null: something else, or nothing that decodes: the partition's task says so. */
function eventOf({ value }: LogRecord): InboxRecordOf<"event"> | null {
  if (value === null || !isEventRecord(value)) return null;
  try {
    const record = decodeInbox(value);
    return record.kind === "event" ? record : null;
  } catch (error) {
    if (error instanceof BadRecordError) return null;
    throw error;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
