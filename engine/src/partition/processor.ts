/**
 * Applies records in log order. For each record: time moves to its append time, what is due fires, the record is
 * decided; if it moved the clock itself, what became due by that fires too, as part of it.
 *
 *   begin ──> fire "before" ──> decide ──(clock moved)──> fire "after" ──> end
 *               │  ^                                        │  ^
 *               └──┘ every timersPerTurnMax timers a checkpoint may come between (Midway)
 *
 * All effects of a record and its timers have the record's offset as cause, and one running index. Where a batch, a
 * prefetch or a checkpoint begins or ends changes neither rows nor effects.
 * Invariants: P4 stream time never goes back; a timer that fired is gone; none appears behind the last that fired.
 */
import {
  BadRecordError,
  decodeInbox,
  offset as toOffset,
  rawTime,
  streamTime,
  type InboxRecord,
  type MetaRow,
  type Offset,
} from "@eddy/schemas";
import { PARTITION_KEY, type Input, type Moment, type Row, type Timer } from "../core/index.js";
import { ClockAheadError, EddyError, InvariantViolation, invariant } from "@eddy/clients/errors";
import type { LogRecord } from "@eddy/clients";
import type { TaskContext } from "./deps.js";
import type { EffectSender } from "./effect-sender.js";
import { explain } from "./explain.js";
import { formatMidway, parseMidway, type Midway } from "./midway.js";
import { deadLetterOf, outgoingOf } from "./outgoing.js";
import type { Overlay } from "./overlay.js";
import { Prefetch, type Planned } from "./prefetch.js";
import { Tally } from "./tally.js";
import { TimerQueue, type DueTimer, type Instant } from "./timer-queue.js";

/** Asked between records, and between two turns of a flood of timers. */
export interface Pace {
  /**
   * A checkpoint may be taken now.
   * @param bytes size of the record just applied; 0 within a flood. @param records likewise, 1 or 0.
   * @returns a promise when the task must wait before it goes on.
   */
  boundary(bytes: number, records: number): Promise<void> | null;
  /** If so, a flood of timers ends at its next boundary. */
  isStopping(): boolean;
}

export interface ProcessorDeps {
  readonly context: TaskContext;
  readonly overlay: Overlay;
  readonly sender: EffectSender;
  readonly pace: Pace;
  /** Where the last checkpoint stands. */
  readonly meta: MetaRow;
  /** Records before it may have been applied by a former owner. */
  readonly repeatedBefore: Offset;
}

interface Item {
  readonly record: LogRecord;
  /** null: it does not decode. */
  readonly input: InboxRecord | null;
  readonly problem: string;
}

export class Processor {
  readonly timers: TimerQueue;
  readonly #deps: ProcessorDeps;
  readonly #prefetch: Prefetch;
  #rawMs: number;
  /** The partition row's, which `decide` alone moves. */
  #advanceMs: number;
  #nextOffset: Offset;
  /** Effects of record `nextOffset` so far. */
  #index: number;
  #midway: Midway | null;
  /** Of the batch: effects, records and rejections by kind, and repeats of a takeover. */
  readonly #sent = new Map<string, number>();
  readonly #applied = new Map<string, number>();
  readonly #rejected = new Map<string, number>();
  #repeated = 0;
  #tally = new Tally();
  /** Of the record at hand since it was appended, in ms. */
  #ageMs = 0;
  #clockAheadMs = 0;

