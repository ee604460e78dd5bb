/** Sends a run to a worker: one request, carrying what the run has learned since the last, or everything. */
import { LIMITS, type MemoEntry, type ResultRef, type SettledStep, type StepRequest } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import { refOf, withData } from "../state/results.js";
import type { Row } from "../state/view.js";
import { carriedBytes, partsOf } from "./state-size.js";

export type DispatchReason = "start" | "resume" | "retry" | "leaseLost" | "declined";

/**
 * Requests the next invocation; the previous one, if any, is superseded: its reports are dropped from here on.
 * Entries that the previous invocation's worker reported itself are left out: it has them, any other asks.
 */
export function dispatch(draft: Draft, runId: string, reason: DispatchReason): void {
  closeRetriesMadeBy(draft, runId);
  const run = draft.run(runId);
  const no = run.invocation.no + 1;
  const whole = goesWhole(run, reason);
  const memo = whole ? run.memo : newsOf(run);
  const filled = (steps: readonly SettledStep[]): MemoEntry[] => steps.map((step) => withData(draft, runId, step));
  const parts = partsOf(run, memo);
  for (const part of parts) {
    draft.effect({ kind: "RequestPart", app: run.app, part: { runId, invocation: no, memo: filled(part) } });
  }
  const cause = draft.nextCause();
  const request: StepRequest = {
    app: run.app,
    functionId: run.functionId,
    runId,
    invocation: no,
    attempt: run.attempts.find(([stepId]) => stepId === "")?.[1] ?? 0,
    maxAttempts: run.retries + 1,
    stepAttempts: run.attempts.filter(([stepId]) => stepId !== ""),
    event: no === 1 || whole ? run.event.payload : null,
    memo: parts.length === 0 ? filled(memo) : [],
    memoTotal: run.memo.length,
    pending: run.pending.flatMap((item) => (item.kind === "start" || item.stepId === null ? [] : [item.stepId])),
    withdrawn: run.withdrawn,
  };
  draft.effect({ kind: "RequestStep", app: run.app, request, parts: parts.length });
  draft.emit({ kind: "InvocationDispatched", runId, no, cause });
  draft.effect({
    kind: "RecordHistory",
    entry: {
      kind: "runDispatched",
      runId,
      functionId: run.functionId,
      atMs: draft.moment.nowMs,
      invocation: no,
      reason,
    },
  });
}

/** Another worker gets it, or the same one lacks something, or it is small enough not to wonder who has what. */
function goesWhole(run: Row<"run">, reason: DispatchReason): boolean {
  return reason === "leaseLost" || reason === "declined" || carriedBytes(run) <= LIMITS.wholeRequestBytesMax;
}

/** What was settled since the last request, but for what its own worker told. */
function newsOf({ memo, invocation }: Row<"run">): readonly SettledStep[] {
  return memo.slice(invocation.memoSent).filter((step) => step.invocation !== invocation.no);
}

/**
 * Result rows that the run's next request may carry, as far as its row tells; what is settled until then is at hand anyway.
 * @param isWhole the request leaves nothing out, however large.
 */
export function carriedApart(run: Row<"run">, isWhole: boolean): readonly ResultRef[] {
  if (run.nextResultNo === 0) return []; // Nothing ever lay apart.
  const all = run.memo.flatMap((step) => refOf(step) ?? []);
  if (isWhole) return all;
  const news = newsOf(run).flatMap((step) => refOf(step) ?? []);
  const others = all.filter((ref) => !news.includes(ref));
  // What is news may be withdrawn until then: what else there is alone tells whether the run may be small enough.
  const least = others.reduce((sum, { bytes }) => sum + bytes, 0);
  return least <= LIMITS.wholeRequestBytesMax ? all : news;
}

/** The next invocation re-enters the handler, and tries the steps whose time has come. */
function closeRetriesMadeBy(draft: Draft, runId: string): void {
  for (const item of draft.run(runId).pending) {
    if (item.kind !== "retry" || (!item.isDue && item.stepId !== null)) continue;
    draft.emit({ kind: "PendingClosed", runId, no: item.no });
  }
}
