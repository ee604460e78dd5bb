/**
 * One ownership of a partition, from its takeover to its end: everything here is dropped as a whole. The loop reads,
 * applies, sends, and waits no longer than until the next timer or checkpoint.
 */
import { encodeInbox, type MemoEntry, type RunState } from "@eddy/schemas";
import {
  FUNCTIONS_KEY,
  PARTITION_KEY,
  refOf,
  resultKey,
  runKey,
  withData,
  type Row,
  type RowKey,
} from "../core/index.js";
import { TransientError } from "@eddy/clients/errors";
import type { LogReader, LogRecord } from "@eddy/clients";
import { retrying } from "./backoff.js";
import { Checkpointer } from "./checkpoint.js";
import { asError } from "./deferred.js";
import type { TaskContext } from "./deps.js";
import { EffectSender } from "./effect-sender.js";
import type { PartitionFigures } from "./figures.js";
import { Holdings, NO_HOLDINGS } from "./holdings.js";
import { Overlay } from "./overlay.js";
import { PastEvents } from "./past-events.js";
import { Processor } from "./processor.js";
import { takeOver, type TakenOver, type TakeoverWishes } from "./takeover.js";
import { Ticker } from "./ticker.js";

export interface PartitionTime {
  readonly rawMs: number;
  readonly advanceMs: number;
  /** Offset of the last record applied; -1: none yet. */
  readonly processedOffset: number;
}

export class Session {
  readonly #context: TaskContext;
  readonly #taken: TakenOver;
  readonly #overlay: Overlay;
  readonly #sender: EffectSender;
  readonly #checkpointer: Checkpointer;
  readonly #processor: Processor;
  readonly #ticker: Ticker;
  /** null until it is needed. */
  #reader: LogReader | null = null;
  /** Ends a waiting read, and pauses between tries. */
  readonly #abort: AbortController;
  #stopping = false;
  #failure: Error | null = null;
  #announcedLogic = false;
  /** When nothing was left to apply last, by our clock. */
  #caughtUpAtMs = 0;
  #isApplying = false;

  /** Takes the partition over. @throws as `takeOver` does */
  static async open(context: TaskContext, wishes: TakeoverWishes): Promise<Session> {
    const taken = await takeOver(context, wishes);
    const abort = new AbortController();
    try {
      const overlay = overlayOf(context, taken, abort.signal);
      await overlay.load([
        { kind: "row", key: PARTITION_KEY },
        { kind: "row", key: FUNCTIONS_KEY },
      ]);
      return new Session(context, taken, overlay, abort);
    } catch (error) {
      await taken.store.close();
      await taken.writer.close();
      throw error;
    }
  }

