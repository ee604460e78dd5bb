/**
 * Promises that can be read off one partition's log and history directly, without the model: if model and core shared a
 * mistake, this would still see it. What concerns several partitions is in `waits.ts`, `cancels.ts` and `starts.ts`.
 */
import type { Verdict } from "../model/verdict.js";
import { scalarAt } from "../model/values.js";
import type { Evidence } from "./evidence.js";
import { anchorIn, endOf, ENDINGS, runsOf, type RunLines, type World } from "./world.js";

interface PromiseCase {
  readonly evidence: Pick<Evidence, "partition" | "inbox" | "history" | "requests">;
  readonly verdict: Verdict;
}

export function judgePromises(given: PromiseCase, world: World): void {
  const { partition, history } = given.evidence;
  const runs = runsOf(partition, history);
  for (const run of runs) {
    judgeTimes(given, run);
    judgeEnd(given, run);
  }
  judgeAlive(given, runs, world);
}

/** G1: no sleep ends early. G2: each wait and sleep is settled once each time that it is asked for. */
function judgeTimes({ evidence: { partition }, verdict }: PromiseCase, { runId, lines }: RunLines): void {
  const dueAtMs = new Map<string, number>();
  const settled = new Set<string>();
  for (const { cause, body } of lines) {
    const at = { partition, offset: cause.offset, runId };
    if (body.kind === "sleepStarted" || body.kind === "waitStarted") {
      if (settled.has(body.stepId)) verdict.add("G2", `${body.stepId} began again after it was settled`, at);
      dueAtMs.set(body.stepId, body.untilMs);
    }
    // What lost a race may be asked for again, even if it had ended by then.
    if (body.kind === "stepWithdrawn") settled.delete(body.stepId);
    if (body.kind !== "sleepEnded" && body.kind !== "waitTimedOut" && body.kind !== "waitResolved") continue;
    const due = dueAtMs.get(body.stepId);
    if (settled.has(body.stepId)) verdict.add("G2", `${body.stepId} was settled twice`, at);
    settled.add(body.stepId);
    if (due === undefined) verdict.add("G2", `${body.stepId} was settled and never began`, at);
    else if (body.kind === "sleepEnded" && body.atMs < due) {
      verdict.add("G1", `${body.kind} of ${body.stepId} at ${body.atMs}, due ${due}`, at);
    }
  }
}

/** How late a timer may be where nothing is amiss: clocks that differ, and a reader's longest wait. In ms. */
const LATE_MS_MAX = 30_000;

/**
 * Liveness: without trouble, what is due fires soon.
 * @param settleMs how long new routes take to settle; waits by them time out only then.
 */
export function judgeLateness({ evidence, verdict }: PromiseCase, settleMs: number): void {
  const { partition, inbox } = evidence;
  const mostMs = LATE_MS_MAX + settleMs;
  const advances = inbox.flatMap(({ offset, record }) => (record?.kind === "advance" ? [offset] : []));
  for (const { runId, lines } of runsOf(partition, evidence.history)) {
    const begun = new Map<string, { readonly dueAtMs: number; readonly offset: number }>();
    for (const { cause, body } of lines) {
      const { offset } = cause;
      if (body.kind === "sleepStarted" || body.kind === "waitStarted") {
        begun.set(body.stepId, { dueAtMs: body.untilMs, offset });
      }
      const since = body.kind === "sleepEnded" || body.kind === "waitTimedOut" ? begun.get(body.stepId) : undefined;
      if (since === undefined || advances.some((at) => at > since.offset && at <= offset)) continue;
      const lateMs = body.atMs - since.dueAtMs;
      if (lateMs > mostMs) verdict.add("liveness", `fired ${lateMs} ms late`, { partition, offset, runId });
    }
  }
}

/** G3: nothing is dispatched after the end. */
function judgeEnd({ evidence, verdict }: PromiseCase, { runId, lines }: RunLines): void {
  const { partition } = evidence;
  const end = lines.findIndex(({ body }) => ENDINGS.has(body.kind));
  const last = lines[end];
  if (last === undefined) return;
  for (const line of lines.slice(end + 1)) {
    verdict.add("G3", `${line.body.kind} after ${last.body.kind}`, { partition, offset: line.cause.offset, runId });
  }
  const late = evidence.requests.find(
    ({ cause, body }) => body.runId === runId && (cause.offset > last.cause.offset || isBehind(cause, last.cause)),
  );
  if (late !== undefined) {
    const offset = late.cause.offset;
    verdict.add("G3", `request ${late.body.invocation} after ${last.body.kind}`, { partition, offset, runId });
  }
}

const isBehind = (a: { offset: number; index: number }, b: { offset: number; index: number }): boolean =>
  a.offset === b.offset && a.index > b.index;

/** G4: where the trigger's own event cancels by key for as long as the run lives, one run per key is alive. */
function judgeAlive({ evidence, verdict }: PromiseCase, runs: readonly RunLines[], world: World): void {
  const { partition } = evidence;
  const alive = new Map<string, RunLines>();
  for (const run of runs) {
    const first = run.lines[0];
    const config = world.configAt(partition, run.functionId, first?.cause.offset ?? 0);
    // Runs of one key are on one partition where the rule places them: the first one with a key does.
    const rule = config?.cancelOn[0];
    if (first?.body.kind !== "runStarted" || rule === undefined || rule.event !== first.body.eventName) continue;
    if (rule.timeout !== null || rule.match === null) continue;
    // A run that a former configuration places elsewhere is cancelled by a word from there: a little later.
    if (anchorIn(world, run.functionId) !== rule.match) continue;
    const value = scalarAt(world.triggerOf(run)?.body, rule.match);
    if (value === null || world.triggerOf(run)?.isOne !== true) continue;
    const key = `${run.functionId} ${rule.event} ${rule.match} ${typeof value} ${value}`;
    const older = alive.get(key);
    if (endOf(run)?.cause.offset === first.cause.offset) continue; // Over at once: a younger one had overtaken it.
    alive.set(key, run);
    const ended = older === undefined ? undefined : endOf(older);
    if (older === undefined || (ended !== undefined && ended.cause.offset <= first.cause.offset)) continue;
    const at = { partition, offset: first.cause.offset, runId: run.runId };
    verdict.add("G4", `run ${older.runId.slice(0, 8)} of the same key is still alive`, at);
  }
}