  /** The overlay has the partition row. */
  constructor(deps: ProcessorDeps) {
    this.#deps = deps;
    this.#prefetch = new Prefetch(deps.context.core, deps.overlay);
    this.timers = new TimerQueue(deps.overlay);
    const { meta } = deps;
    this.#rawMs = meta.rawMs;
    this.#advanceMs = this.#partitionRow().advanceMs;
    this.#nextOffset = toOffset(meta.nextOffset);
    this.#index = meta.index;
    this.#midway = parseMidway(meta.lastTimer);
    if (this.#midway === null) this.timers.passed(this.instant);
    else this.timers.passedTimer(this.#midway.last, this.instant);
  }

  get nextOffset(): Offset {
    return this.#nextOffset;
  }
  get instant(): Instant {
    return { rawMs: this.#rawMs, advanceMs: this.#advanceMs };
  }
  /** By how much append times of the last batch were ahead of our clock, at most, in ms. */
  get clockAheadMs(): number {
    return this.#clockAheadMs;
  }
  /** Counts of what was decided since the last call: for the checkpoint at this boundary. */
  takeTally(): Tally {
    const tally = this.#tally;
    this.#tally = new Tally();
    return tally;
  }
  /** What a checkpoint at this boundary says. */
  get meta(): MetaRow {
    return {
      nextOffset: this.#nextOffset,
      index: this.#index,
      rawMs: this.#rawMs,
      lastTimer: formatMidway(this.#midway),
      logic: this.#partitionRow().logic,
      incarnation: this.#deps.meta.incarnation,
    };
  }

  /** Applies the records, unless the pace says `stopping` in a flood: then up to there. */
  async process(records: readonly LogRecord[]): Promise<void> {
    const startedAtMs = this.#deps.context.clock.nowMs();
    this.#clockAheadMs = 0;
    const items = records.map(decodeItem);
    await this.#prefetchBatch(items);
    for (const [i, item] of items.entries()) {
      this.#begin(item.record);
      if (this.#midway?.phase !== "after") {
        if (this.timers.mayBeDue(this.instant)) {
          const turns = await this.#fireDue("before");
          if (turns === "stopped") return;
          if (turns === "several") await this.#prefetchBatch(items.slice(i));
        }
        const advanceMs = this.#advanceMs;
        this.timers.passed(this.instant);
        const moment = this.#moment();
        for (let loading; (loading = this.#missing(item.input, moment)) !== null;) await loading;
        this.#apply(item, moment);
        if (this.#advanceMs !== advanceMs && (await this.#fireDue("after")) === "stopped") return;
      } else if ((await this.#fireDue("after")) === "stopped") {
        return;
      }
      this.#end();
      const wait = this.#deps.pace.boundary(item.record.value?.length ?? 0, 1);
      if (wait !== null) await wait;
    }
    this.#deps.overlay.unpin();
    this.timers.trim();
    this.#count(records.length, startedAtMs);
  }

  /** Once per batch: meters cost more than what they count. */
  #count(records: number, startedAtMs: number): void {
    const { context, overlay } = this.#deps;
    const { meter, clock } = context;
    meter.observe("eddy_batch_records", records);
    meter.observe("eddy_batch_seconds", (clock.nowMs() - startedAtMs) / 1_000);
    for (const [kind, applied] of this.#applied) meter.count("eddy_records_total", applied, { kind });
    for (const [kind, effects] of this.#sent) meter.count("eddy_effects_total", effects, { kind });
    for (const [code, rejected] of this.#rejected) meter.count("eddy_rejections_total", rejected, { code });
    if (this.#repeated > 0) meter.count("eddy_repeated_records_total", this.#repeated);
    const { reads } = overlay;
    if (reads.memory > 0) meter.count("eddy_row_reads_total", reads.memory, { from: "memory" });
    if (reads.store > 0) meter.count("eddy_row_reads_total", reads.store, { from: "store" });
    this.#applied.clear();
    this.#sent.clear();
    this.#rejected.clear();
    this.#repeated = 0;
    reads.memory = 0;
    reads.store = 0;
  }

  #begin(record: LogRecord): void {
    const { clock, options, topics, partition } = this.#deps.context;
    const fields = { topic: topics.inbox, partition, offset: record.offset };
    const expected = this.#nextOffset;
    const midRecord = this.#midway !== null;
    invariant(record.offset >= expected, "records come in offset order", { ...fields, expected });
    invariant(!midRecord || record.offset === expected, "a record cut in two is read again", { ...fields, expected });
    const aheadMs = record.appendTimeMs - clock.nowMs();
    this.#clockAheadMs = Math.max(this.#clockAheadMs, aheadMs);
    this.#ageMs = Math.max(0, -aheadMs);
    if (aheadMs > options.clockAheadMsMax) {
      throw new ClockAheadError(
        `record ${record.offset} of partition ${partition} was appended ${aheadMs} ms ahead of this process's clock; ` +
          `at most ${options.clockAheadMsMax} ms are allowed: check the clocks of brokers and of this machine`,
        { ...fields, appendTimeMs: record.appendTimeMs, aheadMs },
      );
    }
    this.#nextOffset = record.offset;
    if (!midRecord) this.#index = 0;
    this.#rawMs = Math.max(this.#rawMs, record.appendTimeMs);
  }

  #end(): void {
    if (this.#nextOffset < this.#deps.repeatedBefore) this.#repeated++;
    this.#nextOffset = toOffset(this.#nextOffset + 1);
    this.#index = 0;
    this.#midway = null;
  }

  /** Fires what is due by now. @returns `several`: there were boundaries between, and what was prefetched is gone. */
  async #fireDue(phase: Midway["phase"]): Promise<"once" | "several" | "stopped"> {
    const { pace, overlay, context } = this.#deps;
    const turnMax = context.options.timersPerTurnMax;
    const now = this.instant;
    for (let turns = 0; ; turns++) {
      if (this.timers.needsFill(now)) await this.timers.fill(now, turnMax);
      const moment = this.#moment();
      const planned = this.timers.upcoming(now, turnMax).map((timer) => ({ input: timerDue(timer), moment }));
      const loading = this.#prefetch.load(planned);
      if (loading !== null) await loading;
      const { fired, last } = await this.#fireTurn(now, phase);
      context.meter.count("eddy_timers_fired_total", fired);
      if (last === null) {
        this.#midway = null;
        return turns === 0 ? "once" : "several";
      }
      this.#midway = { phase, last };
      overlay.unpin();
      const wait = pace.boundary(0, 0);
      if (wait !== null) await wait;
      if (pace.isStopping()) return "stopped";
    }
  }

  /** Fires at most `timersPerTurnMax` timers. @returns `last` null: nothing more is due. */
  async #fireTurn(now: Instant, phase: Midway["phase"]): Promise<{ fired: number; last: DueTimer | null }> {
    const { options, clock } = this.#deps.context;
    const turnMax = options.timersPerTurnMax;
    const streamMs = clock.nowMs() + now.advanceMs;
    let last: DueTimer | null = null;
    for (let fired = 0; fired < turnMax; fired++) {
      if (this.timers.needsFill(now)) await this.timers.fill(now, turnMax);
      const due = this.timers.head(now);
      if (due === null) return { fired, last: null };
      const input = timerDue(due.timer);
      const moment = this.#moment();
      for (let loading; (loading = this.#missing(input, moment)) !== null;) await loading;
      this.timers.passedTimer(due, now);
      this.#decide(input, moment);
      // One that a moved clock made due is not late.
      if (phase === "before" && isOfRun(due.timer)) this.#tally.timerFired(streamMs - due.effectiveMs);
      invariant(!this.timers.has(due.key), "a timer that fired is gone", { key: due.key, offset: this.#nextOffset });
      last = due;
      // Each may send a run whole: what is on its way stays bounded.
      if (this.#deps.sender.overloaded) return { fired: fired + 1, last };
    }
    return { fired: turnMax, last };
  }

  #apply({ record, input, problem }: Item, moment: Moment): void {
    increase(this.#applied, input?.kind ?? "undecodable");
    if (input !== null) {
      this.#decide(input, moment);
      return;
    }
    const { sender, context } = this.#deps;
    const { logger, topics, partition } = context;
    logger.warn({ topic: topics.inbox, partition, offset: record.offset, problem }, "dead-lettered a record");
    this.#tally.deadLetter();
    sender.enqueue(
      { offset: this.#nextOffset, index: this.#index++ },
      deadLetterOf(record, problem, topics, partition),
    );
  }

  /** Decides and applies. Everything that it reads is loaded. */
  #decide(input: Input, moment: Moment): void {
    const { overlay, sender, context } = this.#deps;
    const { core, topics, partition, logger } = context;
    try {
      const decision = core.decide(overlay, input, moment);
      this.#tally.decided(input, decision, overlay, { offset: moment.offset, ageMs: this.#ageMs });
      for (const change of decision.changes) core.evolve(overlay, change);
      for (const effect of decision.effects) {
        const cause = { offset: moment.offset, index: this.#index++ };
        sender.enqueue(cause, outgoingOf(effect, cause, topics, partition));
        increase(this.#sent, effect.kind);
      }
      for (const { code, detail } of decision.rejections) {
        increase(this.#rejected, code);
        logger.debug({ partition, offset: moment.offset, input: input.kind, code, detail }, "rejected an input");
      }
      const { advanceMs } = this.#partitionRow();
      invariant(advanceMs >= this.#advanceMs, "stream time never goes back", { from: this.#advanceMs, to: advanceMs });
      this.#advanceMs = advanceMs;
      overlay.unpinResults();
    } catch (cause) {
      const fields = explain(core, overlay, input, moment);
      logger.error({ ...fields, err: cause }, "an input broke an invariant: this partition stops");
      if (cause instanceof EddyError) throw cause;
      throw new InvariantViolation(`record ${moment.offset} of partition ${partition} cannot be decided`, fields, {
        cause,
      });
    }
  }

  /** Loads what a whole batch, and the timers that fire within it, will read. */
  async #prefetchBatch(items: readonly Item[]): Promise<void> {
    const advanceMs = this.#advanceMs;
    let rawMs = this.#rawMs;
    const planned: Planned[] = [];
    for (const { record, input } of items) {
      rawMs = Math.max(rawMs, record.appendTimeMs);
      if (input !== null) planned.push({ input, moment: this.#moment(record.offset, rawMs) });
    }
    const { timersPerTurnMax } = this.#deps.context.options;
    for (const timer of this.timers.upcoming({ rawMs, advanceMs }, timersPerTurnMax)) {
      planned.push({ input: timerDue(timer), moment: this.#moment(this.#nextOffset, rawMs) });
    }
    const loading = this.#prefetch.load(planned);
    if (loading !== null) await loading;
  }

  /**
   * @returns null when the input can be decided, at once. Asked again after each await: a checkpoint that ended
   * meanwhile has handed its rows to the cache, which may have let go of them.
   */
  #missing(input: Input | null, moment: Moment): Promise<void> | null {
    return input === null ? null : this.#prefetch.load([{ input, moment }]);
  }

  #moment(offset = this.#nextOffset, rawMs = this.#rawMs): Moment {
    const { partition, partitions } = this.#deps.context;
    const nowMs = streamTime(rawMs + this.#advanceMs);
    return { partition, partitions, offset, effectIndex: this.#index, nowMs, rawMs: rawTime(rawMs) };
  }

  #partitionRow(): Row<"partition"> {
    const row = this.#deps.overlay.get(PARTITION_KEY);
    invariant(row !== null, "a partition has a partition row from its first takeover on");
    return row;
  }
}

function increase(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** Does somebody's run wait for it? The others keep house. */
function isOfRun({ target }: Timer): boolean {
  return target.kind === "pending" || target.kind === "guest";
}

function timerDue(timer: Timer): Input {
  return { kind: "timerDue", timer };
}

function decodeItem(record: LogRecord): Item {
  if (record.value === null) return { record, input: null, problem: "a record without a value" };
  try {
    return { record, input: decodeInbox(record.value), problem: "" };
  } catch (error) {
    if (!(error instanceof BadRecordError)) throw error;
    return { record, input: null, problem: error.message };
  }
}
