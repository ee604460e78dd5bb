/**
 * The namespace's clock, and how to move it: an `advance` record in every inbox partition (DESIGN.md section 6). Only in
 * a namespace that was made with `dev: true`; elsewhere time is what the log says.
 */
import { encodeInbox, type ClockReply } from "@eddy/schemas";
import { type Clock, type Log, type Logger, RequestError } from "@eddy/clients";
import { EddyError } from "@eddy/clients/errors";
import type { PartitionClocks } from "./partition-clocks.js";
import type { PartitionReading } from "./peers.js";

export interface DevClockDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Name of the inbox topic. */
  readonly topic: string;
  readonly clocks: PartitionClocks;
  /** May the clock be moved? */
  readonly dev: boolean;
}

/** How often it is looked whether an advance is applied, in ms: here, and where others have to be asked. */
const LOOK_AGAIN_MS = { here: 5, elsewhere: 25 } as const;
const APPLY_MS_MAX = 30_000;
/** A process without partitions asks the others for the clock at most this often, in ms. */
const ASK_PERIOD_MS = 1_000;

export class DevClock {
  readonly #deps: DevClockDeps;
  /** One advance at a time, so that each answer is of its own advance. */
  #last: Promise<unknown> = Promise.resolve();
  #knownAdvanceMs = 0;
  #askedAtMs = Number.NEGATIVE_INFINITY;

  constructor(deps: DevClockDeps) {
    this.#deps = deps;
  }

  /**
   * By how much every partition's clock is ahead of real time at least, in ms, as far as this process knows. Where it
   * has no partition, it asks the others behind the call: the next one knows.
   */
  get advanceMs(): number {
    const { clocks, dev, clock, logger } = this.#deps;
    if (!dev) return 0;
    const here = clocks.here().filter(isRunning);
    if (here.length > 0) this.#knownAdvanceMs = leastAdvance(here);
    else if (clock.nowMs() - this.#askedAtMs >= ASK_PERIOD_MS) {
      this.#askedAtMs = clock.nowMs();
      this.#readings().catch((err: unknown) => logger.debug({ err }, "the clock of the namespace is not known now"));
    }
    return this.#knownAdvanceMs;
  }

  /** Stream time at this moment. @throws RequestError, TransientError while a partition is being taken over */
  async now(): Promise<ClockReply> {
    this.#checkDev();
    const readings = await this.#readings();
    if (readings.some(({ status }) => status === "starting")) {
      throw new RequestError("UNAVAILABLE", "the partitions are being taken over; try again");
    }
    return this.#replyOf(readings);
  }

  /**
   * Moves the clock of every partition and resolves when all have applied it: timers that came due have fired.
   * @param ms at least 0.
   * @throws RequestError UNAVAILABLE while a partition does not run, or where one does not apply it in time. An append
   *   that fails is not repeated: its outcome is unknown, and an advance counts each time.
   */
  advance(ms: number): Promise<ClockReply> {
    const done = this.#last.then(() => this.#advance(ms));
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #advance(ms: number): Promise<ClockReply> {
    this.#checkDev();
    const { log, topic } = this.#deps;
    const idle = (await this.#readings()).filter((reading) => !isRunning(reading));
    if (idle.length > 0) {
      const names = idle.map(({ partition }) => partition).join(", ");
      throw new RequestError("UNAVAILABLE", `the clock moves only while all partitions run; not: ${names}`);
    }
    const value = encodeInbox({ kind: "advance", ms });
    const numbers = Array.from({ length: this.#deps.clocks.partitions }, (_, partition) => partition);
    const appended = await Promise.all(numbers.map((p) => log.append(topic, p, [{ key: null, value }])));
    return this.#replyOf(await this.#applied(appended.map(({ baseOffset }) => baseOffset)));
  }

  /** @param atOffsets by partition. @returns the readings by which all have applied it */
  async #applied(atOffsets: readonly number[]): Promise<readonly PartitionReading[]> {
    const { clock, clocks } = this.#deps;
    const giveUpAtMs = clock.nowMs() + APPLY_MS_MAX;
    for (;;) {
      const areHere = clocks.here().length === clocks.partitions;
      const readings = await this.#readingsSoon();
      const late = atOffsets.flatMap((at, p) => {
        const reading = readings?.[p];
        return reading !== undefined && isRunning(reading) && reading.processedOffset >= at ? [] : [p];
      });
      if (late.length === 0 && readings !== null) return readings;
      const failed = late.find((p) => readings?.[p]?.status === "failed");
      if (clock.nowMs() >= giveUpAtMs || failed !== undefined) {
        const text = `the advance is written, but partition ${failed ?? late.join(", ")} has not applied it`;
        throw new RequestError("UNAVAILABLE", text);
      }
      await clock.sleep(areHere ? LOOK_AGAIN_MS.here : LOOK_AGAIN_MS.elsewhere);
    }
  }

  /** null: an owner could not be asked; partitions may move while an advance is applied. */
  async #readingsSoon(): Promise<readonly PartitionReading[] | null> {
    try {
      return await this.#readings();
    } catch (error) {
      if (error instanceof EddyError && error.retriable) return null;
      throw error;
    }
  }

  async #readings(): Promise<readonly PartitionReading[]> {
    const readings = await this.#deps.clocks.everywhere();
    const running = readings.filter(isRunning);
    if (running.length > 0) this.#knownAdvanceMs = leastAdvance(running);
    return readings;
  }

  #replyOf(readings: readonly PartitionReading[]): ClockReply {
    const advanceMs = leastAdvance(readings.filter(isRunning));
    const nowMs = this.#deps.clock.nowMs() + advanceMs;
    return { now: new Date(nowMs).toISOString(), nowMs, advancedMs: advanceMs };
  }

  #checkDev(): void {
    if (this.#deps.dev) return;
    const why = "the clock of this namespace cannot be moved: it was not made with dev: true";
    throw new RequestError("NOT_A_DEV_NAMESPACE", why);
  }
}

const isRunning = ({ status }: PartitionReading): boolean => status === "running";

function leastAdvance(running: readonly PartitionReading[]): number {
  return running.length === 0 ? 0 : Math.min(...running.map(({ advanceMs }) => advanceMs));
}
