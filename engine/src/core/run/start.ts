/** A run begins: its row, its cancel rules, its interest in the events that its function may wait for. */
import { partitionOf, type InboxRecordOf, type RunRow, type Timeout } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import type { Candidate } from "../route/event-plan.js";
import { dispatch } from "./dispatch.js";
import { endRun } from "./end.js";
import { foreignKeyError } from "./foreign.js";
import { stateTooLarge } from "./state-size.js";
import { openSubscription } from "./subscribe.js";

export function startRun(draft: Draft, candidate: Candidate, event: InboxRecordOf<"event">): void {
  const { nowMs, offset, partition, partitions } = draft.moment;
  const { runId, functionId, app, fn, anchor } = candidate;
  const run: RunRow = {
    runId,
    functionId,
    app,
    event: {
      id: event.id,
      name: event.name,
      values: event.values.map(([path, value]) => [path, value]),
      payload: event.payload,
    },
    anchor,
    startedOffset: offset,
    startedAtMs: nowMs,
    markOffset: offset,
    retries: fn.retries,
    memo: [],
    pending: [],
    nextPendingNo: 0,
    subscriptions: [],
    attempts: [],
    taken: [],
    invocation: { no: 0, cause: null, leaseUntilMs: null, memoSent: 0 },
  };
  draft.emit({ kind: "RunStarted", run });
  const dueAtMs = Math.max(nowMs, event.tsMs);
  const started = { runId, functionId, atMs: nowMs, eventId: event.id, eventName: event.name, dueAtMs };
  draft.effect({ kind: "RecordHistory", entry: { kind: "runStarted", ...started } });
  const tooLarge = stateTooLarge(run); // By its match values: the event itself is bounded.
  if (tooLarge !== null) return endRun(draft, run, { kind: "failed", error: tooLarge });
  for (const { purpose, match, value, routeKey, timeout } of candidate.declared) {
    if (partitionOf(value, partitions) !== partition) {
      endRun(draft, draft.run(runId), { kind: "failed", error: foreignKeyError(match) });
      return;
    }
    const expiresAtMs = timeout === null ? null : expiryOf(timeout, nowMs);
    if (expiresAtMs !== null && expiresAtMs <= nowMs) continue; // The rule is over before it begins.
    if (!openSubscription(draft, runId, { purpose, routeKey, expiresAtMs })) return;
  }
  if (dueAtMs > nowMs) draft.emit({ kind: "PendingOpened", runId, item: { kind: "start", no: 0, dueAtMs } });
  else dispatch(draft, runId, "start");
}

/** Until when a cancel rule acts, exclusive. No timer hangs on it, so it may be now. */
function expiryOf(timeout: Timeout, nowMs: number): number {
  return "ms" in timeout ? nowMs + timeout.ms : timeout.atMs;
}
