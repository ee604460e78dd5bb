/**
 * Counts for operators what is decided: runs, waits, steps, by function; and names in the log, of each checkpoint the first
 * few, the runs that failed and the leases that expired. Read off the decisions' effects, never inside the core.
 *
 * What is counted here reaches the meter with the checkpoint that makes it final, and is forgotten with one that fails:
 * a record that is applied again after a takeover was not counted before, so that the sum over all engines counts each
 * once. What a process died with between its checkpoint and the next look of Prometheus is missing.
 * Memory: bounded by what a checkpoint may cover (`recordsMax`, `changedRowsMax`).
 */
import type { HistoryEntry } from "@eddy/schemas";
import type { Labels, Logger, Meter } from "@eddy/clients";
import { runKey, type Decision, type Input, type Row, type RowView } from "../core/index.js";

/** A counter with its labels, but for the one that tells whose it is. Made once: adding builds no text. */
interface Slot {
  readonly metric: string;
  readonly labels?: Labels;
}

const RUNS_STARTED: Slot = { metric: "eddy_runs_started_total" };
const RUNS_ENDED = {
  completed: { metric: "eddy_runs_ended_total", labels: { outcome: "completed" } },
  failed: { metric: "eddy_runs_ended_total", labels: { outcome: "failed" } },
  cancelled: { metric: "eddy_runs_ended_total", labels: { outcome: "cancelled" } },
} as const;
const CANCELS = {
  event: { metric: "eddy_cancels_total", labels: { by: "event" } },
  request: { metric: "eddy_cancels_total", labels: { by: "request" } },
} as const;
const WAITS_OPENED: Slot = { metric: "eddy_waits_opened_total" };
const WAITS_ENDED = {
  event: { metric: "eddy_waits_ended_total", labels: { outcome: "event" } },
  lookback: { metric: "eddy_waits_ended_total", labels: { outcome: "lookback" } },
  timeout: { metric: "eddy_waits_ended_total", labels: { outcome: "timeout" } },
} as const;
const EVENTS_USED = {
  trigger: { metric: "eddy_events_used_total", labels: { as: "trigger" } },
  wait: { metric: "eddy_events_used_total", labels: { as: "wait" } },
  cancel: { metric: "eddy_events_used_total", labels: { as: "cancel" } },
} as const;
const DISPATCHES = {
  start: { metric: "eddy_dispatches_total", labels: { reason: "start" } },
  resume: { metric: "eddy_dispatches_total", labels: { reason: "resume" } },
  retry: { metric: "eddy_dispatches_total", labels: { reason: "retry" } },
  leaseLost: { metric: "eddy_dispatches_total", labels: { reason: "lease_lost" } },
  declined: { metric: "eddy_dispatches_total", labels: { reason: "declined" } },
} as const;
const LEASES_EXPIRED: Slot = { metric: "eddy_leases_expired_total" };
const INVOCATIONS_ENDED: Slot = { metric: "eddy_invocations_ended_total" };
const HANDLER_FAILURES: Slot = { metric: "eddy_handler_failures_total" };
const DEAD_LETTERS: Slot = { metric: "eddy_dead_letters_total" };
const WORKER_SIGNALS = {
  delivered: { metric: "eddy_worker_signals_total", labels: { kind: "delivered" } },
  heartbeat: { metric: "eddy_worker_signals_total", labels: { kind: "heartbeat" } },
} as const;

/** The last one stands for all later attempts. */
const ATTEMPTS = ["1", "2", "3", "4", "5+"] as const;
const stepSlots = (outcome: string): readonly Slot[] =>
  ATTEMPTS.map((attempt) => ({ metric: "eddy_steps_total", labels: { outcome, attempt } }));
const STEPS = {
  completed: stepSlots("completed"),
  retried: stepSlots("retried"),
  failed: stepSlots("failed"),
} as const;

/** Lines of the log for each checkpoint: a function that always fails must not fill the disk. */
export const LINES_MAX = 10;

interface Line {
  readonly message: string;
  readonly fields: object;
}

/** Whose a figure is. */
type Owner = "function" | "app" | "partition";

interface At {
  readonly offset: number;
  readonly ageMs: number;
}
interface Told {
  readonly meter: Meter;
  readonly logger: Logger;
  readonly partition: number;
}