  private constructor(context: TaskContext, taken: TakenOver, overlay: Overlay, abort: AbortController) {
    this.#context = context;
    this.#taken = taken;
    this.#overlay = overlay;
    this.#abort = abort;
    const onFailure = (error: Error): void => this.#break(error);
    const { log, clock, meter, options } = context;
    this.#sender = new EffectSender({ log, clock, meter, options, onFailure });
    const pace = {
      boundary: (bytes: number, records: number) => this.#boundary(bytes, records),
      isStopping: () => this.#stopping,
    };
    const { meta, inboxEnd: repeatedBefore } = taken;
    this.#processor = new Processor({ context, overlay, sender: this.#sender, pace, meta, repeatedBefore });
    this.#checkpointer = new Checkpointer({
      context,
      writer: taken.writer,
      store: taken.store,
      overlay,
      sender: this.#sender,
      topicId: taken.position.topicId,
      onFailure,
    });
    this.#ticker = new Ticker(context);
  }

  get checkpoints(): number {
    return this.#checkpointer.completed;
  }

  /** Applies records until `stop`; then saves what was done. @throws what went wrong, once; then `close` it */
  async consume(): Promise<void> {
    while (!this.#stopping) {
      this.#throwFailure();
      const { timers, instant } = this.#processor;
      if (timers.needsFill(FOR_EVER)) await timers.fill(FOR_EVER, 1);
      if (this.#isLive) await this.#announceLogic();
      if (this.#hasStopped()) break;
      const records = await this.#read(this.#waitMs());
      this.#throwFailure();
      if (records.length > 0) await this.#apply(records);
      else if (!this.#hasStopped()) await this.#idle(instant.advanceMs);
      this.#sender.flush();
      const wait = this.#pause();
      if (wait !== null) await wait;
    }
    this.#sender.hurry();
    this.#sender.flush();
    await this.#checkpointer.settled();
    if (this.#checkpointer.isNeeded) this.#checkpoint();
    await this.#checkpointer.settled();
  }

  /** `consume` finishes the batch at hand and returns. */
  stop(): void {
    this.#stopping = true;
    this.#wake();
  }

  /** Ends everything that is under way; saves nothing. Never throws. */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.#sender.close();
    await this.#checkpointer.ended();
    const { writer, store } = this.#taken;
    for (const part of [this.#reader, writer, store]) {
      try {
        await part?.close();
      } catch (error) {
        this.#context.logger.warn({ partition: this.#context.partition, err: error }, "could not close");
      }
    }
  }

  /** Are all records before this offset applied, and all that they caused in the logs? */
  hasSettled(before: number): boolean {
    const lowest = this.#sender.lowestUnacked();
    return this.#processor.nextOffset >= before && (lowest === null || lowest.offset >= before);
  }

  /** As `PartitionTask.nextDueMs`. */
  nextDueMs(): number | null {
    const { timers, instant } = this.#processor;
    return timers.nextLogTimeMs(instant.advanceMs);
  }

  time(): PartitionTime {
    const { instant, nextOffset } = this.#processor;
    return { ...instant, processedOffset: nextOffset - 1 };
  }

  /** For operators. */
  figures(): PartitionFigures {
    const { timers, instant, nextOffset, clockAheadMs } = this.#processor;
    const { holdings, cachedBytes } = this.#overlay;
    return {
      nextOffset,
      behindSinceMs: this.#isApplying ? instant.rawMs : Math.max(instant.rawMs, this.#caughtUpAtMs),
      nextDueMs: timers.needsFill(FOR_EVER) ? null : timers.nextLogTimeMs(instant.advanceMs),
      timers: holdings.timers,
      functions: [...holdings.functions],
      unsavedSinceMs: this.#checkpointer.unsavedSinceMs,
      clockAheadMs,
      cachedBytes,
    };
  }

  /**
   * @throws TransientError while records that a former owner may have applied are not applied again, and where the run is
   * behind the invocation: another process decided it, so this one no longer owns the partition, or not yet.
   */
  async runState(runId: string, invocation: number): Promise<RunState | null> {
    for (;;) {
      const run = await this.currentRun(runId, invocation);
      if (run === null) return null;
      const memo = await this.#memoOf(run);
      if (memo !== null) return { runId, invocation, event: run.event.payload, memo };
    }
  }

  /** The run, in this invocation; null where it is not. @throws as `runState` */
  async currentRun(runId: string, invocation: number): Promise<Row<"run"> | null> {
    if (!this.#isLive) {
      throw new TransientError("this partition is being taken over", { partition: this.#context.partition });
    }
    const run = await this.#overlay.peek(runKey(runId));
    // The key is the base's: it may be another run of it.
    if (run === null || run.runId !== runId) return null;
    if (run.invocation.no < invocation) {
      throw new TransientError("another owner of this partition is ahead", { runId, invocation });
    }
    return run.invocation.no === invocation ? run : null;
  }

  /** With the data that lies in rows of its own. @returns null where the run has moved on while they were read */
  async #memoOf(run: Row<"run">): Promise<MemoEntry[] | null> {
    const found = new Map<RowKey, Row<"result">>();
    for (const { no } of run.memo.flatMap((step) => refOf(step) ?? [])) {
      const key = resultKey(run.runId, no);
      const row = await this.#overlay.peek(key);
      if (row === null) return null;
      found.set(key, row);
    }
    // Their numbers are unique in the life of one run; the next one of its base begins anew.
    if (found.size > 0 && (await this.#overlay.peek(runKey(run.runId)))?.runId !== run.runId) return null;
    const get = (key: RowKey): never => (found.get(key) ?? null) as never; // Asked for results alone.
    return run.memo.map((step) => withData({ get }, run.runId, step));
  }

  /** Everything that a former owner may have applied is applied again. */
  get #isLive(): boolean {
    return this.#processor.nextOffset >= this.#taken.inboxEnd;
  }

  async #apply(records: readonly LogRecord[]): Promise<void> {
    this.#isApplying = true;
    await this.#processor.process(records);
    this.#isApplying = false;
  }
  #checkpoint(): void {
    this.#checkpointer.start(this.#processor.meta, this.#processor.takeTally());
  }

  /** Between two records: starts a checkpoint where one is due. @returns a promise where the loop must wait. */
  #boundary(bytes: number, records: number): Promise<void> | null {
    this.#throwFailure();
    this.#checkpointer.note(records, bytes);
    return this.#pause();
  }
  #pause(): Promise<void> | null {
    if (this.#checkpointer.isDue(this.#context.clock.nowMs())) this.#checkpoint();
    if (this.#checkpointer.mustWait) return this.#checkpointer.settled();
    return this.#sender.overloaded ? this.#sender.room() : null;
  }

  /** Caught up: the only time at which a tick says something new. */
  async #idle(advanceMs: number): Promise<void> {
    this.#caughtUpAtMs = this.#context.clock.nowMs();
    const { timers, nextOffset } = this.#processor;
    const tickAtMs = this.#ticker.dueAtMs(timers.nextLogTimeMs(advanceMs), nextOffset);
    if (tickAtMs !== null && tickAtMs <= this.#context.clock.nowMs()) await this.#ticker.tick();
  }

  /** This build decides by a newer logic than the state is of: from its record on, the newer one holds. */
  async #announceLogic(): Promise<void> {
    const { core, log, topics, partition, logger } = this.#context;
    if (this.#announcedLogic || this.#processor.meta.logic >= core.logicVersion) return;
    try {
      const value = encodeInbox({ kind: "logic", version: core.logicVersion });
      await log.append(topics.inbox, partition, [{ key: null, value }]);
      this.#announcedLogic = true;
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      logger.warn({ partition, err: error }, "could not announce the logic version; trying again later");
    }
  }

  /** @returns nothing once the task is stopping or has failed: the reader is closed then. */
  async #read(waitMs: number): Promise<readonly LogRecord[]> {
    const { clock, options } = this.#context;
    const policy = { clock, signal: this.#abort.signal, triesMax: () => options.triesMax };
    try {
      return await retrying(policy, async () => {
        this.#reader ??= this.#newReader();
        try {
          return await this.#reader.read({ recordsMax: options.batchRecordsMax, waitMs });
        } catch (error) {
          // Who knows where it stands: the next try begins where the last record applied was.
          const reader = this.#reader;
          this.#reader = null;
          await reader.close();
          throw error;
        }
      });
    } catch (error) {
      if (this.#hasStopped() || this.#failure !== null) return [];
      throw error;
    }
  }
  #newReader(): LogReader {
    const { log, topics, partition } = this.#context;
    return log.reader(topics.inbox, partition, this.#processor.nextOffset);
  }

  #waitMs(): number {
    const nowMs = this.#context.clock.nowMs();
    const { timers, instant, nextOffset } = this.#processor;
    const tickAtMs = this.#ticker.dueAtMs(timers.nextLogTimeMs(instant.advanceMs), nextOffset);
    const checkpointAtMs = this.#checkpointer.nextAtMs(nowMs);
    const untilMs = Math.min(
      nowMs + this.#context.options.idleReadMsMax,
      tickAtMs ?? Infinity,
      checkpointAtMs ?? Infinity,
    );
    return Math.max(0, untilMs - nowMs);
  }

  #break(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }
  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }
  /** Asked after an await, in which it may have changed. */
  #hasStopped(): boolean {
    return this.#stopping;
  }
  /** Ends a waiting read and a pause between tries. */
  #wake(): void {
    this.#abort.abort();
    this.#reader?.close().catch((error: unknown) => {
      this.#failure ??= asError(error);
    });
  }
}

/** A time at which every timer is due. */
const FOR_EVER = { rawMs: Number.MAX_SAFE_INTEGER, advanceMs: 0 };

function overlayOf(context: TaskContext, { store, position }: TakenOver, signal: AbortSignal): Overlay {
  const past = new PastEvents(context, signal);
  return new Overlay(store, past, context.options, new Holdings(position.holdings ?? NO_HOLDINGS));
}
