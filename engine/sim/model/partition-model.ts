/**
 * The reference model of one partition: reads the inbox in order, with its append times, and says what must come of it.
 * Written from DESIGN.md sections 4 to 8, with plain maps and the whole log at hand: no rows, no kept events, no source
 * marks, no prefetch. What it shares with the engine are the wire contracts alone.
 */
import {
  anchorPathOf,
  anchorValueOf,
  matchValue,
  routesOf,
  type ErrorShape,
  functionIdOf,
  ID_BUCKET_MS,
  ID_WINDOW_MS,
  LEASE_MS,
  LIMITS,
  partitionOf,
  runIdOf,
  type FunctionConfig,
  type HistoryEntry,
  type InboxRecord,
  type InboxRecordOf,
  type MemoEntry,
  type RegisteredApp,
} from "@eddy/schemas";
import type { Expectation, Oracle } from "./expectation.js";
import { applyReport } from "./report-model.js";
import type { ModelEvent, ModelRun, Pending } from "./run.js";
import { sameAt } from "./values.js";
import type { Verdict } from "./verdict.js";

export interface Where {
  readonly partition: number;
  readonly partitions: number;
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

type DueTimer =
  | { readonly atMs: number; readonly order: string; readonly run: ModelRun; readonly pending: Pending }
  | { readonly atMs: number; readonly order: string; readonly run: ModelRun; readonly pending: null };

const utf8 = new TextDecoder();

/** An error that the engine itself gives to a run; its words are the engine's own. */
export const engineError = (name: string): ErrorShape => ({ name, message: "", stack: null });

type DispatchReason = Extract<HistoryEntry, { kind: "runDispatched" }>["reason"];

/** What a request that leaves nothing out comes to, as the engine counts it: ids at three bytes a character. */
function sizeOf(run: ModelRun): number {
  const sizes = [...run.memo.values()].map(({ stepId, data, error }) => {
    const text = error === null ? "" : error.name + error.message + (error.stack ?? "");
    return 136 + 3 * stepId.length + (data?.length ?? 0) + Buffer.byteLength(text);
  });
  return sizes.reduce((sum, size) => sum + size, run.trigger.payload.length);
}

export class PartitionModel {
  readonly expected: Expectation = { history: [], requests: [], aborts: [], registry: [] };
  readonly runs = new Map<string, ModelRun>();
  /** Runs that are over, for checks that look back. An event that comes again after its window makes a run live again. */
  readonly ended = new Map<string, ModelRun>();
  readonly livedTwice = new Set<string>();
  /** Everything that had an effect, in order. */
  readonly events: ModelEvent[] = [];
  readonly apps = new Map<string, RegisteredApp>();
  rawMs = 0;
  advanceMs = 0;
  offset = -1;
  #registrations = 0;
  #version = 0;
  readonly #ids = new Map<string, number>();

  constructor(
    readonly where: Where,
    readonly oracle: Oracle,
    readonly verdict: Verdict,
  ) {}

  get nowMs(): number {
    return this.rawMs + this.advanceMs;
  }

  /** @param record null: bytes that do not decode; only their append time counts. */
  apply(offset: number, appendTimeMs: number, record: InboxRecord | null): void {
    this.offset = offset;
    this.rawMs = Math.max(this.rawMs, appendTimeMs);
    this.#fireDue();
    if (record === null) return;
    switch (record.kind) {
      case "event":
        return this.#onEvent(record);
      case "report":
        return applyReport(this, record.report);
      case "delivered":
        return this.#onDelivered(record);
      case "heartbeat":
        return this.#onHeartbeat(record);
      case "advance":
        this.advanceMs += record.ms;
        return this.#fireDue();
      case "register":
        return this.#onRegister(record);
      case "registered":
        return this.#onRegistered(record.config);
      case "cancel": {
        const run = this.runs.get(record.runId);
        if (run !== undefined) this.end(run, { kind: "runCancelled", eventId: null, reason: record.reason });
        return;
      }
      case "declined": {
        const run = this.runs.get(record.runId);
        if (run?.inFlight === true && run.invocation === record.invocation) this.dispatch(run, "declined");
        return;
      }
      case "tick":
      case "logic":
        return;
    }
  }

