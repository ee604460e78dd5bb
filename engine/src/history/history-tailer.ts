/**
 * Keeps the history store of one partition up to the history topic. Look-ups answer only once the store has all that
 * the topic held when this process started: a run that was seen to have ended is never shown as running afterwards.
 */
import { offset, type Offset } from "@eddy/schemas";
import { ClosedError, StateCorruptedError, TransientError } from "@eddy/clients/errors";
import { type Clock, type Log, type Logger, type LogRecord, LogTail, type OffsetRange } from "@eddy/clients";
import type { Store, StoreFactory } from "../ports/store.js";
import { Barrier } from "./barrier.js";
import { EventIndex, type ReceivedEvent } from "./event-index.js";
import { HistoryStore } from "./history-store.js";
import { FORMAT, type Position } from "./history-rows.js";

export interface HistoryTailerDeps {
  readonly log: Log;
  readonly stores: StoreFactory;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Name of the history topic. */
  readonly topic: string;
  readonly partition: number;
  /** Whose events can be looked up; its retention in ms. */
  readonly inbox: { readonly topic: string; readonly retentionMs: number };
  /**
   * Are all inbox records before this offset decided, and what came of them told to the history? Default: nobody asks.
   * @throws TransientError while the partition is being taken over
   */
  readonly isDecided?: (before: Offset) => boolean;
  /** Entries are gathered this long before the next batch is stored, in ms; look-ups may be that much behind. */
  readonly gatherMs?: number;
  /** Runs that ended longer ago are forgotten, in ms of append time. */
  readonly retentionMs: number;
  /**
   * Look-ups need to know all that the topic held this long ago, in ms. Default: they need not, for nobody else writes
   * what this process would not read at once.
   */
  readonly staleMsMax?: number;
}

const RECORDS_MAX = 256;
const SWEEP_PERIOD_MS = 60_000;
/** How long a look-up waits for decisions, and how often it looks, in ms. */
const DECIDE_MS_MAX = 1_000;
const LOOK_AGAIN_MS = 2;

export class HistoryTailer {
  readonly #deps: HistoryTailerDeps;
  readonly #barrier: Barrier;
  readonly #decisions: Barrier;
  #rows: Store | null = null;
  #store: HistoryStore | null = null;
  #events: EventIndex | null = null;
  #tail: LogTail | null = null;
  #topicId = "";
  #sweptAtMs = 0;
  #isCaughtUp = false;
  #failure: Error | null = null;
  #starting: Promise<void> | null = null;
  #isStopping = false;
  /** What was appended before this time is known, in ms; the tail's own `freshAtMs` may be later. */
  #knownAtMs = Number.NEGATIVE_INFINITY;

  constructor(deps: HistoryTailerDeps) {
    this.#deps = deps;
    this.#barrier = new Barrier({ ...deps, reached: (end) => this.reached(end) });
    this.#decisions = new Barrier({ ...deps, ...deps.inbox, reached: (end) => this.#decided(end) });
  }

