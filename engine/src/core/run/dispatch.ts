/** Sends a run to a worker: one request, carrying what the run has learned since the last. */
import type { StepRequest } from "@eddy/schemas";
import type { Draft } from "../draft.js";

export type DispatchReason = "start" | "resume" | "retry" | "leaseLost";

/**
 * Requests the next invocation; the previous one, if any, is superseded: its reports are dropped from here on.
 * Entries that the previous invocation's worker reported itself are left out: it has them, any other asks.
 */
export function dispatch(draft: Draft, runId: string, reason: DispatchReason): void {
  closeRetriesMadeBy(draft, runId);
  const run = draft.run(runId);
  const no = run.invocation.no + 1;
  const cause = draft.nextCause();
  const request: StepRequest = {
    app: run.app,
    functionId: run.functionId,
    runId,
    invocation: no,
    attempt: run.attempts.find(([stepId]) => stepId === "")?.[1] ?? 0,
    maxAttempts: run.retries + 1,
    stepAttempts: run.attempts.filter(([stepId]) => stepId !== ""),
    event: no === 1 ? run.event.payload : null,
    memo: run.memo.slice(run.invocation.memoSent).filter((entry) => entry.invocation !== no - 1),
    memoTotal: run.memo.length,
    pending: run.pending.flatMap((item) => (item.kind === "start" || item.stepId === null ? [] : [item.stepId])),
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

/** The next invocation re-enters the handler, and tries the steps whose time has come. */
function closeRetriesMadeBy(draft: Draft, runId: string): void {
  for (const item of draft.run(runId).pending) {
    if (item.kind !== "retry" || (!item.isDue && item.stepId !== null)) continue;
    draft.emit({ kind: "PendingClosed", runId, no: item.no });
  }
}