export class Tally {
  readonly #counts: Readonly<Record<Owner, Map<string, Map<Slot, number>>>> = {
    function: new Map(),
    app: new Map(),
    partition: new Map(),
  };
  /** Seconds. */
  readonly #eventToDispatch = new Map<string, number[]>();
  readonly #resultToDispatch: number[] = [];
  readonly #timerLateness: number[] = [];
  readonly #lines: Line[] = [];
  #linesLeftOut = 0;

  /**
   * What was decided, before it is carried out.
   * @param rows as `decide` saw them.
   * @param at offset of the record, and its age since it was appended, in ms.
   */
  decided(input: Input, decision: Decision, rows: RowView, { offset, ageMs }: At): void {
    if (input.kind === "delivered" || input.kind === "heartbeat") {
      this.#add("app", input.app, WORKER_SIGNALS[input.kind]);
    }
    for (const change of decision.changes) {
      const run = change.kind === "InvocationEnded" ? rowOf(rows, change.runId) : null;
      if (run !== null) this.#of(run.functionId, INVOCATIONS_ENDED);
    }
    for (const effect of decision.effects) {
      if (effect.kind !== "RecordHistory") continue;
      const { entry } = effect;
      this.#entry(entry, rows);
      this.#note(entry, offset);
      if (entry.kind !== "runDispatched") continue;
      if (input.kind === "event") pushTo(this.#eventToDispatch, entry.functionId, ageMs / 1_000);
      else if (input.kind === "report") this.#resultToDispatch.push(ageMs / 1_000);
    }
  }

  timerFired(latenessMs: number): void {
    this.#timerLateness.push(Math.max(0, latenessMs) / 1_000);
  }

  deadLetter(): void {
    this.#add("partition", "", DEAD_LETTERS);
  }

  /** All that was counted, for good. */
  tell({ meter, logger, partition }: Told): void {
    for (const { message, fields } of this.#lines) logger.info({ partition, ...fields }, message);
    if (this.#linesLeftOut > 0) logger.info({ partition, runs: this.#linesLeftOut }, "more of the same, not named");
    this.#count(meter);
  }

  #count(meter: Meter): void {
    for (const [owner, byName] of Object.entries(this.#counts)) {
      for (const [name, slots] of byName) {
        const whose = owner === "partition" ? {} : { [owner]: name };
        for (const [{ metric, labels }, by] of slots) meter.count(metric, by, { ...whose, ...labels });
      }
    }
    for (const [functionId, ages] of this.#eventToDispatch) {
      const labels = { function: functionId };
      for (const seconds of ages) meter.observe("eddy_event_to_dispatch_seconds", seconds, labels);
    }
    for (const seconds of this.#resultToDispatch) meter.observe("eddy_result_to_dispatch_seconds", seconds);
    for (const seconds of this.#timerLateness) meter.observe("eddy_timer_lateness_seconds", seconds);
  }

  #entry(entry: HistoryEntry, rows: RowView): void {
    const { functionId } = entry;
    switch (entry.kind) {
      case "runStarted":
        this.#of(functionId, RUNS_STARTED);
        return this.#of(functionId, EVENTS_USED.trigger);
      case "runDispatched":
        if (entry.reason === "leaseLost") this.#of(functionId, LEASES_EXPIRED);
        return this.#of(functionId, DISPATCHES[entry.reason]);
      case "stepCompleted": {
        return this.#step(functionId, "completed", failedBefore(rows, entry.runId, entry.stepId) + 1);
      }
      case "stepFailed":
        return this.#step(functionId, entry.retryAtMs === null ? "failed" : "retried", entry.attempt);
      case "waitStarted":
        return this.#of(functionId, WAITS_OPENED);
      case "waitResolved":
        this.#of(functionId, EVENTS_USED.wait);
        return this.#of(functionId, entry.fromLookback ? WAITS_ENDED.lookback : WAITS_ENDED.event);
      case "waitTimedOut":
        return this.#of(functionId, WAITS_ENDED.timeout);
      case "attemptFailed":
        return this.#of(functionId, HANDLER_FAILURES);
      case "runCompleted":
        return this.#of(functionId, RUNS_ENDED.completed);
      case "runFailed":
        return this.#of(functionId, RUNS_ENDED.failed);
      case "runCancelled":
        if (entry.eventId !== null) this.#of(functionId, EVENTS_USED.cancel);
        this.#of(functionId, entry.eventId === null ? CANCELS.request : CANCELS.event);
        return this.#of(functionId, RUNS_ENDED.cancelled);
      default: // Sleeps and withdrawn steps say nothing that is not seen otherwise.
    }
  }

  #note(entry: HistoryEntry, offset: number): void {
    const isFailed = entry.kind === "runFailed";
    if (!isFailed && (entry.kind !== "runDispatched" || entry.reason !== "leaseLost")) return;
    if (this.#lines.length >= LINES_MAX) {
      this.#linesLeftOut += 1;
      return;
    }
    const { runId, functionId } = entry;
    const fields = { offset, runId, functionId };
    if (isFailed) this.#lines.push({ message: "a run failed", fields: { ...fields, error: entry.error.name } });
    else this.#lines.push({ message: "a lease expired, its request goes out again", fields });
  }

  #step(functionId: string, outcome: keyof typeof STEPS, attempt: number): void {
    const slots = STEPS[outcome];
    const slot = slots[Math.min(attempt, slots.length) - 1];
    if (slot !== undefined) this.#of(functionId, slot);
  }
  #of(functionId: string, slot: Slot): void {
    this.#add("function", functionId, slot);
  }
  #add(owner: Owner, name: string, slot: Slot): void {
    const byName = this.#counts[owner];
    const slots = byName.get(name) ?? new Map<Slot, number>();
    if (slots.size === 0) byName.set(name, slots);
    slots.set(slot, (slots.get(slot) ?? 0) + 1);
  }
}

function pushTo(lists: Map<string, number[]>, name: string, value: number): void {
  const list = lists.get(name);
  if (list === undefined) lists.set(name, [value]);
  else list.push(value);
}

/** Attempts of the step that have failed so far. */
function failedBefore(rows: RowView, runId: string, stepId: string): number {
  return rowOf(rows, runId)?.attempts.find(([id]) => id === stepId)?.[1] ?? 0;
}

function rowOf(rows: RowView, runId: string): Row<"run"> | null {
  const key = runKey(runId);
  return rows.isLoaded({ kind: "row", key }) ? rows.get(key) : null;
}
