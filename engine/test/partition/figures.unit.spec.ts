/** What operators are told: counts that are final, what a partition holds, how far it is behind. */
import { describe, expect, it } from "vitest";
import type { HistoryEntry } from "@eddy/schemas";
import type { Labels, Meter } from "../../../clients/src/ports/meter.js";
import type { Core, Input, RowView } from "../../src/core/index.js";
import { NO_HOLDINGS } from "../../src/partition/holdings.js";
import { decodePosition, encodePosition, POSITION_KEY } from "../../src/partition/store-position.js";
import { LINES_MAX, Tally } from "../../src/partition/tally.js";
import { runOf } from "./builders.js";
import { heldLog } from "./held-ports.js";
import { toyCore } from "./toy-core.js";
import { Logged, settle, T0, until, World } from "./world.js";

class Told implements Meter {
  readonly counts: Record<string, number> = {};
  readonly seen: Record<string, number[]> = {};
  count(name: string, by: number, labels: Labels = {}): void {
    const key = [name, ...Object.values(labels)].join(" ");
    this.counts[key] = (this.counts[key] ?? 0) + by;
  }
  observe(name: string, value: number, labels: Labels = {}): void {
    (this.seen[[name, ...Object.values(labels)].join(" ")] ??= []).push(value);
  }
  gauge(): void {}
}

const to = (meter: Meter, logger = new Logged()) => ({ meter, logger, partition: 3 });
const base = { runId: "000-r-0", functionId: "shop/cart", atMs: 0 };
const step = { ...base, stepId: "s" };
const error = { name: "E", message: "", stack: null };
const TICK: Input = { kind: "tick" };
const none = { changes: [], rejections: [] };
const told = (entries: readonly HistoryEntry[], input: Input = TICK, rows = rowsOf(0)): Told => {
  const [tally, meter] = [new Tally(), new Told()];
  const effects = entries.map((entry) => ({ kind: "RecordHistory" as const, entry }));
  tally.decided(input, { ...none, effects }, rows, { offset: 7, ageMs: 250 });
  tally.tell(to(meter));
  return meter;
};
/** The run has failed attempts of step `s`. */
function rowsOf(failed: number): RowView {
  const run = runOf(base.runId, { attempts: failed === 0 ? [] : [["s", failed]] });
  return { isLoaded: () => true, get: () => run } as unknown as RowView;
}

describe("a tally", () => {
  it.each<[string, HistoryEntry, Record<string, number>]>([
    [
      "a start",
      { kind: "runStarted", ...base, eventId: "e", eventName: "n", dueAtMs: 0 },
      { "eddy_runs_started_total shop/cart": 1, "eddy_events_used_total shop/cart trigger": 1 },
    ],
    [
      "a lost lease",
      { kind: "runDispatched", ...base, invocation: 2, reason: "leaseLost" },
      { "eddy_leases_expired_total shop/cart": 1, "eddy_dispatches_total shop/cart lease_lost": 1 },
    ],
    [
      "a retry",
      { kind: "stepFailed", ...step, error, attempt: 2, retryAtMs: 9 },
      { "eddy_steps_total shop/cart retried 2": 1 },
    ],
    [
      "the last attempt",
      { kind: "stepFailed", ...step, error, attempt: 7, retryAtMs: null },
      { "eddy_steps_total shop/cart failed 5+": 1 },
    ],
    [
      "a wait",
      { kind: "waitStarted", ...step, eventName: "n", untilMs: 9 },
      { "eddy_waits_opened_total shop/cart": 1 },
    ],
    [
      "an event that came before its wait",
      { kind: "waitResolved", ...step, eventId: "e", fromLookback: true },
      { "eddy_waits_ended_total shop/cart lookback": 1, "eddy_events_used_total shop/cart wait": 1 },
    ],
    ["a timeout", { kind: "waitTimedOut", ...step }, { "eddy_waits_ended_total shop/cart timeout": 1 }],
    [
      "a cancel by request",
      { kind: "runCancelled", ...base, eventId: null, reason: "" },
      { "eddy_cancels_total shop/cart request": 1, "eddy_runs_ended_total shop/cart cancelled": 1 },
    ],
    [
      "a cancel by an event",
      { kind: "runCancelled", ...base, eventId: "e", reason: "" },
      {
        "eddy_cancels_total shop/cart event": 1,
        "eddy_runs_ended_total shop/cart cancelled": 1,
        "eddy_events_used_total shop/cart cancel": 1,
      },
    ],
    ["a sleep", { kind: "sleepEnded", ...step }, {}],
  ])("counts %s", (_, entry, counts) => {
    expect(told([entry]).counts).toEqual(counts);
  });

  it("knows the attempt that succeeded", () => {
    const entry = { kind: "stepCompleted" as const, ...step, data: new Uint8Array() };
    expect(told([entry]).counts).toEqual({ "eddy_steps_total shop/cart completed 1": 1 });
    expect(told([entry], TICK, rowsOf(2)).counts).toEqual({ "eddy_steps_total shop/cart completed 3": 1 });
  });

  it("counts what workers have answered", () => {
    const [tally, meter] = [new Tally(), new Told()];
    const changes = [{ kind: "InvocationEnded" as const, runId: base.runId }];
    tally.decided(TICK, { ...none, changes, effects: [] }, rowsOf(0), { offset: 7, ageMs: 0 });
    tally.tell(to(meter));
    expect(meter.counts).toEqual({ "eddy_invocations_ended_total app/f": 1 });
  });

  it("measures dispatches by what caused them, and timers", () => {
    const entry = { kind: "runDispatched" as const, ...base, invocation: 1, reason: "start" as const };
    const event = { kind: "event" } as Input;
    const report = { kind: "report" } as Input;
    expect(told([entry], event).seen).toEqual({ "eddy_event_to_dispatch_seconds shop/cart": [0.25] });
    expect(told([entry], report).seen).toEqual({ eddy_result_to_dispatch_seconds: [0.25] });
    const [tally, meter] = [new Tally(), new Told()];
    tally.timerFired(1_500);
    tally.timerFired(-3);
    tally.tell(to(meter));
    expect(meter.seen).toEqual({ eddy_timer_lateness_seconds: [1.5, 0] });
  });

  it("names failed runs and expired leases in the log, the first few, without what users wrote", () => {
    const [tally, logged] = [new Tally(), new Logged()];
    const lost = { kind: "runDispatched" as const, ...base, invocation: 2, reason: "leaseLost" as const };
    const failed = { kind: "runFailed" as const, ...base, error: { ...error, message: "secret" } };
    const entries: HistoryEntry[] = [lost, ...Array.from({ length: LINES_MAX + 2 }, () => failed)];
    const effects = entries.map((entry) => ({ kind: "RecordHistory" as const, entry }));
    tally.decided(TICK, { ...none, effects }, rowsOf(0), { offset: 7, ageMs: 0 });
    tally.tell(to(new Told(), logged));
    const { runId, functionId } = base;
    const where = { partition: 3, offset: 7, runId, functionId };
    expect(logged.lines[0]).toMatchObject({ level: "info", fields: where });
    expect(logged.lines[1]).toMatchObject({ message: "a run failed", fields: { ...where, error: "E" } });
    expect(logged.lines).toHaveLength(LINES_MAX + 1);
    expect(logged.lines.at(-1)?.fields).toEqual({ partition: 3, runs: 3 });
    expect(JSON.stringify(logged.lines)).not.toContain("secret");
  });

  it("hears workers of every transport", () => {
    const mark = { offset: 1, index: 0 };
    const meter = told([], { kind: "delivered", app: "shop", mark });
    expect(meter.counts).toEqual({ "eddy_worker_signals_total shop delivered": 1 });
  });
});