  /** A line of the run's history, as of now. */
  record(run: ModelRun, entry: DistributiveOmit<HistoryEntry, "runId" | "functionId" | "atMs">): void {
    const { runId, functionId } = run;
    const body = { ...entry, runId, functionId, atMs: this.nowMs };
    this.expected.history.push({ offset: this.offset, body });
  }

  dispatch(run: ModelRun, reason: DispatchReason): void {
    const previous = run.invocation;
    run.invocation += 1;
    // The handler is entered anew: that is its next attempt, whatever the reason, and that of all steps that are due.
    run.pending = run.pending.filter((p) => p.kind !== "retry" || (p.stepId !== "" && !p.isDue));
    const all = [...run.memo.values()];
    const isWhole = reason === "leaseLost" || reason === "declined" || sizeOf(run) <= LIMITS.wholeRequestBytesMax;
    const memo = isWhole ? all : all.slice(run.memoSent).filter((entry) => entry.invocation !== previous);
    this.expected.requests.push({
      offset: this.offset,
      body: {
        app: run.app,
        functionId: run.functionId,
        runId: run.runId,
        invocation: run.invocation,
        attempt: run.attempts.get("") ?? 0,
        maxAttempts: run.fn.retries + 1,
        stepAttempts: [...run.attempts].filter(([stepId]) => stepId !== ""),
        event: run.invocation === 1 || isWhole ? run.trigger.payload : null,
        memo,
        memoTotal: run.memo.size,
        pending: run.pending.flatMap((p) => (p.kind === "start" || p.stepId === "" ? [] : [p.stepId])),
      },
    });
    this.record(run, { kind: "runDispatched", invocation: run.invocation, reason });
    const index = this.oracle.requestIndex(run.runId, run.invocation, this.offset);
    Object.assign(run, { inFlight: true, news: false, memoSent: run.memo.size });
    Object.assign(run, { leaseUntilMs: Infinity, heartbeats: false });
    run.cause = index === null ? null : ({ offset: this.offset, index } as ModelRun["cause"]);
  }

  /** The engine itself settles a step; the worker learns of it by the next request. */
  settle(run: ModelRun, entry: MemoEntry): void {
    this.remember(run, entry);
    run.news = true;
  }

  /** Any settled step is progress: the handler's failures and the step's own count anew. */
  remember(run: ModelRun, entry: MemoEntry): void {
    run.memo.set(entry.stepId, entry);
    run.settledAt.push(this.offset);
    run.attempts.delete("");
    run.attempts.delete(entry.stepId);
  }

  giveEvent(run: ModelRun, stepId: string, event: ModelEvent, fromLookback: boolean): void {
    this.settle(run, { stepId, kind: "wait", data: event.payload, error: null, invocation: 0 });
    run.taken.add(event.id);
    run.mark = Math.max(run.mark, event.offset);
    this.record(run, { kind: "waitResolved", stepId, eventId: event.id, fromLookback });
  }

  /** Lookback by definition: the first event behind the mark that matches and that this run has not had. */
  earlierEvent(run: ModelRun, name: string, match: string): ModelEvent | undefined {
    return this.events.find(
      (event) =>
        event.offset > run.mark &&
        event.name === name &&
        !run.taken.has(event.id) &&
        sameAt(event.body, run.trigger.body, match),
    );
  }

  end(run: ModelRun, entry: DistributiveOmit<HistoryEntry, "runId" | "functionId" | "atMs">): void {
    this.runs.delete(run.runId);
    run.endedAt = this.offset;
    this.ended.set(run.runId, run);
    this.record(run, entry);
    if (run.inFlight) this.expected.aborts.push({ offset: this.offset, body: run.runId });
    run.inFlight = false;
  }

  #fireDue(): void {
    for (;;) {
      const due = this.#dueTimers();
      if (due.length === 0) return;
      for (const timer of due) this.#fire(timer);
    }
  }

