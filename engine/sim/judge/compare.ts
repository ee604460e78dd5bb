/** What really left a partition against what the model says must have. */
import type { HistoryEntry, MemoEntry, StepRequest } from "@eddy/schemas";
import type { Execution, Facts } from "../actors/facts.js";
import type { Expected, Oracle } from "../model/expectation.js";
import { PartitionModel } from "../model/partition-model.js";
import type { Verdict } from "../model/verdict.js";
import { advance, versionOf, type Script } from "../script/script.js";
import { same } from "./same.js";
import { sameBytes, type Caused, type Evidence } from "./evidence.js";

export interface ModelCase {
  readonly evidence: Evidence;
  readonly partitions: number;
  readonly verdict: Verdict;
}

/** Runs the model over the inbox. */
export function modelOf({ evidence, partitions, verdict }: ModelCase): PartitionModel {
  const { partition, inbox } = evidence;
  const model = new PartitionModel({ partition, partitions }, oracleOf(evidence), verdict);
  for (const { offset, appendTimeMs, record } of inbox) model.apply(offset, appendTimeMs, record);
  return model;
}

function oracleOf({ history, requests }: Evidence): Oracle {
  const idOf = (runId: string, invocation: number, offset: number): string => `${runId}#${invocation}@${offset}`;
  const index = new Map(
    requests.map(({ cause, body }) => [idOf(body.runId, body.invocation, cause.offset), cause.index]),
  );
  const retries = new Map<string, number | null>();
  for (const { cause, body } of history) {
    if (body.kind === "stepFailed") retries.set(`${body.runId}/${body.stepId}@${cause.offset}`, body.retryAtMs);
    if (body.kind === "attemptFailed") retries.set(`${body.runId}/@${cause.offset}`, body.retryAtMs);
  }
  return {
    requestIndex: (runId, invocation, offset) => index.get(idOf(runId, invocation, offset)) ?? null,
    retryAtMs: (runId, offset, stepId) => retries.get(`${runId}/${stepId}@${offset}`),
  };
}

export function compareHistory(model: PartitionModel, { history, partition }: Evidence, verdict: Verdict): void {
  const wanted = byRun(model.expected.history);
  const actual = byRun(history.map(({ cause, body }) => ({ offset: cause.offset, body })));
  for (const runId of new Set([...wanted.keys(), ...actual.keys()])) {
    const [w, a] = [wanted.get(runId) ?? [], actual.get(runId) ?? []];
    for (let i = 0; i < Math.max(w.length, a.length); i++) {
      if (same(inOurWords(w[i]), inOurWords(a[i]))) continue;
      const text = `history line ${i}: expected ${lineOf(w[i])}, found ${lineOf(a[i])}`;
      verdict.add(promiseOf(w[i]?.body, a[i]?.body), text, { partition, runId });
      break; // what follows is a consequence
    }
  }
}

/** The engine's own errors are known by their names; what they say is not the model's business. */
const ENGINE_ERRORS: ReadonlySet<string> = new Set([
  "NothingToWaitForError",
  "KeptEventsOverflowError",
  "UndeclaredWaitError",
]);

function inOurWords(line: Expected<HistoryEntry> | undefined): Expected<HistoryEntry> | undefined {
  if (line === undefined || !("error" in line.body) || !ENGINE_ERRORS.has(line.body.error.name)) return line;
  return { ...line, body: { ...line.body, error: { ...line.body.error, message: "" } } };
}

function byRun(lines: readonly Expected<HistoryEntry>[]): Map<string, Expected<HistoryEntry>[]> {
  const runs = new Map<string, Expected<HistoryEntry>[]>();
  for (const line of lines) {
    const known = runs.get(line.body.runId);
    if (known === undefined) runs.set(line.body.runId, [line]);
    else known.push(line);
  }
  return runs;
}

const bytesAsText = (_: string, value: unknown): unknown =>
  value instanceof Uint8Array ? new TextDecoder().decode(value) : value;

/** The same fields in the same order give the same text. */
function canonical(value: object): string {
  const sorted = Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  return JSON.stringify(sorted, bytesAsText);
}

function lineOf(line: Expected<HistoryEntry> | undefined): string {
  if (line === undefined) return "nothing";
  const { runId: _, ...body } = line.body;
  return `${line.offset} ${canonical(body)}`;
}

/** Which promise a first difference breaks. */
function promiseOf(wanted: HistoryEntry | undefined, actual: HistoryEntry | undefined): string {
  if (wanted?.kind === "waitResolved" && wanted.fromLookback) return "G9";
  if (wanted?.kind === "waitResolved" || actual?.kind === "waitTimedOut" || actual?.kind === "sleepEnded") return "G1";
  if (actual?.kind === "waitResolved") return "G2";
  if (wanted?.kind === "runCancelled" || actual?.kind === "runCancelled") return "G3";
  if (wanted?.kind === "runStarted" || actual?.kind === "runStarted") return "G6";
  return "model";
}