/** Each command starts a run, so it says. */
const starting: Core = {
  ...toyCore,
  decide: (view, input, moment) => {
    const decision = toyCore.decide(view, input, moment);
    if (input.kind !== "event") return decision;
    const entry = { kind: "runStarted" as const, ...base, eventId: "e", eventName: "n", dueAtMs: 0 };
    return { ...decision, effects: [...decision.effects, { kind: "RecordHistory", entry }] };
  },
};

describe("what a partition counts", () => {
  it("counts once what is applied twice: with the checkpoint, not with one that failed", async () => {
    const world = await World.make();
    const { log, commits } = heldLog(world);
    const task = await world.started({ log, core: starting });
    await world.send(1, { do: "sleep", run: "a", ms: [50_000] }, { do: "sleep", run: "b", ms: [50_000] });
    await world.applied(task);
    expect(world.meter.counts.get("eddy_records_total")).toBe(2);
    expect(world.meter.counts.has("eddy_runs_started_total")).toBe(false);
    commits.push("failBefore");
    await until("taken over again, applied and saved", async () => {
      world.clock.advance(100);
      await settle(1);
      return world.meter.counts.has("eddy_runs_started_total");
    });
    expect(world.meter.counts.get("eddy_runs_started_total")).toBe(2);
    expect(world.meter.counts.get("eddy_records_total")).toBe(4);
    expect(world.meter.counts.get("eddy_repeated_records_total")).toBe(2);
    expect(world.meter.counts.get("eddy_checkpoint_failures_total")).toBe(1);
    await task.stop();
    expect(world.meter.counts.get("eddy_runs_started_total")).toBe(2);
  });

  it("knows what it holds after a restart and after a restore, and counts where a store does not say it", async () => {
    const world = await World.make();
    const first = await world.started();
    await world.send(1, { do: "sleep", run: "a", ms: [50_000, 60_000] }, { do: "lease", run: "b", ms: 9_000 });
    await world.applied(first);
    const held = { app: "app", runs: 2, executing: 1, untaken: 0, waits: 0, sleeps: 2 };
    const expected = { timers: 3, functions: [["app/f", held]] };
    expect(first.figures()).toMatchObject(expected);
    await first.stop();
    expect(first.figures()).toBeNull();

    const again = await world.started();
    expect(again.figures()).toMatchObject(expected);
    await again.stop();

    const store = await world.stores.open("state-0");
    const [bytes] = await store.getMany([POSITION_KEY]);
    const position = { ...decodePosition(bytes ?? new Uint8Array()), holdings: null };
    await store.write({ puts: [[POSITION_KEY, encodePosition(position)]], deletes: [] });
    await store.close();
    const counted = await world.started();
    expect(counted.figures()).toMatchObject(expected);
    await counted.stop();

    await world.stores.destroy("state-0");
    const restored = await world.started();
    expect(restored.figures()).toMatchObject(expected);
    await world.send(1, { do: "end", run: "a" }, { do: "end", run: "b" });
    await world.applied(restored);
    expect(restored.figures()).toMatchObject(NO_HOLDINGS);
    await restored.stop();
  });

  it("knows since when it has something that no checkpoint has, and when its next timer is due", async () => {
    const world = await World.make();
    const task = await world.started();
    expect(task.figures()).toMatchObject({ nextOffset: 0, nextDueMs: null });
    expect(task.figures()?.unsavedSinceMs).toBeNull();
    await world.send(10, { do: "sleep", run: "a", ms: [50_000] });
    await world.applied(task);
    const atMs = T0 + 10;
    expect(task.figures()).toMatchObject({ nextOffset: 1, unsavedSinceMs: atMs, nextDueMs: atMs + 50_000 });
    expect(task.figures()?.behindSinceMs).toBe(atMs);
    await task.stop();
  });
});
