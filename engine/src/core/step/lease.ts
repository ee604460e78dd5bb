/**
 * Leases: a request is a worker's for LEASE_MS of log append time from its delivery (or its last heartbeat) on; then it
 * goes out again. The lease starts at delivery, so that neither lag nor a long queue loses one. Requests that end before
 * their first heartbeat cost no row of their own: a delivery is swept as a range of causes.
 */
import {
  compareCauses,
  LEASE_MS,
  LIMITS,
  offset,
  type Cause,
  type DeliveryRow,
  type InboxRecordOf,
} from "@eddy/schemas";
import type { Draft } from "../draft.js";
import { dispatch } from "../run/dispatch.js";
import { wholeBytes } from "../run/state-size.js";
import { deliveryKey, inFlightKey, inFlightPrefix } from "../state/keys.js";
import type { IndexRange, Row } from "../state/view.js";

export function onDelivered(draft: Draft, { app, mark }: InboxRecordOf<"delivered">): void {
  const last = draft.get(deliveryKey(app))?.sweeps.at(-1);
  if (last !== undefined && compareCauses(asCause(last.mark), asCause(mark)) >= 0) return; // Covered already.
  draft.emit({ kind: "RequestsDelivered", app, mark: asCause(mark), dueAtMs: draft.moment.rawMs + LEASE_MS });
}

export function onHeartbeat(draft: Draft, { app, running }: InboxRecordOf<"heartbeat">): void {
  const untilMs = draft.moment.rawMs + LEASE_MS;
  for (const { runId, invocation } of running) {
    const run = draft.liveRun(runId);
    if (run === null || run.app !== app || run.invocation.no !== invocation || run.invocation.cause === null) continue;
    draft.emit({ kind: "LeaseExtended", runId, untilMs });
  }
}

/** The worker that got the request lacks what it left out: the next one leaves nothing out. */
export function onDeclined(draft: Draft, { runId, invocation }: InboxRecordOf<"declined">): void {
  const run = draft.liveRun(runId);
  if (run === null || run.invocation.no !== invocation || run.invocation.cause === null) {
    return draft.reject("STALE_INVOCATION", `run ${runId}, declined in invocation ${invocation}`);
  }
  dispatch(draft, runId, "declined");
}

/** No heartbeat came in time. */
export function onLeaseDue(draft: Draft, runId: string, dueAtMs: number): void {
  const run = draft.liveRun(runId);
  if (run === null || run.invocation.cause === null || run.invocation.leaseUntilMs !== dueAtMs) {
    return draft.reject("STALE_TIMER", `lease of run ${runId}`);
  }
  dispatch(draft, runId, "leaseLost");
}

/** Requests delivered up to the mark that neither ended nor were covered by a heartbeat have lost their lease. */
export function onSweepDue(draft: Draft, app: string, dueAtMs: number): void {
  const { rawMs } = draft.moment;
  const sweep = dueSweep(draft.get(deliveryKey(app)), dueAtMs);
  if (sweep === undefined) return draft.reject("STALE_TIMER", `delivery sweep of ${app}`);
  const expired = draft.scanIndex(sweepRange(app, asCause(sweep.mark))).map(([, runId]) => draft.run(runId));
  const swept = sweptAtOnce(expired);
  const isMore = expired.length >= LIMITS.sweepRunsMax || swept.length < expired.length;
  draft.emit({ kind: "DeliverySwept", app, untilMs: dueAtMs, againAtMs: isMore ? rawMs + 1 : null });
  for (const { runId } of swept) dispatch(draft, runId, "leaseLost");
}

/** The first of these runs that may be sent whole by one record, at least one: together they fit memory. */
export function sweptAtOnce(expired: readonly Row<"run">[]): readonly Row<"run">[] {
  let bytes = 0;
  const more = expired.findIndex((run, i) => (bytes += wholeBytes(run)) > LIMITS.sweepBytesMax && i > 0);
  return more === -1 ? expired : expired.slice(0, more);
}

/** The last sweep due by then, in raw time: its mark covers those before it. Later ones have their turn among timers. */
export function dueSweep(
  delivery: Row<"delivery"> | null | undefined,
  dueAtMs: number,
): DeliveryRow["sweeps"][number] | undefined {
  return delivery?.sweeps.findLast((sweep) => sweep.dueAtMs <= dueAtMs);
}

export function sweepRange(app: string, mark: Cause): IndexRange {
  const to = inFlightKey(app, { offset: mark.offset, index: mark.index + 1 });
  return { from: inFlightPrefix(app), to, limit: LIMITS.sweepRunsMax };
}

export function asCause(mark: { readonly offset: number; readonly index: number }): Cause {
  return { offset: offset(mark.offset), index: mark.index };
}
