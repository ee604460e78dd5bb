/**
 * Follows one partition of a topic from an offset on, for as long as the process lives.
 *
 * Invariants: records reach `onRecords` in offset order, one batch at a time, and `nextOffset` moves only after it
 * resolved. A TransientError, of the log or of `onRecords`, repeats the batch after a pause; any other error ends the
 * tail, which is then `failure`, and never the process.
 */
import { offset, type Offset } from "@eddy/schemas";
import { ClosedError, OffsetOutOfRangeError, TransientError } from "../errors/codes.js";
import type { Clock } from "../ports/clock.js";
import type { Log, LogReader, LogRecord } from "../ports/log.js";
import type { Logger } from "../ports/logger.js";

export interface LogTailOptions {
  readonly log: Log;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly topic: string;
  readonly partition: number;
  readonly from: Offset;
  /** Records of one batch; bounds what is held in memory. */
  readonly recordsMax: number;
  /** Pause after a batch that was not full, in ms of real time, so that the next one is larger. Default 0. */
  readonly gatherMs?: number;
  /** May be called again with the same records after it threw a TransientError. */
  readonly onRecords: (records: readonly LogRecord[]) => void | Promise<void>;
  /** The position was deleted by retention. @returns where to go on; without it the tail fails. */
  readonly onOutOfRange?: () => Promise<Offset>;
}

const READ_WAIT_MS = 1_000;
/** A log that is never seen empty is asked for its end, this long after it was last known how fresh the tail is, in ms. */
const LOOK_MS = 1_000;
const PAUSE_MS = { min: 50, max: 5_000 } as const;

interface Milestone {
  readonly offset: Offset;
  resolve(): void;
  reject(error: Error): void;
}

export class LogTail {
  readonly #options: LogTailOptions;
  readonly #stopping = new AbortController();
  readonly #milestones = new Set<Milestone>();
  #reader: LogReader | null = null;
  #nextOffset: Offset;
  #freshAtMs = Number.NEGATIVE_INFINITY;
  /** Once `end` is reached, all that was there at `atMs` is handled. */
  #look: { readonly end: Offset; readonly atMs: number } | null = null;
  #failure: Error | null = null;
  #running: Promise<void> | null = null;

  constructor(options: LogTailOptions) {
    this.#options = options;
    this.#nextOffset = options.from;
  }

  /** The offset after the last record handled. */
  get nextOffset(): Offset {
    return this.#nextOffset;
  }

  /** All records appended before this moment have been handled, by this process's clock in ms since 1970. */
  get freshAtMs(): number {
    return this.#freshAtMs;
  }

  /** Why the tail ended by itself; null while it runs or after `stop`. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** Idempotent. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves once every record before `end` is handled. @throws what ended the tail before that. */
  reached(end: Offset): Promise<void> {
    if (this.#nextOffset >= end) return Promise.resolve();
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#milestones.add({ offset: end, resolve, reject });
    });
  }

  /** Resolves when the batch in hand is handled. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#reader?.close();
    await this.#running;
    this.#settleMilestones(new ClosedError("the tail was stopped", { topic: this.#options.topic }));
  }

  async #run(): Promise<void> {
    let pauseMs: number = PAUSE_MS.min;
    while (!this.#stopping.signal.aborted && this.#failure === null) {
      try {
        await this.#readOnce();
        pauseMs = PAUSE_MS.min;
      } catch (error) {
        await this.#dropReader();
        if (this.#stopping.signal.aborted) break;
        if (!(await this.#recover(error, pauseMs))) break;
        pauseMs = Math.min(pauseMs * 2, PAUSE_MS.max);
      }
    }
    await this.#dropReader();
  }

  async #readOnce(): Promise<void> {
    const { log, clock, topic, partition, recordsMax, onRecords, gatherMs = 0 } = this.#options;
    this.#reader ??= log.reader(topic, partition, this.#nextOffset);
    const askedAtMs = clock.nowMs();
    // Until the end was seen once, nobody should have to wait for it to be sure of that.
    const waitMs = this.#freshAtMs === Number.NEGATIVE_INFINITY ? 0 : READ_WAIT_MS;
    const records = await this.#reader.read({ recordsMax, waitMs });
    if (this.#stopping.signal.aborted) return;
    if (records.length > 0) await onRecords(records);
    this.#nextOffset = this.#reader.position;
    // An answer may have been on its way for long: only what was there when it was asked for is sure to be in it.
    if (records.length === 0) this.#freshAtMs = askedAtMs;
    else await this.#lookForEnd();
    for (const milestone of this.#milestones) {
      if (milestone.offset > this.#nextOffset) continue;
      this.#milestones.delete(milestone);
      milestone.resolve();
    }
    const isPartBatch = records.length > 0 && records.length < recordsMax;
    if (isPartBatch && gatherMs > 0) await clock.sleep(gatherMs, this.#stopping.signal);
  }

  /** Records alone do not tell how fresh the tail is: any read may leave some behind. */
  async #lookForEnd(): Promise<void> {
    const { log, clock, topic, partition } = this.#options;
    const atMs = clock.nowMs();
    if (this.#look === null && atMs - this.#freshAtMs >= LOOK_MS) {
      const { end } = await log.offsets(topic, partition);
      this.#look = { end, atMs };
    }
    if (this.#look === null || this.#nextOffset < this.#look.end) return;
    this.#freshAtMs = this.#look.atMs;
    this.#look = null;
  }

  /** @returns false when the tail has to end. */
  async #recover(error: unknown, pauseMs: number): Promise<boolean> {
    const { clock, logger, topic, partition, onOutOfRange } = this.#options;
    const fields = { topic, partition, offset: this.#nextOffset, err: error };
    if (error instanceof OffsetOutOfRangeError && onOutOfRange !== undefined) {
      this.#nextOffset = offset(await onOutOfRange());
      logger.warn({ ...fields, to: this.#nextOffset }, "records were deleted before they were read");
      return true;
    }
    if (error instanceof TransientError) {
      // Once per trouble: brokers may be away for long, and there are many tails.
      const isFirst = pauseMs === PAUSE_MS.min;
      logger[isFirst ? "warn" : "debug"]({ ...fields, pauseMs }, "reading the log failed, trying again");
      await clock.sleep(pauseMs, this.#stopping.signal);
      return true;
    }
    this.#failure = error instanceof Error ? error : new Error(String(error));
    logger.error(fields, "following the log ended");
    this.#settleMilestones(this.#failure);
    return false;
  }

  async #dropReader(): Promise<void> {
    const reader = this.#reader;
    this.#reader = null;
    await reader?.close();
  }

  #settleMilestones(error: Error): void {
    for (const milestone of this.#milestones) milestone.reject(error);
    this.#milestones.clear();
  }
}

/**
 * A tail, not started yet, of all that a topic of one partition holds: from its first record on, and from there again
 * where retention was faster. `end`: what is there now is before it.
 */
export async function tailOfWhole(
  options: Omit<LogTailOptions, "partition" | "from" | "onOutOfRange">,
): Promise<{ readonly tail: LogTail; readonly end: Offset }> {
  const { log, topic } = options;
  const { start, end } = await log.offsets(topic, 0);
  const onOutOfRange = async (): Promise<Offset> => (await log.offsets(topic, 0)).start;
  return { tail: new LogTail({ ...options, partition: 0, from: start, onOutOfRange }), end };
}
