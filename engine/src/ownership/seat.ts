/**
 * One partition's place in this process: empty, or a task and a history that belong to it.
 *
 *            assign                 caught up
 *   empty ──────────> taking over ────────────> running
 *     ^                │  ^     ^                 │ │
 *     │ closed         │  │     └── still ours ───┘ │ bug, or damage that stays
 *     │                │  │         after a fence   v
 *   closing <──────────┘  └── still ours, ──────  failed: shown until the partition is lost
 *     ^  lose                 trouble that passes   │
 *     └─────────────────────────────────────────────┘
 *
 * Invariants: a seat has at most one task and one history at a time, and each has closed its store before the next one
 * opens it. `assign` leaves a task that runs alone. Nothing here throws.
 */
import { EddyError, FencedError, OffsetOutOfRangeError, TransientError } from "@eddy/clients/errors";
import type { Clock, Log, Logger, Meter } from "@eddy/clients";
import { offset } from "@eddy/schemas";
import type { HistoryTailer } from "../history/history-tailer.js";
import type { PartitionFigures, PartitionTask } from "../partition/index.js";
import type { Turns } from "./turns.js";

/** As much of a partition task, and of a history tailer, as is asked here. */
export type OwnedTask = Pick<
  PartitionTask,
  "status" | "failure" | "closed" | "start" | "stop" | "time" | "hasSettled" | "runState" | "isCurrent" | "figures"
>;
export type OwnedHistory = Pick<
  HistoryTailer,
  "store" | "upToDate" | "event" | "isCaughtUp" | "failure" | "start" | "stop"
>;

export interface SeatDeps {
  readonly partition: number;
  readonly log: Log;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  /** Name of the inbox topic. */
  readonly inbox: string;
  readonly makeTask: (partition: number) => OwnedTask;
  readonly makeHistory: (partition: number) => OwnedHistory;
  /** Restores take disk and network: of all seats, so many at once. */
  readonly takeovers: Turns;
  readonly rebuilds: Turns;
  /** Does the group give us the partition in its current generation? false: not now, ask again. Never rejects. */
  readonly isStillOurs: (partition: number) => Promise<boolean>;
  /** Partitions move between processes: it is of interest when one comes. */
  readonly isShared: boolean;
}

export interface PartitionReading {
  readonly partition: number;
  /** running: as far as its inbox was when it was taken over, at least. failed: nobody works on it. */
  readonly status: "starting" | "running" | "failed";
  readonly advanceMs: number;
  readonly processedOffset: number;
}

/** For operators. */
export interface SeatFigures {
  readonly partition: number;
  readonly status: PartitionReading["status"];
  /** Code of the error that the partition has failed with; null: it has not. */
  readonly code: string | null;
  /** Since when nobody works on it, by our clock; null: somebody does, or it has failed. */
  readonly idleSinceMs: number | null;
  /** null: nobody works on it. */
  readonly task: PartitionFigures | null;
}

/** Pause before a partition is taken over again, in ms; a group needs longer to notice that a member is gone. */
const AGAIN_MS = 1_000;
/** How often it is looked whether a partition has caught up, in ms. */
const LOOK_AGAIN_MS = 5;

export class Seat {
  readonly #deps: SeatDeps;
  #isOurs = false;
  /** Aborted when the partition is lost. */
  #lost = new AbortController();
  #holding: Promise<void> | null = null;
  #task: OwnedTask | null = null;
  #history: OwnedHistory | null = null;
  #isCaughtUp = false;
  /** When the partition was given to us, or the last task on it ended. */
  #idleSinceMs = 0;
  /** Why nobody works on the partition; it is over with the next takeover that succeeds. */
  #taskTrouble: Error | null = null;
  #historyTrouble: Error | null = null;

  constructor(deps: SeatDeps) {
    this.#deps = deps;
  }

