/** Facts about one run: its row, and the rows of its large results. */
import type { Mark, RunRow, SettledStep } from "@eddy/schemas";
import { invariant } from "@eddy/clients/errors";
import type { Applier } from "../evolve.js";
import { runKey } from "./keys.js";
import { forget, refOf, settle } from "./results.js";
import type { Row, RowWriter } from "./view.js";

type RunChange =
  | "RunStarted"
  | "StepSettled"
  | "PendingOpened"
  | "PendingClosed"
  | "PendingPostponed"
  | "StepWithdrawn"
  | "StepWantedAgain"
  | "ForeignAdded"
  | "ForeignHeard"
  | "RetryCameDue"
  | "EventTaken"
  | "MarkMoved"
  | "MarkPostponed"
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

function insertedAfterOwn(memo: readonly SettledStep[], entry: SettledStep, memoSent: number): SettledStep[] {
  let at = memoSent;
  while (memo[at]?.invocation === entry.invocation) at += 1;
  return [...memo.slice(0, at), entry, ...memo.slice(at)];
}

export function later(a: Mark, b: Mark): Mark {
  return { offset: Math.max(a.offset, b.offset), atMs: Math.max(a.atMs, b.atMs) };
}

export const runAppliers: { readonly [K in RunChange]: Applier<K> } = {
  RunStarted: (rows, { run }) => {
    rows.put(runKey(run.runId), run);
  },
  /**
   * Progress: failed attempts of this step and of the handler count from zero again. The memo is in the order in which the
   * handler sees it, so that a race is decided the same way again: what its invocation reports, it has seen before what
   * the engine settled since the request.
   */
  StepSettled: (rows, { runId, entry }) => {
    updateRun(rows, runId, (run) => {
      const { memo, attempts, invocation, nextResultNo } = run;
      const step = settle(rows, run, entry);
      return {
        memo: step.invocation === 0 ? [...memo, step] : insertedAfterOwn(memo, step, invocation.memoSent),
        nextResultNo: refOf(step) === null ? nextResultNo : nextResultNo + 1,
        attempts: attempts.filter(([stepId]) => stepId !== step.stepId && stepId !== ""),
      };
    });
  },
  PendingOpened: (rows, { runId, item }) => {
    updateRun(rows, runId, ({ pending }) => ({ pending: [...pending, item], nextPendingNo: item.no + 1 }));
  },
  PendingClosed: (rows, { runId, no }) => {
    updateRun(rows, runId, ({ pending }) => ({ pending: pending.filter((item) => item.no !== no) }));
  },
  PendingPostponed: (rows, { runId, no, dueAtMs }) => {
    updateRun(rows, runId, ({ pending }) => ({
      pending: pending.map((item) => (item.no === no && item.kind === "wait" ? { ...item, dueAtMs } : item)),
    }));
  },
  StepWithdrawn: (rows, { runId, stepId }) => {
    updateRun(rows, runId, ({ withdrawn, memo, taken, laterMarks }) => {
      forget(
        rows,
        runId,
        memo.filter((entry) => entry.stepId === stepId),
      );
      return {
        withdrawn: [...withdrawn, stepId],
        memo: memo.filter((entry) => entry.stepId !== stepId),
        taken: taken.filter(([, by]) => by !== stepId),
        laterMarks: laterMarks.filter((later) => later.stepId !== stepId),
      };
    });
  },
  StepWantedAgain: (rows, { runId, stepId }) => {
    updateRun(rows, runId, ({ withdrawn }) => ({ withdrawn: withdrawn.filter((id) => id !== stepId) }));
  },
  ForeignAdded: (rows, { runId, partition }) => {
    updateRun(rows, runId, ({ foreign }) => ({ foreign: [...foreign, { partition, heardAt: -1 }] }));
  },
  ForeignHeard: (rows, { runId, partition, at }) => {
    updateRun(rows, runId, ({ foreign }) => ({
      foreign: foreign.map((f) => (f.partition === partition ? { partition, heardAt: Math.max(f.heardAt, at) } : f)),
    }));
  },
  RetryCameDue: (rows, { runId, no }) => {
    updateRun(rows, runId, ({ pending }) => ({
      pending: pending.map((item) => (item.no === no && item.kind === "retry" ? { ...item, isDue: true } : item)),
    }));
  },
  EventTaken: (rows, { runId, stepId, eventId }) => {
    updateRun(rows, runId, ({ taken }) => ({ taken: [...taken, [eventId, stepId]] }));
  },
  MarkMoved: (rows, { runId, to }) => {
    updateRun(rows, runId, ({ mark }) => ({ mark: later(mark, to), laterMarks: [] }));
  },
  MarkPostponed: (rows, { runId, stepId, to }) => {
    updateRun(rows, runId, ({ laterMarks }) => ({ laterMarks: [...laterMarks, { stepId, to }] }));
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
    forget(rows, runId, run.memo);
    rows.delete(runKey(runId));
  },
};
