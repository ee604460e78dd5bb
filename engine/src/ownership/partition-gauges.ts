/**
 * Gauges of the partitions that are this process's, taken when they are asked for: what tasks keep anyway, and the ends
 * of the inboxes, which the log is asked for. A log that does not answer soon is not waited for: then lag is what is known.
 */
import type { Clock, GaugeBoard, GaugeRow, Log, Logger } from "@eddy/clients";
import type { FunctionHoldings, PartitionFigures } from "../partition/index.js";
import type { SeatFigures } from "./seat.js";

export interface PartitionGaugesDeps {
  readonly owned: { figures(): readonly SeatFigures[] };
  readonly log: Pick<Log, "offsets">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Name of the inbox topic. */
  readonly inbox: string;
}

/** How long ends of inboxes are waited for, in ms: Prometheus waits ten seconds for everything. */
const ENDS_MS_MAX = 1_000;
const NOTHING = { runs: 0, executing: 0, untaken: 0, waits: 0, sleeps: 0 };
const STATES = ["starting", "running", "failed"] as const;

type OfPartition = SeatFigures & { readonly task: PartitionFigures };

export class PartitionGauges {
  readonly #deps: PartitionGaugesDeps;
  readonly #ends = new Map<number, number>();
  readonly #asking = new Set<number>();
  /** Of functions that had runs here at any time: one without is 0, not gone. */
  readonly #held = new Map<string, FunctionHoldings>();

  constructor(deps: PartitionGaugesDeps) {
    this.#deps = deps;
  }

  /** Resolves soon, whatever the log does. Never rejects. */
  async tell(board: GaugeBoard): Promise<void> {
    await this.#learnEnds(this.#deps.owned.figures().map(({ partition }) => partition));
    const nowMs = this.#deps.clock.nowMs();
    const seats = this.#deps.owned.figures();
    this.#states(board, seats, nowMs);
    const working = seats.filter((seat): seat is OfPartition => seat.task !== null);
    this.#lags(board, working, nowMs);
    timers(board, working, nowMs);
    const each = (value: (task: PartitionFigures) => number) =>
      working.map(({ partition, task }) => ({ labels: { partition: String(partition) }, value: value(task) }));
    board.gauges(
      "eddy_checkpoint_age_seconds",
      each(({ unsavedSinceMs }) => (unsavedSinceMs === null ? 0 : (nowMs - unsavedSinceMs) / 1_000)),
    );
    board.gauges(
      "eddy_clock_ahead_seconds",
      each(({ clockAheadMs }) => clockAheadMs / 1_000),
    );
    board.gauges("eddy_cache_bytes", [{ value: working.reduce((sum, { task }) => sum + task.cachedBytes, 0) }]);
    this.#functions(board, working);
  }

  /** Of all partitions together. */
  #functions(board: GaugeBoard, working: readonly OfPartition[]): void {
    for (const held of this.#held.values()) Object.assign(held, NOTHING);
    for (const { task } of working) {
      for (const [name, { app, ...more }] of task.functions) {
        const held = this.#held.get(name) ?? { app, ...NOTHING };
        for (const what of Object.keys(NOTHING) as (keyof typeof NOTHING)[]) held[what] += more[what];
        this.#held.set(name, held);
      }
    }
    const all = [...this.#held];
    const each = (value: (held: FunctionHoldings) => number): readonly GaugeRow[] =>
      all.map(([name, held]) => ({ labels: { function: name, app: held.app }, value: value(held) }));
    board.gauges(
      "eddy_runs_open",
      each(({ runs }) => runs),
    );
    board.gauges(
      "eddy_runs_executing",
      each(({ executing }) => executing),
    );
    board.gauges(
      "eddy_waits_open",
      each(({ waits }) => waits),
    );
    board.gauges(
      "eddy_sleeps_open",
      each(({ sleeps }) => sleeps),
    );
    board.gauges(
      "eddy_steps_waiting",
      each(({ untaken }) => untaken),
    );
  }

  #states(board: GaugeBoard, seats: readonly SeatFigures[], nowMs: number): void {
    const states: GaugeRow[] = [];
    const stopped: GaugeRow[] = [];
    const ages: GaugeRow[] = [];
    for (const { partition: number, status, code, idleSinceMs } of seats) {
      const partition = String(number);
      for (const state of STATES) states.push({ labels: { partition, state }, value: state === status ? 1 : 0 });
      if (code !== null) stopped.push({ labels: { partition, code }, value: 1 });
      if (idleSinceMs !== null) ages.push({ labels: { partition }, value: (nowMs - idleSinceMs) / 1_000 });
    }
    board.gauges("eddy_partition_state", states);
    board.gauges("eddy_partition_stopped", stopped);
    board.gauges("eddy_partition_takeover_age_seconds", ages);
    const sums = STATES.map((status) => ({
      labels: { status },
      value: seats.filter((seat) => seat.status === status).length,
    }));
    board.gauges("eddy_partitions", sums);
  }

  #lags(board: GaugeBoard, working: readonly OfPartition[], nowMs: number): void {
    const records: GaugeRow[] = [];
    const seconds: GaugeRow[] = [];
    for (const { partition, task } of working) {
      const end = this.#ends.get(partition);
      if (end === undefined) continue;
      const labels = { partition: String(partition) };
      const lag = Math.max(0, end - task.nextOffset);
      records.push({ labels, value: lag });
      seconds.push({ labels, value: lag === 0 ? 0 : Math.max(0, nowMs - task.behindSinceMs) / 1_000 });
    }
    board.gauges("eddy_inbox_lag_records", records);
    board.gauges("eddy_inbox_lag_seconds", seconds);
  }

  async #learnEnds(partitions: readonly number[]): Promise<void> {
    const { clock } = this.#deps;
    const done = new AbortController();
    const late = clock.sleep(ENDS_MS_MAX, done.signal);
    await Promise.race([Promise.all(partitions.map((partition) => this.#learnEnd(partition))), late]);
    done.abort();
  }

  /** One question at a time: a log that does not answer is not asked more and more. */
  async #learnEnd(partition: number): Promise<void> {
    if (this.#asking.has(partition)) return;
    this.#asking.add(partition);
    try {
      const { end } = await this.#deps.log.offsets(this.#deps.inbox, partition);
      this.#ends.set(partition, end);
    } catch (err) {
      this.#deps.logger.debug({ err, partition }, "the end of an inbox is not known; its lag is as of before");
    } finally {
      this.#asking.delete(partition);
    }
  }
}

function timers(board: GaugeBoard, working: readonly OfPartition[], nowMs: number): void {
  const pending: GaugeRow[] = [];
  const overdue: GaugeRow[] = [];
  const due: GaugeRow[] = [];
  for (const { partition, task } of working) {
    const labels = { partition: String(partition) };
    const { nextDueMs } = task;
    pending.push({ labels, value: task.timers });
    overdue.push({ labels, value: nextDueMs === null ? 0 : Math.max(0, nowMs - nextDueMs) / 1_000 });
    if (nextDueMs !== null) due.push({ labels, value: nextDueMs / 1_000 });
  }
  board.gauges("eddy_timers_pending", pending);
  board.gauges("eddy_timers_overdue_seconds", overdue);
  board.gauges("eddy_next_timer_due_timestamp_seconds", due);
}