  /** The partition is ours: takes it over, once what was here before has closed. Idempotent. */
  assign(): void {
    if (this.#isOurs) return;
    this.#isOurs = true;
    this.#holding ??= this.#hold();
  }

  /** The partition is another's: saves what can be saved, closes. Idempotent. */
  lose(): void {
    this.#isOurs = false;
    this.#lost.abort();
  }

  /** Resolves when the seat is empty. */
  async empty(): Promise<void> {
    await this.#holding;
  }

  get isOurs(): boolean {
    return this.#isOurs;
  }
  /** null while there is none, as between two takeovers. */
  get task(): OwnedTask | null {
    return this.#isOurs ? this.#task : null;
  }
  /** null: the partition is not ours, or its history is not opened yet. */
  get history(): OwnedHistory | null {
    return this.#isOurs ? this.#history : null;
  }
  /** Everything that was begun has ended, well or not. */
  get isSettled(): boolean {
    const isTold = this.#taskTrouble !== null || this.#isCaughtUp;
    return !this.#isOurs || (isTold && (this.#historyTrouble !== null || this.#history?.isCaughtUp === true));
  }

  /** For readiness; empty: all is well. */
  get problems(): readonly string[] {
    const { partition } = this.#deps;
    const problems: string[] = [];
    if (!this.#isOurs) return problems;
    if (this.#taskTrouble !== null) problems.push(`partition ${partition}: failed: ${this.#taskTrouble.message}`);
    else if (this.reading().status !== "running") problems.push(`partition ${partition}: is being taken over`);
    const trouble = this.#historyTrouble ?? this.#history?.failure ?? null;
    if (trouble !== null) problems.push(`history ${partition}: ${trouble.message}`);
    else if (this.#history?.isCaughtUp !== true) problems.push(`history ${partition}: is being read`);
    return problems;
  }

  /**
   * Are all inbox records before this offset decided, and what came of them told to the history? Of a partition on which
   * nobody works: yes, there will be no more.
   * @throws TransientError while it is being taken over
   */
  hasSettled(before: number): boolean {
    const { partition } = this.#deps;
    const { status } = this.reading();
    if (!this.#isOurs || status === "starting") {
      throw new TransientError(`partition ${partition} is being taken over; try again`, { partition });
    }
    return status === "failed" || (this.#task?.hasSettled(before) ?? false);
  }

  reading(): PartitionReading {
    const { partition } = this.#deps;
    const { advanceMs, processedOffset } = this.task?.time() ?? { advanceMs: 0, processedOffset: -1 };
    const isRunning = this.#isCaughtUp && this.#task?.status === "running";
    const isFailed = this.#taskTrouble !== null && !passes(this.#taskTrouble);
    const status = isFailed ? "failed" : isRunning ? "running" : "starting";
    return { partition, status, advanceMs, processedOffset };
  }

  figures(): SeatFigures {
    const { partition, status } = this.reading();
    const trouble = status === "failed" ? this.#taskTrouble : null;
    const code = trouble === null ? null : trouble instanceof EddyError ? trouble.code : "OTHER";
    const idleSinceMs = status === "starting" ? this.#idleSinceMs : null;
    return { partition, status, code, idleSinceMs, task: this.task?.figures() ?? null };
  }

  async #hold(): Promise<void> {
    while (this.#isOurs) {
      this.#lost = new AbortController();
      const { signal } = this.#lost;
      await Promise.all([this.#keepTask(signal), this.#keepHistory(signal)]);
    }
    this.#holding = null;
  }

  /** Resolves when the partition is lost and its last task has closed. */
  async #keepTask(lost: AbortSignal): Promise<void> {
    const { clock, logger, partition, isStillOurs } = this.#deps;
    let idleSinceMs = clock.nowMs();
    for (;;) {
      this.#idleSinceMs = idleSinceMs;
      const task = await this.#takeOver(idleSinceMs, lost);
      await task?.closed;
      this.#isCaughtUp = false;
      if (task === null || lost.aborted) break;
      idleSinceMs = clock.nowMs();
      this.#taskTrouble = task.failure ?? new Error("the partition task ended by itself");
      if (!passes(this.#taskTrouble)) {
        logger.error({ err: this.#taskTrouble, partition }, "a partition has stopped; the others go on");
        await aborted(lost);
        break;
      }
      logger.warn(
        { err: this.#taskTrouble, partition },
        "a partition has stopped; it is taken over again if still ours",
      );
      do await clock.sleep(AGAIN_MS, lost);
      while (!lost.aborted && !(await isStillOurs(partition)));
    }
    this.#task = null;
    this.#taskTrouble = null;
  }

  /** @returns the task, restored and consuming, or ended; null when the partition was lost before. */
  async #takeOver(idleSinceMs: number, lost: AbortSignal): Promise<OwnedTask | null> {
    const { partition, makeTask, takeovers } = this.#deps;
    const giveBack = await takeovers.take(lost);
    if (giveBack === null) return null;
    const task = makeTask(partition);
    this.#task = task;
    const stop = (): void => void task.stop();
    lost.addEventListener("abort", stop, { once: true });
    void task.closed.then(() => lost.removeEventListener("abort", stop));
    try {
      await task.start();
    } catch {
      return task; // `failure` has it; whoever waits for the end sees it there
    } finally {
      giveBack();
    }
    void this.#watch(task, idleSinceMs);
    return task;
  }

  /** Notes when the task has applied all that its inbox held, and says how long nobody did. */
  async #watch(task: OwnedTask, idleSinceMs: number): Promise<void> {
    const { clock, logger, meter, partition, isShared } = this.#deps;
    const isRunning = (): boolean => task === this.#task && task.status === "running";
    let waiting: Waiting | null = null;
    while (waiting === null && isRunning()) {
      try {
        waiting = await this.#waitingFor(task.time().processedOffset + 1);
      } catch (err) {
        logger.debug({ err, partition }, "the end of the inbox is not known yet, asking again");
        await clock.sleep(AGAIN_MS, this.#lost.signal);
      }
    }
    while (waiting !== null && isRunning() && task.time().processedOffset < waiting.end - 1) {
      await clock.sleep(LOOK_AGAIN_MS);
    }
    if (waiting === null || !isRunning()) return;
    this.#isCaughtUp = true;
    this.#taskTrouble = null;
    const stalledMs = Math.max(0, clock.nowMs() - Math.min(idleSinceMs, waiting.sinceMs));
    meter.observe("eddy_takeover_seconds", stalledMs / 1_000);
    if (isShared) logger.info({ partition, stalledMs }, "partition taken over");
  }

  /**
   * The end of the inbox, and how long its first record that no checkpoint has was there: the former owner may have
   * applied it and no more, so this is an upper bound.
   */
  async #waitingFor(nextOffset: number): Promise<Waiting> {
    const { log, inbox, partition } = this.#deps;
    const { end } = await log.offsets(inbox, partition);
    if (nextOffset >= end) return { end, sinceMs: Number.POSITIVE_INFINITY };
    const reader = log.reader(inbox, partition, offset(nextOffset));
    try {
      const [first] = await reader.read({ recordsMax: 1, waitMs: 0 });
      return { end, sinceMs: first?.appendTimeMs ?? Number.POSITIVE_INFINITY };
    } catch (error) {
      if (!(error instanceof OffsetOutOfRangeError)) throw error;
      return { end, sinceMs: Number.POSITIVE_INFINITY };
    } finally {
      await reader.close();
    }
  }

  /** Resolves when the partition is lost and its history is closed. */
  async #keepHistory(lost: AbortSignal): Promise<void> {
    const { clock, logger, partition, makeHistory } = this.#deps;
    while (!lost.aborted) {
      const history = makeHistory(partition);
      this.#history = history;
      this.#historyTrouble = await this.#readHistory(history, lost);
      if (this.#historyTrouble === null || !passes(this.#historyTrouble)) await aborted(lost);
      await history.stop();
      if (lost.aborted) break;
      logger.warn({ err: this.#historyTrouble, partition }, "the history cannot be read, trying again");
      await clock.sleep(AGAIN_MS, lost);
    }
    this.#history = null;
    this.#historyTrouble = null;
  }

  /** @returns what went wrong; null when it can be looked up in, or the partition was lost before. */
  async #readHistory(history: OwnedHistory, lost: AbortSignal): Promise<Error | null> {
    const giveBack = await this.#deps.rebuilds.take(lost);
    if (giveBack === null) return null;
    const stop = (): void => void history.stop();
    lost.addEventListener("abort", stop, { once: true });
    try {
      await history.start();
      return null;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    } finally {
      lost.removeEventListener("abort", stop);
      giveBack();
    }
  }
}

interface Waiting {
  readonly end: number;
  /** Append time in ms; Infinity: nothing waited. */
  readonly sinceMs: number;
}

/** Another process took over, or brokers did not answer for long: to take over again may help. */
function passes(error: Error): boolean {
  return error instanceof FencedError || error instanceof TransientError;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
