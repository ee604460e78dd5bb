/** The namespace's clock, and how to move it: an `advance` record in every inbox partition (DESIGN.md section 6). */
import { encodeInbox, type ClockReply } from "@eddy/schemas";
import { type Clock, type Log, RequestError } from "@eddy/clients";

/** As much of a partition task as is asked here. */
export interface PartitionClock {
  readonly status: string;
  time(): { readonly rawMs: number; readonly advanceMs: number; readonly processedOffset: number };
}

export interface DevClockDeps {
  readonly log: Log;
  readonly clock: Clock;
  /** Name of the inbox topic. */
  readonly topic: string;
  /** One per inbox partition, in order. */
  readonly partitions: readonly PartitionClock[];
}

const LOOK_AGAIN_MS = 5;
const APPLY_MS_MAX = 30_000;

export class DevClock {
  readonly #deps: DevClockDeps;
  /** One advance at a time, so that each answer is of its own advance. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: DevClockDeps) {
    this.#deps = deps;
  }

  /** By how much every partition's clock is ahead of real time at least, in ms. */
  get advanceMs(): number {
    const running = this.#deps.partitions.filter(({ status }) => status === "running");
    return running.length === 0 ? 0 : Math.min(...running.map((partition) => partition.time().advanceMs));
  }

  /** Stream time at this moment. @throws RequestError UNAVAILABLE while a partition is being taken over. */
  now(): ClockReply {
    if (this.#deps.partitions.some(({ status }) => status === "starting")) {
      throw new RequestError("UNAVAILABLE", "the partitions are being taken over; try again");
    }
    const { advanceMs } = this;
    const nowMs = this.#deps.clock.nowMs() + advanceMs;
    return { now: new Date(nowMs).toISOString(), nowMs, advancedMs: advanceMs };
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
    const { log, topic, partitions } = this.#deps;
    this.#checkAllRun();
    const value = encodeInbox({ kind: "advance", ms });
    const appended = await Promise.all(partitions.map((_, p) => log.append(topic, p, [{ key: null, value }])));
    await Promise.all(partitions.map((partition, p) => this.#applied(partition, p, appended[p]?.baseOffset ?? 0)));
    return this.now();
  }

  async #applied(partition: PartitionClock, number: number, atOffset: number): Promise<void> {
    const { clock } = this.#deps;
    const giveUpAtMs = clock.nowMs() + APPLY_MS_MAX;
    while (partition.status !== "running" || partition.time().processedOffset < atOffset) {
      if (clock.nowMs() >= giveUpAtMs || partition.status === "failed" || partition.status === "stopped") {
        throw new RequestError("UNAVAILABLE", `the advance is written, but partition ${number} has not applied it`);
      }
      await clock.sleep(LOOK_AGAIN_MS);
    }
  }

  #checkAllRun(): void {
    const idle = this.#deps.partitions.flatMap(({ status }, p) => (status === "running" ? [] : [p]));
    if (idle.length > 0) {
      throw new RequestError("UNAVAILABLE", `the clock moves only while all partitions run; not: ${idle.join(", ")}`);
    }
  }
}