  /**
   * Resolves when look-ups can be answered. Once.
   * @throws what the store or the log threw, see `failure`; ClosedError when stopped before.
   */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    try {
      const { log, clock, topic, partition } = this.#deps;
      this.#topicId = await log.topicId(topic);
      const askedAtMs = clock.nowMs();
      const range = await log.offsets(topic, partition);
      const from = await this.#openAt(range);
      if (this.#isStopping || this.#rows === null) throw new ClosedError("stopped before the history was read");
      this.#events = new EventIndex({ ...this.#deps, ...this.#deps.inbox }, this.#rows);
      this.#events.start();
      this.#tail = new LogTail({
        ...this.#deps,
        from,
        recordsMax: RECORDS_MAX,
        onRecords: (records) => this.#take(records),
        // What was deleted is older than the retention, and so is what it would have told.
        onOutOfRange: async () => (await log.offsets(topic, partition)).start,
      });
      this.#tail.start();
      await this.#tail.reached(range.end);
      this.#knownAtMs = Math.max(this.#knownAtMs, askedAtMs);
      this.#isCaughtUp = true;
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      throw error;
    }
  }

  /** Why history is no longer kept; null while it is. */
  get failure(): Error | null {
    return this.#failure ?? this.#tail?.failure ?? null;
  }
  get isCaughtUp(): boolean {
    return this.#isCaughtUp;
  }

  /** For look-ups. @throws TransientError while they cannot be answered. */
  get store(): HistoryStore {
    const { partition } = this.#deps;
    if (this.#store === null || !this.#isCaughtUp || this.#isStopping || this.failure !== null) {
      throw new TransientError(`the history of partition ${partition} is being read; try again`, { partition });
    }
    if (this.#isStale()) {
      throw new TransientError(`the history of partition ${partition} cannot be read now; try again`, { partition });
    }
    return this.#store;
  }

  /**
   * The store, once it has what came of all that the inbox held at the call, and all that the topic held. A partition
   * that lags is not waited for longer than DECIDE_MS_MAX: what it has not decided has not happened yet.
   * @throws TransientError while it cannot have that, and while the partition is being taken over.
   */
  async upToDate(): Promise<HistoryStore> {
    if (this.store !== null && this.#deps.isDecided !== undefined) await this.#decisions.pass();
    if (this.store !== null) await this.#barrier.pass();
    return this.store;
  }

  async #decided(end: Offset): Promise<void> {
    const { clock, isDecided } = this.#deps;
    const giveUpAtMs = clock.nowMs() + DECIDE_MS_MAX;
    while (isDecided?.(end) === false && !this.#isStopping && clock.nowMs() < giveUpAtMs) {
      await clock.sleep(LOOK_AGAIN_MS);
    }
  }

  /** An event that this partition is the home of, as it was received; null: the inbox has none of this id. @throws as `upToDate` */
  async event(id: string): Promise<ReceivedEvent | null> {
    if (this.store === null || this.#events === null) return null;
    return this.#events.find(id);
  }

  /** Others may have written what is not known here. */
  #isStale(): boolean {
    const { staleMsMax, clock } = this.#deps;
    if (staleMsMax === undefined) return false;
    const knownAtMs = Math.max(this.#tail?.freshAtMs ?? Number.NEGATIVE_INFINITY, this.#knownAtMs);
    return clock.nowMs() - knownAtMs > staleMsMax;
  }

  /** Resolves when everything before `end` can be looked up. */
  async reached(end: Offset): Promise<void> {
    await this.#tail?.reached(end);
  }

  /** Resolves when the store is closed. Idempotent. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#tail?.stop();
    await this.#starting?.catch(() => undefined); // `failure` has it
    await this.#tail?.stop();
    await this.#events?.stop();
    this.#isCaughtUp = false;
    await this.#rows?.close();
    this.#rows = null;
    this.#store = null;
  }

  /** Opens the store, empty where what it holds is not of this topic. @returns where to read on. */
  async #openAt(range: OffsetRange): Promise<Offset> {
    const { stores, logger, topic, partition } = this.#deps;
    const name = `history-${partition}`;
    const opened = await this.#open(name);
    const position = await opened.position();
    if (position === null || this.#isOfLog(position, range)) {
      return offset(position?.nextOffset ?? range.start);
    }
    logger.warn(
      { topic, partition, position, range },
      "the history store is not of this log or layout, it is made anew",
    );
    await this.#rows?.close();
    await stores.destroy(name);
    await this.#open(name);
    return range.start;
  }

  #isOfLog({ topicId, nextOffset, format }: Position, { start, end }: OffsetRange): boolean {
    return format === FORMAT && topicId === this.#topicId && nextOffset >= start && nextOffset <= end;
  }

  async #open(name: string): Promise<HistoryStore> {
    const { stores, logger } = this.#deps;
    try {
      this.#rows = await stores.open(name);
    } catch (err) {
      if (!(err instanceof StateCorruptedError)) throw err;
      logger.warn({ err, name }, "the history store is damaged, it is made anew");
      await stores.destroy(name);
      this.#rows = await stores.open(name);
    }
    this.#store = new HistoryStore(this.#rows, logger);
    return this.#store;
  }

  async #take(records: readonly LogRecord[]): Promise<void> {
    const { clock, retentionMs } = this.#deps;
    const store = this.#store;
    const last = records.at(-1);
    if (store === null || last === undefined) return;
    await store.apply(records, { topicId: this.#topicId, nextOffset: last.offset + 1, format: FORMAT });
    this.#knownAtMs = Math.max(this.#knownAtMs, last.appendTimeMs);
    const nowMs = clock.nowMs();
    if (nowMs - this.#sweptAtMs < SWEEP_PERIOD_MS) return;
    this.#sweptAtMs = nowMs;
    await store.dropEndedBefore(nowMs - retentionMs);
  }
}
