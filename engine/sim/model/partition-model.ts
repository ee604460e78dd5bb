/**
 * The reference model of one partition: reads the inbox in order, with its append times, and says what must come of it.
 * Written from DESIGN.md sections 4 to 8 and ADR 0015, with plain maps and the whole log at hand: no rows, no kept events,
 * no source marks, no prefetch. What it shares with the engine are the wire contracts alone.
 *
 * Rooms: `event-model.ts` what an event does, `guest-model.ts` runs of other partitions and what they say, `report-model.ts`
 * and `wait-model.ts` what a worker reports, `registration-model.ts` functions and routes.
 */
import {
  LEASE_MS,
  LIMITS,
  Routes,
  type ErrorShape,
  type HistoryEntry,
  type InboxRecord,
  type InboxRecordOf,
  type MemoEntry,
  type RegisteredApp,
} from "@eddy/schemas";
import { onEvent } from "./event-model.js";
import type { Expectation, Oracle, SentRecord } from "./expectation.js";
import { onAnnounced, onAnswer, onListen, onUnlisten } from "./guest-model.js";
import { onLearn, onRegister, onRegistered, onSettled } from "./registration-model.js";
import { applyReport } from "./report-model.js";
import type { Guest, Logged, ModelEvent, ModelMark, ModelRun, Settling } from "./run.js";
import { fireDue } from "./timer-model.js";
import type { Verdict } from "./verdict.js";

export interface Where {
  readonly partition: number;
  readonly partitions: number;
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

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

/** In flight, or about to be again by itself. */
export function isExecuting(run: ModelRun): boolean {
  return run.inFlight || run.pending.some(({ kind }) => kind === "retry");
}

const idsOf = ({ base, runId }: ModelRun) => ({ base, runId });

const laterOf = (a: ModelMark, b: ModelMark): ModelMark => ({
  offset: Math.max(a.offset, b.offset),
  atMs: Math.max(a.atMs, b.atMs),
});

export class PartitionModel {
  readonly expected: Expectation = { history: [], requests: [], aborts: [], registry: [], sent: [] };
  readonly runs = new Map<string, ModelRun>();
  /** Runs that are over, for checks that look back. */
  readonly ended = new Map<string, ModelRun>();
  /** Runs of other partitions that listen here, by base. */
  readonly guests = new Map<string, Guest>();
  /** Everything that had an effect, in order. */
  readonly events: ModelEvent[] = [];
  /** All records so far. */
  readonly log: Logged[] = [];
  apps = new Map<string, RegisteredApp>();
  routes = new Routes([]);
  version = 0;
  registrations = 0;
  settleMs = 0;
  readonly settling = new Map<number, Settling>();
  readonly ids = new Map<string, number>();
  /** Where each was new. */
  readonly firstAt = new Map<string, { readonly offset: number; readonly atMs: number }>();
  rawMs = 0;
  advanceMs = 0;
  offset = -1;
  readonly #sources = new Set<string>();

  constructor(
    readonly where: Where,
    readonly oracle: Oracle,
    readonly verdict: Verdict,
  ) {}

  get nowMs(): number {
    return this.rawMs + this.advanceMs;
  }

  runOf(base: string): ModelRun | undefined {
    for (const run of this.runs.values()) if (run.base === base) return run;
    return undefined;
  }

