/** A run ends: nobody listens for it any more, its row goes, its history says how. */
import { baseOfRun, type ErrorShape, type HistoryEntry } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import { unlisten } from "../foreign/tell.js";
import type { Row } from "../state/view.js";
import { isInFlight } from "./lifecycle.js";

export type Ending =
  | { readonly kind: "completed"; readonly data: Uint8Array }
  | { readonly kind: "failed"; readonly error: ErrorShape }
  | { readonly kind: "cancelled"; readonly eventId: string | null; readonly reason: string };

/** An ending that the run's worker did not report itself aborts what the worker may still be doing. */
export function endRun(draft: Draft, run: Row<"run">, ending: Ending): void {
  const { runId, app } = run;
  for (const { purpose, routeKey } of run.subscriptions) {
    draft.emit({ kind: "SubscriptionClosed", listener: { of: "run", base: baseOfRun(runId) }, purpose, routeKey });
  }
  draft.emit({ kind: "RunEnded", runId });
  draft.effect({ kind: "RecordHistory", entry: historyOf(run, ending, draft.moment.nowMs) });
  if (isInFlight(run)) draft.effect({ kind: "SendSignal", app, signal: { kind: "abort", runId } });
  for (const { partition } of run.foreign) unlisten(draft, run, partition, null);
}

function historyOf({ runId, functionId }: Row<"run">, ending: Ending, atMs: number): HistoryEntry {
  const base = { runId, functionId, atMs };
  switch (ending.kind) {
    case "completed":
      return { kind: "runCompleted", ...base, data: ending.data };
    case "failed":
      return { kind: "runFailed", ...base, error: ending.error };
    case "cancelled":
      return { kind: "runCancelled", ...base, eventId: ending.eventId, reason: ending.reason };
  }
}
