/**
 * Given-when-then over the pure core: one partition, in memory, without log or task. Reads are strict: `decide` sees
 * only what `readPlan` named, so a hole in the plan fails the test that meets it.
 */
import {
  canonAt,
  configDigest,
  encodeRow,
  ID_PATH,
  matchValuesOf,
  offset,
  partitionOf,
  rawTime,
  Routes,
  runBaseOf,
  streamTime,
  listenRouteOf,
  type CancelRule,
  type DeclaredWait,
  type FunctionConfig,
  type FunctionTrigger,
  type HistoryEntry,
  type InboxRecord,
  type InboxRecordOf,
  type MemoEntry,
  type RequestPart,
  type RowKind,
  type RunRow,
  type StepOp,
  type StepReport,
  type StepRequest,
} from "@eddy/schemas";
import { core } from "../../src/core/core.js";
import { eventIn } from "../../src/core/foreign/host.js";
import { withData } from "../../src/core/state/results.js";
import { initialFunctionsRow, initialPartitionRow } from "../../src/core/state/initial.js";
import {
  FUNCTIONS_KEY,
  indexDiff,
  kindOf,
  parseTimerKey,
  PARTITION_KEY,
  READ_ROUNDS_MAX,
  timerKey,
  timerPrefix,
  type Decision,
  type Effect,
  type IndexRange,
  type Input,
  type Moment,
  type PastEvent,
  type PastRange,
  type ReadRequest,
  type Row,
  type RowKey,
  type RowView,
  type RowWriter,
  type Timer,
} from "../../src/core/index.js";

export const APP = "shop";
const T0 = 1_700_000_000_000;
const text = new TextEncoder();
const fromBytes = new TextDecoder();
export const json = (value: unknown): Uint8Array => text.encode(JSON.stringify(value));
export const parsed = (bytes: Uint8Array | null): unknown =>
  bytes === null ? null : JSON.parse(fromBytes.decode(bytes));

type Given<T, Needed extends keyof T> = Partial<T> & Pick<T, Needed>;
/** What is set matters. */
export interface GivenFunction {
  readonly id: string;
  readonly name?: string;
  readonly triggers?: readonly Given<FunctionTrigger, "event">[];
  readonly cancelOn?: readonly Given<CancelRule, "event">[];
  readonly waits?: readonly Given<DeclaredWait, "event">[];
  readonly retries?: number;
}
export function fn({ id, name, triggers, cancelOn, waits, retries }: GivenFunction): FunctionConfig {
  return {
    id,
    name: name ?? id,
    triggers: (triggers ?? [{ event: "cart/added" }]).map((trigger) => ({ if: null, ...trigger })),
    cancelOn: (cancelOn ?? []).map((rule) => ({ match: null, if: null, timeout: null, ...rule })),
    waits: (waits ?? []).map((wait) => ({ match: null, if: null, since: "mark" as const, ...wait })),
    retries: retries ?? 4,
  };
}

/** Rows and indexes in plain maps; the writer keeps the indexes as the task does. */
class World implements RowWriter {
  readonly rows = new Map<string, Row>();
  readonly index = new Map<string, string>();

  get(key: RowKey): never {
    return (this.rows.get(key) ?? null) as never; // One untyped map for all kinds: the key carries the kind.
  }
  put<K extends RowKind>(key: RowKey<K>, row: Row<K>): void {
    this.#change(key, row as Row);
  }
  delete(key: RowKey): void {
    this.#change(key, null);
  }
  #change(key: RowKey, after: Row | null): void {
    const { removed, added } = indexDiff(key, this.rows.get(key) ?? null, after);
    for (const k of removed) this.index.delete(k);
    for (const [k, v] of added) this.index.set(k, v);
    if (after === null) this.rows.delete(key);
    else this.rows.set(key, after);
  }
  scan({ from, to, limit }: IndexRange): (readonly [string, string])[] {
    const keys = [...this.index.keys()].filter((k) => k >= from && k < to).sort();
    return keys.slice(0, limit).map((k) => [k, this.index.get(k) as string] as const);
  }
}