export function compareRequests(model: PartitionModel, { requests, partition }: Evidence, verdict: Verdict): void {
  const idOf = (offset: number, { runId, invocation }: StepRequest): string =>
    `${runId.slice(0, 8)}#${invocation} of offset ${offset}`;
  const actual = new Map(requests.map((r) => [idOf(r.cause.offset, r.body), r]));
  for (const { offset, body } of model.expected.requests) {
    const id = idOf(offset, body);
    const found = actual.get(id);
    actual.delete(id);
    const at = { partition, offset, runId: body.runId };
    if (found === undefined) verdict.add("liveness", `request ${id} was never made`, at);
    else if (!same(sorted(body), sorted(found.body))) {
      const text = `request: expected ${canonical(sorted(body))}, found ${canonical(sorted(found.body))}`;
      verdict.add("model", text, at);
    }
  }
  for (const [id, { cause }] of actual) {
    verdict.add("G3", `request ${id} should not have been made`, { partition, offset: cause.offset });
  }
}

/** Lists whose order means nothing, in a fixed order. */
function sorted(request: StepRequest): StepRequest {
  return {
    ...request,
    pending: [...(request.pending ?? [])].sort(),
    withdrawn: [...(request.withdrawn ?? [])].sort(),
    stepAttempts: [...request.stepAttempts].sort(([a], [b]) => (a < b ? -1 : 1)),
  };
}

export function compareAborts(model: PartitionModel, { signals, partition }: Evidence, verdict: Verdict): void {
  const wanted = new Set(model.expected.aborts.map(({ body, offset }) => `${offset} ${body}`));
  for (const { cause, body } of signals) {
    const id = `${cause.offset} ${body.runId}`;
    if (!wanted.delete(id)) verdict.add("G3", `an abort that nobody expects: ${id}`, { partition });
  }
  for (const id of wanted) verdict.add("G3", `no abort: ${id}`, { partition });
}

/** Handlers were given the memo that the log says, and what they returned follows from it. */
export function compareMemos(
  model: PartitionModel,
  { facts, scripts }: { readonly facts: Facts; readonly scripts: ReadonlyMap<string, Script> },
  verdict: Verdict,
): void {
  const { partition } = model.where;
  const runOf = (runId: string) => model.runs.get(runId) ?? model.ended.get(runId);
  const totals = new Map(
    model.expected.requests.map(({ body }) => [`${body.runId}#${body.invocation}`, body.memoTotal]),
  );
  for (const { runId, invocation, memo } of facts.entries) {
    const run = runOf(runId);
    const total = totals.get(`${runId}#${invocation}`);
    if (run === undefined || total === undefined) continue;
    const given = new Map(memo.map((entry) => [entry.stepId, entry]));
    for (const entry of [...run.memo.values()].slice(0, total)) {
      const same = sameEntry(entry, given.get(entry.stepId));
      if (!same)
        verdict.add("G5", `invocation ${invocation} got another memo for ${entry.stepId}`, { partition, runId });
    }
    for (const stepId of given.keys()) {
      if (!run.memo.has(stepId)) verdict.add("G5", `invocation ${invocation} got ${stepId}`, { partition, runId });
    }
  }
  for (const { body } of model.expected.history) {
    if (body.kind !== "runCompleted") continue;
    const [run, script] = [runOf(body.runId), scripts.get(body.functionId)];
    if (run === undefined || script === undefined) continue;
    // Where workers of several versions may have had the run, the one that ended it tells by its last entry.
    const entry = facts.entries.findLast((e) => e.runId === body.runId && e.invocation === run.invocation);
    const standing = advance(versionOf(script, entry?.version ?? 0).nodes, run.memo, Infinity);
    const returned = new TextDecoder().decode(body.data);
    if (standing.kind === "returned" && standing.data === returned) continue;
    const expected = standing.kind === "returned" ? standing.data : standing.kind;
    verdict.add("G5", `returned ${returned}, its memo says ${expected}`, { partition, runId: body.runId });
  }
}

function sameEntry(a: MemoEntry, b: MemoEntry | undefined): boolean {
  if (b === undefined || a.kind !== b.kind || a.error?.message !== b.error?.message) return false;
  return a.data === null || b.data === null ? a.data === b.data : sameBytes(a.data, b.data);
}

/** G5: once its result is in the log, a step's user code does not begin again; and never twice in one invocation. */
export function judgeExecutions(
  executions: readonly Execution[],
  { history, partition }: Evidence,
  { verdict }: PartitionModel,
): void {
  const recorded = new Map<string, Caused<HistoryEntry>>();
  for (const line of history) {
    const { body } = line;
    const settled = body.kind === "stepCompleted" || (body.kind === "stepFailed" && body.retryAtMs === null);
    if (settled) recorded.set(`${body.runId}/${body.stepId}`, line);
  }
  const seen = new Set<string>();
  for (const { runId, stepId, invocation, worker, honest, inboxEnd } of executions) {
    const at = { partition, runId };
    const once = `${runId}/${stepId}#${invocation}`;
    if (seen.has(once)) verdict.add("G5", `${stepId} ran twice in invocation ${invocation}`, at);
    seen.add(once);
    const line = recorded.get(`${runId}/${stepId}`);
    if (!honest || line === undefined || line.cause.offset >= inboxEnd) continue;
    verdict.add("G5", `${stepId} ran on ${worker} though offset ${line.cause.offset} has its result`, at);
  }
}
