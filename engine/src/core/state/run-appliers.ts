/** Facts about one run: its row. */
import type { RunRow } from "@eddy/schemas";
import { invariant } from "@eddy/clients/errors";
import type { Applier } from "../evolve.js";
import { runKey } from "./keys.js";
import type { Row, RowWriter } from "./view.js";

type RunChange =
  | "RunStarted"
  | "StepSettled"
  | "PendingOpened"
  | "PendingClosed"
  | "RetryCameDue"
  | "EventTaken"
  | "MarkMoved"
  | "AttemptFailed"
  | "InvocationDispatched"
  | "InvocationEnded"
  | "LeaseExtended"
  | "RunEnded";

/** Replaces parts of the row of a run that lives. */
export function updateRun(rows: RowWriter, runId: string, update: (run: Row<"run">) => Partial<RunRow>): void {
  const key = runKey(runId);
  const run = rows.get(key);
  invariant(run !== null, "a change names a live run", { runId });
  rows.put(key, { ...run, ...update(run) });
}

export const runAppliers: { readonly [K in RunChange]: Applier<K> } = {
  RunStarted: (rows, { run }) => {
    rows.put(runKey(run.runId), run);
  },
  /** Progress: failed attempts of this step and of the handler count from zero again. */
  StepSettled: (rows, { runId, entry }) => {
    updateRun(rows, runId, ({ memo, attempts }) => ({
      memo: [...memo, entry],
      attempts: attempts.filter(([stepId]) => stepId !== entry.stepId && stepId !== ""),
    }));
  },
  PendingOpened: (rows, { runId, item }) => {
    updateRun(rows, runId, ({ pending }) => ({ pending: [...pending, item], nextPendingNo: item.no + 1 }));
  },
  PendingClosed: (rows, { runId, no }) => {
    updateRun(rows, runId, ({ pending }) => ({ pending: pending.filter((item) => item.no !== no) }));
  },
  RetryCameDue: (rows, { runId, no }) => {
    updateRun(rows, runId, ({ pending }) => ({
      pending: pending.map((item) => (item.no === no && item.kind === "retry" ? { ...item, isDue: true } : item)),
    }));
  },
  EventTaken: (rows, { runId, eventId }) => {
    updateRun(rows, runId, ({ taken }) => ({ taken: [...taken, eventId] }));
  },
  MarkMoved: (rows, { runId, toOffset }) => {
    updateRun(rows, runId, ({ markOffset }) => ({ markOffset: Math.max(markOffset, toOffset) }));
  },
  AttemptFailed: (rows, { runId, stepId, attempts: count }) => {
    updateRun(rows, runId, ({ attempts }) => ({
      attempts: [...attempts.filter(([id]) => id !== stepId), [stepId, count]],
    }));
  },
  InvocationDispatched: (rows, { runId, no, cause }) => {
    updateRun(rows, runId, ({ memo }) => ({
      invocation: {
        no,
        cause: { offset: cause.offset, index: cause.index },
        leaseUntilMs: null,
        memoSent: memo.length,
      },
    }));
  },
  InvocationEnded: (rows, { runId }) => {
    updateRun(rows, runId, ({ invocation }) => ({ invocation: { ...invocation, cause: null, leaseUntilMs: null } }));
  },
  LeaseExtended: (rows, { runId, untilMs }) => {
    updateRun(rows, runId, ({ invocation }) => ({ invocation: { ...invocation, leaseUntilMs: untilMs } }));
  },
  RunEnded: (rows, { runId }) => {
    const run = rows.get(runKey(runId));
    invariant(run !== null && run.subscriptions.length === 0, "a run closes its subscriptions before it ends", {
      runId,
    });
    rows.delete(runKey(runId));
  },
};