const nameOf = (request: ReadRequest): string =>
  request.kind === "scan" || request.kind === "past" ? JSON.stringify(request) : request.key;

/** Shows only what was asked for. */
class StrictView implements RowView {
  readonly #loaded = new Set<string>();
  constructor(
    private readonly world: World,
    private readonly past: (range: PastRange) => readonly PastEvent[],
  ) {}

  load(requests: readonly ReadRequest[]): void {
    for (const request of requests) this.#loaded.add(nameOf(request));
  }
  isLoaded(request: ReadRequest): boolean {
    return this.#loaded.has(nameOf(request));
  }
  get(key: RowKey): never {
    this.#demand({ kind: "row", key });
    return this.world.get(key);
  }
  indexValue(key: string): string | null {
    this.#demand({ kind: "index", key });
    return this.world.index.get(key) ?? null;
  }
  scanIndex(range: IndexRange): readonly (readonly [string, string])[] {
    this.#demand({ kind: "scan", range });
    return this.world.scan(range);
  }
  pastEvents(range: PastRange): readonly PastEvent[] {
    this.#demand({ kind: "past", range });
    return this.past(range);
  }
  #demand(request: ReadRequest): void {
    if (!this.isLoaded(request)) throw new Error(`read plan did not name ${nameOf(request)}`);
  }
}

/** As the task's overlay has it: what is written was read, but for kept events and results. */
function demandRead(view: StrictView, key: RowKey): void {
  if (kindOf(key) === "keptEvent" || kindOf(key) === "result" || view.isLoaded({ kind: "row", key })) return;
  throw new Error(`row ${key} is written without having been read`);
}

export class Scenario {
  readonly world = new World();
  readonly effects: Effect[] = [];
  readonly rejections: string[] = [];
  /** The inbox so far. */
  readonly log: { readonly offset: number; readonly rawMs: number; readonly record: InboxRecord }[] = [];
  rawMs = T0;
  nextOffset = 0;
  #eventNo = 0;

  constructor(
    readonly functions: readonly FunctionConfig[],
    readonly at: { readonly partition: number; readonly partitions: number } = { partition: 0, partitions: 1 },
  ) {
    this.world.put(PARTITION_KEY, initialPartitionRow(core.logicVersion));
    this.world.put(FUNCTIONS_KEY, initialFunctionsRow());
    if (functions.length > 0) this.register(functions);
  }

