/**
 * Promises that can be read off the log directly, without the model: if model and core shared a mistake, this would
 * still see it.
 */
import type { FunctionConfig, HistoryEntry, RegisteredApp } from "@eddy/schemas";
import type { Facts } from "../actors/facts.js";
import type { Verdict } from "../model/verdict.js";
import { sameAt, scalarAt } from "../model/values.js";
import { waitsOf, type Script } from "../script/script.js";
import type { Arrived, Caused, Evidence } from "./evidence.js";

interface PromiseCase {
  readonly evidence: Evidence;
  readonly scripts: ReadonlyMap<string, Script>;
  readonly verdict: Verdict;
}

interface SeenEvent {
  readonly offset: number;
  /** Stream time at this record. */
  readonly atMs: number;
  readonly id: string;
  readonly name: string;
  readonly body: unknown;
  /** No event of this id came before: it surely has an effect. */
  readonly isFirst: boolean;
}

interface RunLines {
  readonly runId: string;
  readonly functionId: string;
  readonly lines: Caused<HistoryEntry>[];
}

export function judgePromises(given: PromiseCase): void {
  const events = eventsOf(given.evidence.inbox);
  const runs = runsOf(given.evidence.history);
  const lastLives = new Map(runs.map((run) => [run.runId, run]));
  for (const run of runs) {
    judgeTimes(given, run);
    judgeWaits(given, run, events);
    judgeEnd(given, run, lastLives.get(run.runId) === run);
  }
  judgeAlive(given, runs, events);
}

function eventsOf(inbox: readonly Arrived[]): SeenEvent[] {
  const events: SeenEvent[] = [];
  const seen = new Set<string>();
  let rawMs = 0;
  let advanceMs = 0;
  for (const { offset, appendTimeMs, record } of inbox) {
    rawMs = Math.max(rawMs, appendTimeMs);
    if (record?.kind === "advance") advanceMs += record.ms;
    if (record?.kind !== "event") continue;
    const { id, name, payload } = record;
    const body: unknown = JSON.parse(new TextDecoder().decode(payload));
    events.push({ offset, atMs: rawMs + advanceMs, id, name, body, isFirst: !seen.has(id) });
    seen.add(id);
  }
  return events;
}

/** A run that an event started anew after its id was forgotten counts as another one. */
function runsOf(history: readonly Caused<HistoryEntry>[]): readonly RunLines[] {
  const runs: RunLines[] = [];
  const current = new Map<string, RunLines>();
  for (const line of history) {
    const { runId, functionId, kind } = line.body;
    let run = current.get(runId);
    if (run === undefined || kind === "runStarted") {
      run = { runId, functionId, lines: [] };
      current.set(runId, run);
      runs.push(run);
    }
    run.lines.push(line);
  }
  return runs;
}

/** G1: nothing fires early. G2: each wait and sleep is settled at most once. */
function judgeTimes({ evidence: { partition }, verdict }: PromiseCase, { runId, lines }: RunLines): void {
  const dueAtMs = new Map<string, number>();
  const settled = new Set<string>();
  for (const { cause, body } of lines) {
    const at = { partition, offset: cause.offset, runId };
    if (body.kind === "sleepStarted" || body.kind === "waitStarted") dueAtMs.set(body.stepId, body.untilMs);
    if (body.kind !== "sleepEnded" && body.kind !== "waitTimedOut" && body.kind !== "waitResolved") continue;
    const due = dueAtMs.get(body.stepId);
    if (settled.has(body.stepId)) verdict.add("G2", `${body.stepId} was settled twice`, at);
    settled.add(body.stepId);
    if (due === undefined) verdict.add("G2", `${body.stepId} was settled and never began`, at);
    else if (body.kind === "waitResolved" ? body.atMs >= due && !body.fromLookback : body.atMs < due) {
      verdict.add("G1", `${body.kind} of ${body.stepId} at ${body.atMs}, due ${due}`, at);
    }
  }
}

/** How late a timer may be where nothing is amiss: clocks that differ, and a reader's longest wait. In ms. */
const LATE_MS_MAX = 30_000;

/** Liveness: without trouble, what is due fires soon. */
export function judgeLateness({ evidence, verdict }: Pick<PromiseCase, "evidence" | "verdict">): void {
  const { partition, inbox } = evidence;
  const advances = inbox.flatMap(({ offset, record }) => (record?.kind === "advance" ? [offset] : []));
  for (const { runId, lines } of runsOf(evidence.history)) {
    const begun = new Map<string, { readonly dueAtMs: number; readonly offset: number }>();
    for (const { cause, body } of lines) {
      const { offset } = cause;
      if (body.kind === "sleepStarted" || body.kind === "waitStarted") {
        begun.set(body.stepId, { dueAtMs: body.untilMs, offset });
      }
      const since = body.kind === "sleepEnded" || body.kind === "waitTimedOut" ? begun.get(body.stepId) : undefined;
      if (since === undefined || advances.some((at) => at > since.offset && at <= offset)) continue;
      const lateMs = body.atMs - since.dueAtMs;
      if (lateMs > LATE_MS_MAX) verdict.add("liveness", `fired ${lateMs} ms late`, { partition, offset, runId });
    }
  }
}

