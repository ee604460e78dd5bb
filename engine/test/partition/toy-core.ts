/**
 * A small deterministic core: events are commands, given as JSON. Rows, changes and `evolve` are the real ones, so that
 * indexes, checkpoints and restores are too; what is decided is what a test asks for.
 */
import { compareCauses, encodeInbox, offset, type InboxRecordOf, type RunRow, type Source } from "@eddy/schemas";
import { Draft } from "../../src/core/draft.js";
import { evolve } from "../../src/core/evolve.js";
import { asCause } from "../../src/core/step/lease.js";
import {
  FUNCTIONS_KEY,
  idIndexKey,
  keptEventKey,
  markKey,
  PARTITION_KEY,
  runKey,
  type Core,
  type Input,
  type Moment,
  type PastRange,
  type ReadRequest,
  type RowView,
} from "../../src/core/index.js";
import { eventOf, runOf } from "./builders.js";

export type Command =
  /** Makes a run that sleeps: one pending timer for each length, in ms from now. */
  | { readonly do: "sleep"; readonly run: string; readonly ms: readonly number[]; readonly big?: number }
  /** Makes a run with a lease of `ms`, in raw time. */
  | { readonly do: "lease"; readonly run: string; readonly ms: number }
  | { readonly do: "end"; readonly run: string }
  /** Step requests, signals, history and records for inbox partition `to`, `n` of each. */
  | { readonly do: "emit"; readonly n: number; readonly to?: number }
  /** Makes run `chain`, which needs run `run` to be read first, in `depth` rounds. */
  | { readonly do: "chain"; readonly run: string; readonly depth: number }
  /** Deletes a kept event without reading it. */
  | { readonly do: "forget"; readonly routeKey: string; readonly at: number }
  /** Sends partition `to` `n` events of `bytes` each, with their source: dropped there if they come again. */
  | { readonly do: "repeat"; readonly n: number; readonly to: number; readonly bytes: number }
  /** Tells which events of each name the inbox held in the last `backMs`: their offsets, and advances since. */
  | { readonly do: "look"; readonly names: readonly string[]; readonly backMs: number }
  | { readonly do: "throw" }
  /** Opens a timer in the past: a broken invariant. */
  | { readonly do: "past"; readonly run: string }
  | { readonly do: "nothing" };

/** Name of the events that are commands; others do nothing. */
export const COMMAND = "command";
const text = new TextEncoder();
const read = new TextDecoder();
/** Prefix of runs whose timers open another one, `again` ms later, once. */
export const AGAIN = "again";
/** Prefix of runs whose timers stay open after they fired: a broken invariant. */
export const STAYS = "stays";

export function command(body: Command): Uint8Array {
  return encodeInbox(eventOf({ name: COMMAND, payload: text.encode(JSON.stringify(body)) }));
}

const commandOf = (event: InboxRecordOf<"event">): Command =>
  event.name === COMMAND ? (JSON.parse(read.decode(event.payload)) as Command) : { do: "nothing" };

const newRun = (runId: string, at: { readonly offset: number; readonly nowMs: number }, big: number): RunRow =>
  runOf(runId, {
    event: { id: "e", name: COMMAND, values: [], payload: new Uint8Array(big) },
    startedOffset: at.offset,
    startedAtMs: at.nowMs,
    mark: { offset: at.offset, atMs: at.nowMs },
  });

/** Where the command looks. */
function pastOf(body: Command, { offset: toOffset, rawMs }: Moment): readonly PastRange[] {
  return body.do === "look"
    ? body.names.map((name) => ({ names: [name], fromRawMs: rawMs - body.backMs, toOffset }))
    : [];
}

function readPlan(view: RowView, input: Input, moment: Moment): readonly ReadRequest[] {
  const plan: ReadRequest[] = [
    { kind: "row", key: PARTITION_KEY },
    { kind: "row", key: FUNCTIONS_KEY },
  ];
  const source = sourceOf(input);
  if (source !== null) plan.push({ kind: "row", key: markKey(source.partition) });
  const runs = runsOf(input);
  for (const run of runs) plan.push({ kind: "row", key: runKey(run) });
  if (input.kind === "event") {
    plan.push({ kind: "index", key: idIndexKey("seen") });
    const body = commandOf(input);
    for (const range of pastOf(body, moment)) plan.push({ kind: "past", range });
    // Each round is reachable only through the one before.
    for (let n = 1; body.do === "chain" && n < body.depth; n++) {
      const before = runKey(`${body.run}${n - 1}`);
      if (!view.isLoaded({ kind: "row", key: before })) break;
      plan.push({ kind: "row", key: runKey(`${body.run}${n}`) });
    }
    if (body.do === "chain") plan.push({ kind: "row", key: runKey(`${body.run}0`) });
  }
  return plan;
}

const sourceOf = (input: Input): Source | null => (input.kind === "event" ? (input.origin?.source ?? null) : null);

function runsOf(input: Input): readonly string[] {
  if (input.kind === "event") {
    const body = commandOf(input);
    return "run" in body && body.do !== "chain" ? [body.run] : [];
  }
  if (input.kind !== "timerDue") return [];
  const { target } = input.timer;
  return target.kind === "pending" || target.kind === "lease" ? [target.runId] : [];
}