  /** In the order of time; at equal times stream time before leases, then by run and number. */
  #dueTimers(): DueTimer[] {
    const due: DueTimer[] = [];
    for (const run of this.runs.values()) {
      for (const pending of run.pending) {
        if (pending.dueAtMs > this.nowMs || (pending.kind === "retry" && pending.isDue)) continue;
        const order = `v|${run.runId}|${String(pending.no).padStart(8, "0")}`;
        due.push({ atMs: pending.dueAtMs, order, run, pending });
      }
      if (run.inFlight && run.leaseUntilMs <= this.rawMs) {
        due.push({ atMs: run.leaseUntilMs + this.advanceMs, order: `w|${run.runId}`, run, pending: null });
      }
    }
    return due.sort((a, b) => a.atMs - b.atMs || (a.order < b.order ? -1 : 1));
  }

  #fire({ run, pending }: DueTimer): void {
    if (pending === null) {
      if (run.inFlight) this.dispatch(run, "leaseLost");
      return;
    }
    if (!run.pending.includes(pending)) return;
    if (pending.kind === "retry" && run.inFlight) {
      pending.isDue = true;
      return;
    }
    run.pending = run.pending.filter((p) => p !== pending);
    if (pending.kind === "sleep" || pending.kind === "wait") {
      const { stepId, kind } = pending;
      this.settle(run, { stepId, kind, data: null, error: null, invocation: 0 });
      this.record(run, { kind: kind === "sleep" ? "sleepEnded" : "waitTimedOut", stepId });
    }
    // The record before which it fires is still eligible.
    if (pending.kind !== "retry") run.mark = Math.max(run.mark, this.offset - 1);
    if (run.inFlight) return;
    this.dispatch(run, pending.kind === "start" ? "start" : pending.kind === "retry" ? "retry" : "resume");
  }

  #onEvent(record: InboxRecordOf<"event">): void {
    if (this.#isRepeat(record)) return;
    const body: unknown = JSON.parse(utf8.decode(record.payload));
    const event = { offset: this.offset, id: record.id, name: record.name, body, payload: record.payload };
    this.events.push(event);
    for (const run of [...this.runs.values()]) {
      if (run.trigger.id === event.id) continue; // what starts a run never cancels it, not even when it comes again
      const hit = run.rules.some(
        (rule) =>
          rule.event === event.name && this.nowMs < rule.expiresAtMs && sameAt(body, run.trigger.body, rule.match),
      );
      if (hit) this.end(run, { kind: "runCancelled", eventId: event.id, reason: `event ${event.name}` });
    }
    for (const run of this.runs.values()) {
      // A run takes an event once. Where several of its waits match, the first path counts, then the oldest wait.
      const [wait] = run.pending
        .filter((p) => p.kind === "wait")
        .filter((p) => p.event === event.name && sameAt(body, run.trigger.body, p.match))
        .sort((a, b) => (a.match < b.match ? -1 : a.match > b.match ? 1 : a.no - b.no));
      if (wait === undefined || run.taken.has(event.id)) continue;
      run.pending = run.pending.filter((p) => p !== wait);
      this.giveEvent(run, wait.stepId, event, false);
      if (!run.inFlight) this.dispatch(run, "resume");
    }
    for (const app of [...this.apps.keys()].sort()) {
      for (const fn of this.apps.get(app)?.functions ?? []) {
        if (fn.triggers.some((trigger) => trigger.event === event.name)) this.#start(app, fn, event, record);
      }
    }
  }

  /** Known ids are dropped in whole time buckets, so they are known a little longer than the window. */
  #isRepeat({ id, idFrom, name, values }: InboxRecordOf<"event">): boolean {
    const { partition, partitions } = this.where;
    const here = values.filter(([path, value]) => path !== "id" && partitionOf(value, partitions) === partition);
    const keys = here.length === 0 ? [id] : here.map(([path, value]) => JSON.stringify([id, name, path, value]));
    if (keys.some((key) => (this.#ids.get(key) ?? 0) > this.nowMs)) return true;
    const width = ID_BUCKET_MS[idFrom];
    const untilMs = (Math.floor(this.nowMs / width) + 1) * width + ID_WINDOW_MS[idFrom];
    for (const key of keys) this.#ids.set(key, untilMs);
    return false;
  }

  #start(app: string, fn: FunctionConfig, event: ModelEvent, record: InboxRecordOf<"event">): void {
    const anchor = anchorValueOf(record.values, anchorPathOf(fn));
    if (partitionOf(anchor, this.where.partitions) !== this.where.partition) return;
    const functionId = functionIdOf(app, fn.id);
    const runId = runIdOf(functionId, event.id, anchor);
    if (this.runs.has(runId)) return;
    const rules = fn.cancelOn.map(({ event: name, match, timeout }) => {
      const lives = timeout === null ? Infinity : "ms" in timeout ? this.nowMs + timeout.ms : timeout.atMs;
      return { event: name, match, expiresAtMs: lives };
    });
    const run: ModelRun = {
      ...{ runId, functionId, app, fn, trigger: event, rules, mark: this.offset },
      ...{
        memo: new Map(),
        settledAt: [],
        endedAt: Infinity,
        pending: [],
        pendingNo: 0,
        attempts: new Map(),
        taken: new Set(),
      },
      ...{ invocation: 0, inFlight: false, news: false, memoSent: 0 },
      ...{ cause: null, leaseUntilMs: Infinity, heartbeats: false },
    };
    if (this.ended.has(runId)) this.livedTwice.add(runId);
    this.runs.set(runId, run);
    const dueAtMs = Math.max(this.nowMs, record.tsMs);
    this.record(run, { kind: "runStarted", eventId: event.id, eventName: event.name, dueAtMs });
    const listens = [...fn.cancelOn, ...fn.waits].map(({ match }) => matchValue(record.values, match));
    const isForeign = (value: string | null): boolean =>
      value !== null && partitionOf(value, this.where.partitions) !== this.where.partition;
    if (listens.some(isForeign)) return this.end(run, { kind: "runFailed", error: engineError("ForeignKeyError") });
    if (dueAtMs > this.nowMs) run.pending.push({ kind: "start", no: run.pendingNo++, dueAtMs });
    else this.dispatch(run, "start");
  }

  /** Do senders route events of this name by this path? */
  isRouted(event: string, match: string): boolean {
    return (
      routesOf([...this.apps.values()])
        .get(event)
        ?.paths.includes(match) ?? false
    );
  }

  /** The first delivery that covers a request starts its lease. */
  #onDelivered({ app, mark }: InboxRecordOf<"delivered">): void {
    for (const run of this.runs.values()) {
      if (!run.inFlight || run.app !== app || run.leaseUntilMs !== Infinity || run.cause === null) continue;
      const { offset, index } = run.cause;
      const covered = offset < mark.offset || (offset === mark.offset && index <= mark.index);
      if (covered) run.leaseUntilMs = this.rawMs + LEASE_MS;
    }
  }

  #onHeartbeat({ app, running }: InboxRecordOf<"heartbeat">): void {
    for (const { runId, invocation } of running) {
      const run = this.runs.get(runId);
      if (run === undefined || run.app !== app || !run.inFlight || run.invocation !== invocation) continue;
      run.leaseUntilMs = this.rawMs + LEASE_MS;
      run.heartbeats = true;
    }
  }

  #onRegister({ config }: InboxRecordOf<"register">): void {
    if (this.where.partition !== 0) return;
    this.#registrations += 1;
    const { app, functions } = config;
    const body = { kind: "app" as const, config: { app, version: this.#registrations, digest: "", functions } };
    this.expected.registry.push({ offset: this.offset, body });
  }

  #onRegistered(config: RegisteredApp): void {
    if (config.version <= this.#version) return;
    this.#version = config.version;
    this.apps.set(config.app, config);
    const body = { kind: "applied" as const, partition: this.where.partition, version: config.version };
    this.expected.registry.push({ offset: this.offset, body });
  }
}
