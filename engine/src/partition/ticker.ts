/**
 * Ticks: a record of the own inbox that only says what time it is, so that timers of an idle partition fire. A timer is
 * due by the log's clock, not by ours; how far ours is ahead is learned from ticks that came too early.
 */
import { encodeInbox, type Offset } from "@eddy/schemas";
import { TransientError } from "@eddy/clients/errors";
import { backoffMs } from "./backoff.js";
import type { TaskContext } from "./deps.js";

const TICK = { key: null, value: encodeInbox({ kind: "tick" }) } as const;

export class Ticker {
  readonly #context: TaskContext;
  /** The tick that has not been applied yet. */
  #underWay: Offset | null = null;
  /** Our clock minus the log's, at least, in ms; never below 0. */
  #aheadMs = 0;
  #failures = 0;
  #notBeforeMs = 0;

  constructor(context: TaskContext) {
    this.#context = context;
  }

  /**
   * When to append a tick, by our clock.
   * @param dueLogMs append time at which the next timer is due; null: there is none.
   * @returns null: not for now.
   */
  dueAtMs(dueLogMs: number | null, nextOffset: Offset): number | null {
    if (this.#underWay !== null && nextOffset > this.#underWay) this.#underWay = null;
    if (dueLogMs === null || this.#underWay !== null) return null;
    return Math.max(dueLogMs + this.#aheadMs, this.#notBeforeMs);
  }

  /** Only when caught up: a record that is there already tells the time as well. */
  async tick(): Promise<void> {
    const { log, clock, topics, partition, meter } = this.#context;
    const beforeMs = clock.nowMs();
    try {
      const { baseOffset, appendTimeMs } = await log.append(topics.inbox, partition, [TICK]);
      meter.count("eddy_ticks_total", 1);
      this.#underWay = baseOffset;
      this.#aheadMs = Math.max(0, beforeMs - appendTimeMs);
      this.#failures = 0;
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      // It may be in the log or not; another one would do no harm.
      this.#failures++;
      this.#notBeforeMs = clock.nowMs() + backoffMs(this.#failures);
    }
  }
}