  /** @param record null: bytes that do not decode; only their append time counts. */
  apply(offset: number, appendTimeMs: number, record: InboxRecord | null): void {
    this.offset = offset;
    this.rawMs = Math.max(this.rawMs, appendTimeMs);
    fireDue(this);
    this.log.push({ offset, rawMs: appendTimeMs, atMs: this.nowMs, record });
    if (record !== null && !this.#isRepeat(record)) this.#take(record);
  }

  /** A record that another partition said before. */
  #isRepeat(record: InboxRecord): boolean {
    const source = record.kind === "event" ? record.origin?.source : "source" in record ? record.source : undefined;
    if (source === undefined) return false;
    const id = `${source.partition}/${source.offset}.${source.index}`;
    if (this.#sources.has(id)) return true;
    this.#sources.add(id);
    return false;
  }

  #take(record: InboxRecord): void {
    switch (record.kind) {
      case "event":
        return onEvent(this, record);
      case "report":
        return applyReport(this, record.report);
      case "delivered":
        return this.#onDelivered(record);
      case "heartbeat":
        return this.#onHeartbeat(record);
      case "advance":
        this.advanceMs += record.ms;
        return fireDue(this);
      case "register":
        return onRegister(this, record);
      case "registered":
        return onRegistered(this, record);
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
      case "listen":
        return onListen(this, record);
      case "unlisten":
        return onUnlisten(this, record);
      case "answer":
        return onAnswer(this, record);
      case "announced":
        return onAnnounced(this, record);
      case "learn":
        return onLearn(this, record);
      case "settled":
        return onSettled(this, record);
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

  /** A record for an inbox: another one, or this one again. */
  send(to: number, record: SentRecord): void {
    this.expected.sent.push({ offset: this.offset, body: { to, record } });
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
        withdrawn: [...run.withdrawn],
      },
    });
    this.record(run, { kind: "runDispatched", invocation: run.invocation, reason });
    const index = this.oracle.requestIndex(run.runId, run.invocation, this.offset);
    Object.assign(run, { inFlight: true, memoSent: run.memo.size });
    Object.assign(run, { leaseUntilMs: Infinity, heartbeats: false });
    run.cause = index === null ? null : ({ offset: this.offset, index } as ModelRun["cause"]);
  }

  /**
   * Any settled step is progress: the handler's failures and the step's own count anew. The memo is in the order in which
   * the handler sees it: what its invocation did comes before what was settled meanwhile and it will only be told.
   */
  remember(run: ModelRun, entry: MemoEntry): void {
    const entries = [...run.memo.values()];
    const told = entries.slice(run.memoSent).filter(({ invocation }) => invocation === 0);
    if (entry.invocation !== 0) for (const { stepId } of told) run.memo.delete(stepId);
    run.memo.set(entry.stepId, entry);
    if (entry.invocation !== 0) for (const later of told) run.memo.set(later.stepId, later);
    this.#noteMemo(run);
    run.attempts.delete("");
    run.attempts.delete(entry.stepId);
  }

  /** What the engine settled since the request, which the handler cannot know. */
  newsOf(run: ModelRun): readonly MemoEntry[] {
    return [...run.memo.values()].slice(run.memoSent).filter(({ invocation }) => invocation !== run.invocation);
  }

  /** A step that the engine settled and the handler had given up by then. */
  takeBack(run: ModelRun, stepId: string): void {
    run.memo.delete(stepId);
    run.laterMarks.delete(stepId);
    for (const [eventId, by] of run.taken) if (by === stepId) run.taken.delete(eventId);
    this.#noteMemo(run);
  }

  #noteMemo(run: ModelRun): void {
    run.memos.push({ offset: this.offset, memo: [...run.memo.values()] });
  }

  /**
   * What runs until the run only waits may have caused events that it will wait for: until then the mark stays.
   * @param stepId what has ended; "" is the delay of the run.
   */
  moveMark(run: ModelRun, stepId: string, to: ModelMark): void {
    run.laterMarks.set(stepId, to);
    this.catchUpMark(run);
  }

  /** If the run only waits. */
  catchUpMark(run: ModelRun): void {
    if (isExecuting(run)) return;
    for (const to of run.laterMarks.values()) run.mark = laterOf(run.mark, to);
    run.laterMarks.clear();
  }

  end(run: ModelRun, entry: DistributiveOmit<HistoryEntry, "runId" | "functionId" | "atMs">): void {
    this.runs.delete(run.runId);
    run.endedAt = this.offset;
    this.ended.set(run.runId, run);
    this.record(run, entry);
    for (const [to, upTo] of run.foreign) this.send(to, { kind: "unlisten", ...idsOf(run), no: null, upTo });
    if (run.inFlight) this.expected.aborts.push({ offset: this.offset, body: run.runId });
    run.inFlight = false;
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
}