  #past({ names, fromRawMs, toOffset }: PastRange): readonly PastEvent[] {
    return this.log.flatMap(({ offset: at, rawMs, record }) => {
      const event = eventIn(record);
      if (event === null || !names.includes(event.name) || rawMs < fromRawMs || at >= toOffset) return [];
      const later = this.log.filter((other) => other.offset > at && other.offset < toOffset);
      const advancedSinceMs = later.reduce((sum, { record: r }) => sum + (r.kind === "advance" ? r.ms : 0), 0);
      return [{ offset: at, rawMs, advancedSinceMs, record: event }];
    });
  }

  get advanceMs(): number {
    return (this.world.get(PARTITION_KEY) as Row<"partition">).advanceMs;
  }
  get nowMs(): number {
    return this.rawMs + this.advanceMs;
  }
  get runs(): RunRow[] {
    return [...this.world.rows].filter(([key]) => kindOf(key) === "run").map(([, row]) => row as RunRow);
  }
  /** As workers get them: those that left in parts are put together. */
  get requests(): StepRequest[] {
    const found: StepRequest[] = [];
    let parts: RequestPart[] = [];
    for (const effect of this.effects) {
      if (effect.kind === "RequestPart") parts.push(effect.part);
      if (effect.kind !== "RequestStep") continue;
      const { request } = effect;
      const isOurs = ({ runId, invocation }: RequestPart): boolean =>
        runId === request.runId && invocation === request.invocation;
      if (parts.length !== effect.parts || !parts.every(isOurs)) throw new Error("a request without its parts");
      found.push({ ...request, memo: [...parts.flatMap(({ memo }) => memo), ...request.memo] });
      parts = [];
    }
    return found;
  }
  /** Of the only run, or this one; with the data of result rows. */
  memo(run = this.runs[0]): MemoEntry[] {
    if (run === undefined) throw new Error("no run lives");
    return run.memo.map((step) => withData(this.world, run.runId, step));
  }
  /** Kind letter and rest of all rows that belong to runs. */
  leftovers(): string[] {
    return [...this.world.rows.keys()].filter((key) => /^[rsego]\|/.test(key));
  }
  get history(): HistoryEntry[] {
    return this.effects.flatMap((e) => (e.kind === "RecordHistory" ? [e.entry] : []));
  }
  historyOf<K extends HistoryEntry["kind"]>(kind: K): Extract<HistoryEntry, { kind: K }>[] {
    return this.history.filter((e): e is Extract<HistoryEntry, { kind: K }> => e.kind === kind);
  }
  lastRequest(runId?: string): StepRequest {
    const found = this.requests.filter((r) => runId === undefined || r.runId === runId).at(-1);
    if (found === undefined) throw new Error("no request was made");
    return found;
  }

  /** Applies a record that was appended `afterMs` after the one before; fires what is due first. */
  apply(input: InboxRecord, afterMs = 1): Effect[] {
    this.rawMs += afterMs;
    const from = this.effects.length;
    const advancedMs = this.advanceMs;
    this.#fireDue(from);
    this.#decide(input, from);
    if (this.advanceMs !== advancedMs) this.#fireDue(from);
    this.log.push({ offset: this.nextOffset, rawMs: this.rawMs, record: input });
    this.nextOffset++;
    return this.effects.slice(from);
  }

  register(functions: readonly FunctionConfig[], app = APP): void {
    const version = (this.world.get(FUNCTIONS_KEY) as Row<"functions">).version + 1;
    const digest = configDigest(app, functions);
    const nothing = { anchors: [], learned: [], retired: [], former: [] };
    const config = { app, version, digest, functions: [...functions], ...nothing };
    const source = { partition: 0, offset: this.nextOffset, index: 0 };
    this.apply({ kind: "registered", config, news: [], settleMs: 0, source });
  }

  event(name: string, data: Record<string, unknown>, more: { id?: string; ts?: number } = {}): InboxRecordOf<"event"> {
    const id = more.id ?? `e${++this.#eventNo}`;
    const body = { id, name, ts: more.ts ?? 0, data };
    const apps = (this.world.get(FUNCTIONS_KEY) as Row<"functions">).apps;
    const values = matchValuesOf(body, new Routes(apps).of(name));
    const idFrom = more.id === undefined ? "generated" : "user";
    return {
      kind: "event",
      id,
      idFrom,
      name,
      tsMs: body.ts,
      values: values.map(([p, v]) => [p, v]),
      payload: json(body),
      version: (this.world.get(FUNCTIONS_KEY) as Row<"functions">).version,
      home: this.at.partition,
      origin: null,
    };
  }
  send(name: string, data: Record<string, unknown>, more: { id?: string; ts?: number; afterMs?: number } = {}): string {
    const event = this.event(name, data, more);
    this.apply(event, more.afterMs ?? 1);
    return event.id;
  }
  report(
    request: StepRequest,
    ops: StepOp[],
    outcome: StepReport["outcome"] = { kind: "suspended" },
    afterMs = 1,
  ): void {
    const { runId, invocation } = request;
    this.apply({ kind: "report", report: { runId, invocation, ops, outcome } }, afterMs);
  }
  declined({ runId, invocation }: StepRequest): void {
    this.apply({ kind: "declined", runId, invocation });
  }

  tick(afterMs: number): void {
    this.apply({ kind: "tick" }, afterMs);
  }

  /** The same rows, as bytes, that a checkpoint would write. */
  rowBytes(): Map<string, string> {
    const out = new Map<string, string>();
    for (const [key, row] of [...this.world.rows].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const kind = kindOf(key);
      if (kind !== null) out.set(key, Buffer.from(encodeRow(kind, row as never)).toString("hex"));
    }
    return out;
  }

  #fireDue(from: number): void {
    for (let fired = 0; ; fired++) {
      if (fired > 100_000) throw new Error("timers fire for ever");
      const due = this.#nextDue();
      if (due === null) return;
      this.#decide({ kind: "timerDue", timer: due }, from);
      if (this.world.index.has(timerKey(due))) throw new Error(`timer stays after it fired: ${timerKey(due)}`);
    }
  }
  #nextDue(): Timer | null {
    const effective = (t: Timer): number => t.dueAtMs + (t.domain === "w" ? this.advanceMs : 0);
    const timers = [...this.world.index.keys()].filter((k) => k.startsWith("t|")).map(parseTimerKey);
    const due = timers.filter((t) => effective(t) <= this.nowMs);
    due.sort((a, b) => effective(a) - effective(b) || (timerKey(a) < timerKey(b) ? -1 : 1));
    return due[0] ?? null;
  }
  #decide(input: Input, effectsFrom: number): Decision {
    const moment: Moment = {
      ...this.at,
      offset: offset(this.nextOffset),
      effectIndex: this.effects.length - effectsFrom,
      nowMs: streamTime(this.nowMs),
      rawMs: rawTime(this.rawMs),
    };
    const view = new StrictView(this.world, (range) => this.#past(range));
    for (let round = 0; ; round++) {
      if (round > READ_ROUNDS_MAX) throw new Error(`read plan of ${input.kind} does not end`);
      const missing = core.readPlan(view, input, moment);
      if (missing.length === 0) break;
      view.load(missing);
    }
    const decision = core.decide(view, input, moment);
    const writer: RowWriter = {
      get: (key) => this.world.get(key),
      put: (key, row) => {
        demandRead(view, key);
        this.world.put(key, row);
      },
      delete: (key) => {
        demandRead(view, key);
        this.world.delete(key);
      },
    };
    for (const change of decision.changes) core.evolve(writer, change);
    this.effects.push(...decision.effects);
    this.rejections.push(...decision.rejections.map((r) => r.code));
    return decision;
  }
}

