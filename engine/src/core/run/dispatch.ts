/** Sends a run to a worker: one request, carrying what the run has learned since the last, or everything. */
import { LIMITS, type StepRequest } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import type { Row } from "../state/view.js";
import { carriedBytes } from "./state-size.js";

export type DispatchReason = "start" | "resume" | "retry" | "leaseLost" | "declined";

/**
 * Requests the next invocation; the previous one, if any, is superseded: its reports are dropped from here on.
 * Entries that the previous invocation's worker reported itself are left out: it has them, any other asks.
 */
export function dispatch(draft: Draft, runId: string, reason: DispatchReason): void {
  closeRetriesMadeBy(draft, runId);
  const run = draft.run(runId);
  const no = run.invocation.no + 1;
  const cause = draft.nextCause();
  const whole = goesWhole(run, reason);
  const request: StepRequest = {
    app: run.app,
    functionId: run.functionId,
    runId,
    invocation: no,
    attempt: run.attempts.find(([stepId]) => stepId === "")?.[1] ?? 0,
    maxAttempts: run.retries + 1,
    stepAttempts: run.attempts.filter(([stepId]) => stepId !== ""),
    event: no === 1 || whole ? run.event.payload : null,
    memo: whole ? run.memo : run.memo.slice(run.invocation.memoSent).filter((entry) => entry.invocation !== no - 1),
    memoTotal: run.memo.length,
    pending: run.pending.flatMap((item) => (item.kind === "start" || item.stepId === null ? [] : [item.stepId])),
    withdrawn: run.withdrawn,
  };
  draft.effect({ kind: "RequestStep", app: run.app, request });
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

/** The next invocation re-enters the handler, and tries the steps whose time has come. */
function closeRetriesMadeBy(draft: Draft, runId: string): void {
  for (const item of draft.run(runId).pending) {
    if (item.kind !== "retry" || (!item.isDue && item.stepId !== null)) continue;
    draft.emit({ kind: "PendingClosed", runId, no: item.no });
  }
}
