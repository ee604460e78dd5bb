/**
 * What engine processes told workers of a run. An answer must be right as of some moment between question and answer:
 * whoever gave it knew at least what it had applied when it was asked, and at most what the log had when it answered.
 * It need not be the owner any more: a zombie tells the past, which the invocation fences.
 */
import type { StepRequest } from "@eddy/schemas";
import type { Answer } from "../actors/facts.js";
import type { Expected } from "../model/expectation.js";
import type { PartitionModel } from "../model/partition-model.js";
import type { ModelRun } from "../model/run.js";
import type { Verdict } from "../model/verdict.js";
import { same } from "./same.js";

type Requests = readonly Expected<StepRequest>[];

export function judgeAnswers(model: PartitionModel, answers: readonly Answer[], verdict: Verdict): void {
  const requests = new Map<string, Expected<StepRequest>[]>();
  for (const request of model.expected.requests) {
    const known = requests.get(request.body.runId);
    if (known === undefined) requests.set(request.body.runId, [request]);
    else known.push(request);
  }
  for (const answer of answers) {
    const { runId, fromOffset, toOffset } = answer;
    const run = model.runs.get(runId) ?? model.ended.get(runId);
    if (run === undefined) continue;
    const problem = problemWithin(answer, run, requests.get(runId) ?? []);
    if (problem === null) continue;
    const text = `${problem}, as of offsets ${fromOffset} to ${toOffset}`;
    verdict.add("G5", text, { partition: model.where.partition, offset: fromOffset, runId });
  }
}

/** @returns null if the answer is right at some moment, else what is wrong with it at the last. */
function problemWithin(answer: Answer, run: ModelRun, requests: Requests): string | null {
  let problem: string | null = null;
  for (let at = answer.fromOffset; at <= answer.toOffset; at++) {
    problem = problemAt(answer, run, requests, at);
    if (problem === null) return null;
  }
  return problem;
}

/** @param at the last record that was applied whole; the one behind it may have been applied in part. */
function problemAt({ invocation, memo }: Answer, run: ModelRun, requests: Requests, at: number): string | null {
  const made = requests.filter(({ offset }) => offset <= at + 1);
  const before = made.findLast(({ offset }) => offset <= at)?.body.invocation ?? 0;
  const after = made.at(-1)?.body.invocation ?? 0;
  if (memo === null) {
    const isCurrent = before === invocation && after === invocation && run.endedAt > at + 1;
    return isCurrent ? `the state of invocation ${invocation} was withheld` : null;
  }
  const mayBeCurrent = before <= invocation && invocation <= after && run.endedAt > at;
  if (!mayBeCurrent) return `a state was given for invocation ${invocation}, which is over`;
  const applied = run.memos.findLast(({ offset }) => offset <= at)?.memo ?? [];
  const during = run.memos.filter(({ offset }) => offset === at + 1).map((change) => change.memo);
  if ([applied, ...during].some((known) => same(known, memo))) return null;
  const least = Math.min(applied.length, ...during.map(({ length }) => length));
  const most = Math.max(applied.length, ...during.map(({ length }) => length));
  return `a state with ${memo.length} steps was given, expected ${least} to ${most}`;
}