export const done = (data: unknown = null): StepReport["outcome"] => ({ kind: "returned", data: json(data) });
export const completed = (stepId: string, data: unknown = null): StepOp => ({
  kind: "stepCompleted",
  stepId,
  data: json(data),
});
export const failedOp = (stepId: string, retriable = true): StepOp => ({
  kind: "stepFailed",
  stepId,
  error: { name: "Error", message: "no", stack: null },
  retriable,
  retryAfter: null,
});
type WaitRequest = Extract<StepOp, { kind: "waitRequested" }>;
/** What a wait listens to, and for how long; a match path stands for `{ match }`. */
export type GivenWait = Partial<Pick<WaitRequest, "match" | "if" | "since">>;

/** A wait as a worker asks for it, for the run's own trigger. */
export function waitOp(
  request: { readonly event: Uint8Array | null } | Record<string, unknown>,
  stepId: string,
  event: string,
  given: string | GivenWait,
  ms: number,
): WaitRequest {
  const trigger =
    request instanceof Object && "event" in request && request.event instanceof Uint8Array
      ? parsed(request.event)
      : request;
  const { match = null, if: condition = null, since = "mark" } = typeof given === "string" ? { match: given } : given;
  const listen = { event, match, if: condition };
  const value = canonAt(trigger, listenRouteOf(listen).of);
  return { kind: "waitRequested", stepId, ...listen, value, since, timeout: { ms } };
}
export const HOUR = 3_600_000;
/** Of the run that event `eventId` starts. */
export const baseFor = (functionId: string, eventName: string, eventId: string, anchor: string): string =>
  runBaseOf({ functionId: `${APP}/${functionId}`, eventName, eventId, anchorValue: anchor });
export { ID_PATH, partitionOf, timerPrefix };