/** G1: no wait timed out although a matching event was in the log, behind its registration and before its deadline. */
function judgeWaits({ evidence, scripts, verdict }: PromiseCase, run: RunLines, events: readonly SeenEvent[]): void {
  const script = scripts.get(run.functionId);
  const started = run.lines[0]?.body;
  if (script === undefined || started?.kind !== "runStarted") return;
  const startedAt = run.lines[0]?.cause.offset;
  const trigger = events.find((event) => event.offset === startedAt);
  const taken = new Set(run.lines.map(({ body }) => (body.kind === "waitResolved" ? body.eventId : "")));
  for (const { cause, body } of run.lines) {
    if (body.kind !== "waitTimedOut") continue;
    const wait = waitsOf(script.nodes).find(({ id }) => id === body.stepId);
    const begun = run.lines.find((line) => line.body.kind === "waitStarted" && line.body.stepId === body.stepId);
    if (wait === undefined || begun?.body.kind !== "waitStarted" || trigger === undefined) continue;
    const { untilMs } = begun.body;
    const missed = events.find(
      ({ offset, atMs, id, name, body: data, isFirst }) =>
        isFirst &&
        name === wait.event &&
        offset > begun.cause.offset &&
        offset < cause.offset &&
        atMs < untilMs &&
        !taken.has(id) &&
        sameAt(data, trigger.body, wait.match),
    );
    if (missed === undefined) continue;
    const text = `${wait.id} timed out, though ${missed.id} was logged at ${missed.offset}, before its deadline`;
    verdict.add("G1", text, { partition: evidence.partition, offset: cause.offset, runId: run.runId });
  }
}

/** G3: nothing is dispatched after the end. */
function judgeEnd({ evidence, verdict }: PromiseCase, { runId, lines }: RunLines, isLastLife: boolean): void {
  const { partition } = evidence;
  const end = lines.findIndex(({ body }) => ENDINGS.has(body.kind));
  const last = lines[end];
  if (last === undefined) return;
  for (const line of lines.slice(end + 1)) {
    verdict.add("G3", `${line.body.kind} after ${last.body.kind}`, { partition, offset: line.cause.offset, runId });
  }
  if (!isLastLife) return;
  const late = evidence.requests.find(
    ({ cause, body }) => body.runId === runId && (cause.offset > last.cause.offset || isBehind(cause, last.cause)),
  );
  if (late !== undefined) {
    const offset = late.cause.offset;
    verdict.add("G3", `request ${late.body.invocation} after ${last.body.kind}`, { partition, offset, runId });
  }
}

const ENDINGS: ReadonlySet<string> = new Set(["runCompleted", "runFailed", "runCancelled"]);
const isBehind = (a: { offset: number; index: number }, b: { offset: number; index: number }): boolean =>
  a.offset === b.offset && a.index > b.index;

/** G4: where the trigger's own event cancels by key for as long as the run lives, one run per key is alive. */
function judgeAlive({ evidence, verdict }: PromiseCase, runs: readonly RunLines[], events: readonly SeenEvent[]): void {
  const alive = new Map<string, RunLines>();
  for (const run of runs) {
    const first = run.lines[0];
    const config = configAt(evidence.inbox, run.functionId, first?.cause.offset ?? 0);
    const rule = config?.cancelOn.find((r) => r.timeout === null);
    if (first?.body.kind !== "runStarted" || rule === undefined || rule.event !== first.body.eventName) continue;
    const value = scalarAt(events.find(({ offset }) => offset === first.cause.offset)?.body, rule.match);
    if (value === null) continue;
    const key = `${run.functionId} ${rule.event} ${typeof value} ${value}`;
    const older = alive.get(key);
    alive.set(key, run);
    const ended = older?.lines.find(({ body }) => ENDINGS.has(body.kind));
    if (older === undefined || (ended !== undefined && ended.cause.offset <= first.cause.offset)) continue;
    const at = { partition: evidence.partition, offset: first.cause.offset, runId: run.runId };
    verdict.add("G4", `run ${older.runId.slice(0, 8)} of the same key is still alive`, at);
  }
}

/** The function as registered when the record at `offset` was decided. */
function configAt(inbox: readonly Arrived[], functionId: string, offset: number): FunctionConfig | undefined {
  const [app, id] = functionId.split("/");
  let found: RegisteredApp | undefined;
  for (const { offset: at, record } of inbox) {
    if (at >= offset) break;
    if (record?.kind !== "registered" || record.config.app !== app) continue;
    if (found === undefined || found.version < record.config.version) found = record.config;
  }
  return found?.functions.find((fn) => fn.id === id);
}

/** G6: what was acknowledged is in every log that must have it. */
export function judgeAcknowledged(facts: Facts, inboxes: readonly Evidence[], verdict: Verdict): void {
  const has = inboxes.map(
    ({ inbox }) => new Set(inbox.map(({ record }) => (record?.kind === "event" ? record.id : ""))),
  );
  for (const { eventId, partitions } of facts.acknowledged) {
    for (const p of partitions) {
      if (has[p]?.has(eventId) !== true) verdict.add("G6", `event ${eventId} was acknowledged`, { partition: p });
    }
  }
}
