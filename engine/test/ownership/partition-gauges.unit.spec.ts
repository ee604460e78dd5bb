import { beforeEach, describe, expect, it } from "vitest";
import { offset } from "@eddy/schemas";
import type { GaugeBoard, GaugeRow } from "../../../clients/src/ports/meter.js";
import { ManualClock } from "../../src/adapters/memory/index.js";
import { PartitionGauges } from "../../src/ownership/partition-gauges.js";
import type { SeatFigures } from "../../src/ownership/seat.js";
import type { PartitionFigures } from "../../src/partition/index.js";
import { Logged, settle, T0 } from "../partition/world.js";

const TASK: PartitionFigures = {
  nextOffset: 10,
  behindSinceMs: T0 - 4_000,
  nextDueMs: null,
  timers: 0,
  functions: [],
  unsavedSinceMs: null,
  clockAheadMs: 0,
  cachedBytes: 0,
};
const held = { app: "shop", runs: 2, executing: 1, untaken: 1, waits: 1, sleeps: 0 };

class Board implements GaugeBoard {
  readonly rows = new Map<string, readonly GaugeRow[]>();
  gauges(name: string, rows: readonly GaugeRow[]): void {
    this.rows.set(name, rows);
  }
  of(name: string): Record<string, number> {
    const rows = this.rows.get(name) ?? [];
    return Object.fromEntries(rows.map(({ labels = {}, value }) => [Object.values(labels).join(" "), value]));
  }
}

describe("gauges of partitions", () => {
  let seats: SeatFigures[];
  let ends: (partition: number) => Promise<number>;
  let clock: ManualClock;
  let gauges: PartitionGauges;
  let board: Board;
  beforeEach(() => {
    seats = [];
    ends = () => Promise.resolve(10);
    clock = new ManualClock(T0);
    board = new Board();
    const log = {
      offsets: async (_: string, partition: number) => ({ start: offset(0), end: offset(await ends(partition)) }),
    };
    gauges = new PartitionGauges({
      ...{ log, clock, inbox: "inbox", logger: new Logged() },
      owned: { figures: () => seats },
    });
  });
  const running = (partition: number, task: Partial<PartitionFigures> = {}): SeatFigures => {
    return { partition, status: "running", code: null, idleSinceMs: null, task: { ...TASK, ...task } };
  };

  it("tells lag in records and in seconds; who has everything has none, however long ago it came", async () => {
    seats = [running(0), running(1, { nextOffset: 7 })];
    await gauges.tell(board);
    expect(board.of("eddy_inbox_lag_records")).toEqual({ 0: 0, 1: 3 });
    expect(board.of("eddy_inbox_lag_seconds")).toEqual({ 0: 0, 1: 4 });
  });

  it("does not wait for a log that does not answer: lag is as it was known", async () => {
    seats = [running(0)];
    await gauges.tell(board);
    seats = [running(0, { nextOffset: 4 })];
    ends = () => new Promise(() => undefined);
    const telling = gauges.tell(board);
    await settle();
    clock.advance(1_000);
    await telling;
    expect(board.of("eddy_inbox_lag_records")).toEqual({ 0: 6 });
    expect(board.of("eddy_inbox_lag_seconds")).toEqual({ 0: 5 });
  });

  it("says of a log that fails what is known, and of a partition whose end was never known nothing", async () => {
    seats = [running(0)];
    ends = () => Promise.reject(new Error("no broker"));
    await gauges.tell(board);
    expect(board.of("eddy_inbox_lag_records")).toEqual({});
  });

  it("tells states, why a partition has stopped, and for how long one is taken over", async () => {
    seats = [
      running(0),
      { partition: 1, status: "failed", code: "CLOCK_AHEAD", idleSinceMs: null, task: null },
      { partition: 2, status: "starting", code: null, idleSinceMs: T0 - 7_000, task: null },
    ];
    await gauges.tell(board);
    expect(board.of("eddy_partitions")).toEqual({ starting: 1, running: 1, failed: 1 });
    expect(board.of("eddy_partition_state")).toMatchObject({ "0 running": 1, "0 failed": 0, "1 failed": 1 });
    expect(board.of("eddy_partition_stopped")).toEqual({ "1 CLOCK_AHEAD": 1 });
    expect(board.of("eddy_partition_takeover_age_seconds")).toEqual({ 2: 7 });
    seats = [running(0)];
    await gauges.tell(board);
    expect(board.of("eddy_partition_stopped")).toEqual({});
  });

  it("tells timers and checkpoints", async () => {
    const late = { nextDueMs: T0 - 2_000, unsavedSinceMs: T0 - 500, clockAheadMs: 1_500, timers: 9, cachedBytes: 100 };
    seats = [running(0, late), running(1, { nextDueMs: T0 + 2_000, cachedBytes: 11 }), running(2)];
    await gauges.tell(board);
    expect(board.of("eddy_timers_overdue_seconds")).toEqual({ 0: 2, 1: 0, 2: 0 });
    expect(board.of("eddy_next_timer_due_timestamp_seconds")).toEqual({ 0: T0 / 1_000 - 2, 1: T0 / 1_000 + 2 });
    expect(board.of("eddy_timers_pending")).toEqual({ 0: 9, 1: 0, 2: 0 });
    expect(board.of("eddy_checkpoint_age_seconds")).toEqual({ 0: 0.5, 1: 0, 2: 0 });
    expect(board.of("eddy_clock_ahead_seconds")).toEqual({ 0: 1.5, 1: 0, 2: 0 });
    expect(board.of("eddy_cache_bytes")).toEqual({ "": 111 });
  });

  it("adds up functions over partitions; one without runs is 0, not gone", async () => {
    seats = [running(0, { functions: [["shop/f", held]] }), running(1, { functions: [["shop/f", held]] })];
    await gauges.tell(board);
    expect(board.of("eddy_waits_open")).toEqual({ "shop/f shop": 2 });
    expect(board.rows.get("eddy_steps_waiting")).toEqual([{ labels: { app: "shop", function: "shop/f" }, value: 2 }]);
    seats = [running(0)];
    await gauges.tell(board);
    expect(board.of("eddy_runs_open")).toEqual({ "shop/f shop": 0 });
  });
});