function onCommand(view: RowView, draft: Draft, body: Command): void {
  const { nowMs, rawMs } = draft.moment;
  const start = (run: string, big = 0): void => draft.emit({ kind: "RunStarted", run: newRun(run, draft.moment, big) });
  switch (body.do) {
    case "sleep":
      start(body.run, body.big);
      for (const [no, ms] of body.ms.entries()) {
        draft.emit({ kind: "PendingOpened", runId: body.run, item: sleepItem(no, nowMs + ms) });
      }
      return note(draft, body.run, "started");
    case "lease":
      start(body.run);
      draft.emit({ kind: "InvocationDispatched", runId: body.run, no: 1, cause: draft.nextCause() });
      draft.emit({ kind: "LeaseExtended", runId: body.run, untilMs: rawMs + body.ms });
      return;
    case "end":
      if (draft.get(runKey(body.run)) === null) return draft.reject("RUN_FINISHED", body.run);
      draft.emit({ kind: "RunEnded", runId: body.run });
      return note(draft, body.run, "ended");
    case "emit":
      for (let n = 0; n < body.n; n++) emitAll(draft, n, body.to ?? 0);
      return;
    case "chain":
      for (let n = 0; n < body.depth; n++) if (draft.get(runKey(`${body.run}${n}`)) === null) start(`${body.run}${n}`);
      return;
    case "forget":
      return draft.delete(keptEventKey(body.routeKey, body.at));
    case "repeat":
      for (let n = 0; n < body.n; n++) repeat(draft, body);
      return;
    case "look":
      for (const range of pastOf(body, draft.moment)) {
        const seen = view.pastEvents(range).map(({ offset, advancedSinceMs }) => `${offset}+${advancedSinceMs}`);
        note(draft, range.names.join(), seen.join(" "));
      }
      return;
    case "throw":
      throw new Error("planned");
    case "past":
      start(body.run);
      draft.emit({ kind: "PendingOpened", runId: body.run, item: sleepItem(0, nowMs - 1) });
      return;
    case "nothing":
      return draft.reject("REPEATED_RECORD", "nothing");
  }
}

const sleepItem = (no: number, dueAtMs: number) => ({ kind: "sleep", no, dueAtMs, stepId: `s${no}` }) as const;

function note(draft: Draft, runId: string, stepId: string): void {
  const { nowMs } = draft.moment;
  draft.effect({ kind: "RecordHistory", entry: { kind: "sleepEnded", runId, functionId: "", atMs: nowMs, stepId } });
}

function emitAll(draft: Draft, n: number, to: number): void {
  const runId = `run-${draft.moment.offset}-${n}`;
  const request = { app: "app", functionId: "app/f", runId, invocation: 1, attempt: 0, maxAttempts: 1 };
  draft.effect({
    kind: "RequestStep",
    app: "app",
    request: { ...request, stepAttempts: [], event: null, memo: [], memoTotal: 0 },
    parts: 0,
  });
  draft.effect({ kind: "SendSignal", app: "app", signal: { kind: "abort", runId } });
  draft.effect({ kind: "AppendInbox", partition: to, record: { kind: "cancel", runId, reason: "" } });
  const { partition } = draft.moment;
  draft.effect({ kind: "PublishRegistry", key: `applied/${n}`, entry: { kind: "applied", partition, version: n } });
  note(draft, runId, "emitted");
}

function repeat(draft: Draft, { to, bytes }: Extract<Command, { do: "repeat" }>): void {
  const { partition, nowMs } = draft.moment;
  const { offset: at, index } = draft.nextCause();
  const record = eventOf({
    id: `${partition}/${at}.${index}`,
    payload: new Uint8Array(bytes),
    origin: { as: "repeat", isStale: false, atMs: nowMs, offset: at, source: { partition, offset: at, index } },
  });
  draft.effect({ kind: "AppendInbox", partition: to, record });
}

/** Notes its id, once. */
function onRepeated(draft: Draft, { id }: InboxRecordOf<"event">, source: Source): void {
  const mark = draft.get(markKey(source.partition));
  if (mark !== null && compareCauses(asCause(source), asCause(mark)) <= 0) return draft.reject("REPEATED_RECORD", id);
  draft.emit({ kind: "SourceMarkMoved", source });
  note(draft, `from ${source.partition}`, id);
}

export const toyCore: Core = {
  logicVersion: 1,
  readPlan,
  evolve,
  decide(view, input, moment) {
    const draft = new Draft(view, moment);
    switch (input.kind) {
      case "event":
        if (input.origin === null) onCommand(view, draft, commandOf(input));
        else onRepeated(draft, input, input.origin.source);
        break;
      case "advance":
        draft.emit({ kind: "ClockAdvanced", ms: input.ms });
        break;
      case "logic":
        draft.emit({ kind: "LogicChanged", version: input.version });
        break;
      case "timerDue":
        onTimer(draft, input.timer.target, input.timer.dueAtMs);
        break;
      default:
        break;
    }
    return draft;
  },
};

function onTimer(draft: Draft, target: Extract<Input, { kind: "timerDue" }>["timer"]["target"], dueAtMs: number): void {
  if (target.kind === "lease") {
    note(draft, target.runId, `lease ${dueAtMs}`);
    draft.emit({ kind: "InvocationEnded", runId: target.runId });
    return;
  }
  if (target.kind !== "pending") throw new Error(`no timer of kind ${target.kind} here`);
  const { runId, no } = target;
  note(draft, runId, `timer ${no} ${dueAtMs}`);
  if (runId.startsWith(STAYS)) return;
  draft.emit({ kind: "PendingClosed", runId, no });
  const opens = runId.startsWith(AGAIN) && no < 100;
  if (opens) draft.emit({ kind: "PendingOpened", runId, item: sleepItem(no + 100, draft.moment.nowMs + 1) });
  else if (draft.run(runId).pending.length === 0) draft.emit({ kind: "RunEnded", runId });
}

export const zero = offset(0);
