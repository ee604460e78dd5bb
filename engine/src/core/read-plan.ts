/**
 * What `decide` will read for an input. Each round names what the rows loaded so far make reachable: the run of a
 * report, then the keys it listens at, then the events kept there.
 */
import { LIMITS, routeKeyOf, type InboxRecordOf, type RowKind, type StepReport } from "@eddy/schemas";
import { functionsOf, partitionRowOf } from "./draft.js";
import type { Input, Moment } from "./inputs.js";
import { isEligible } from "./match/lookback.js";
import { eventPlanOf } from "./route/event-plan.js";
import { stateBytes, takenBytes } from "./run/state-size.js";
import {
  deliveryKey,
  FUNCTIONS_KEY,
  idIndexKey,
  idsKey,
  keptEventKey,
  PARTITION_KEY,
  runKey,
  subscriptionKey,
  type RowKey,
  type Timer,
} from "./state/keys.js";
import { idBucketAt } from "./state/partition-appliers.js";
import type { ReadRequest, Row, RowView } from "./state/view.js";
import { asCause, dueSweep, sweepRange } from "./step/lease.js";

export function readPlan(view: RowView, input: Input, moment: Moment): readonly ReadRequest[] {
  const plan = new Plan(view, moment);
  if (plan.row(PARTITION_KEY) === undefined || plan.row(FUNCTIONS_KEY) === undefined) return plan.missing;
  switch (input.kind) {
    case "event":
      planEvent(plan, input);
      break;
    case "report":
      planReport(plan, input.report);
      break;
    case "delivered":
      plan.row(deliveryKey(input.app));
      break;
    case "heartbeat":
      for (const { runId } of input.running) plan.row(runKey(runId));
      break;
    case "declined":
      plan.row(runKey(input.runId));
      break;
    case "cancel":
      plan.ending(input.runId);
      break;
    case "timerDue":
      planTimer(plan, input.timer);
      break;
    case "tick":
    case "advance":
    case "register":
    case "registered":
    case "logic":
      break;
  }
  return plan.missing;
}

/** Collects what is not loaded yet; hands out what is. */
class Plan {
  readonly missing: ReadRequest[] = [];

  constructor(
    readonly view: RowView,
    readonly moment: Moment,
  ) {}

  /** @returns undefined while the row is not loaded; null if there is none. */
  row<K extends RowKind>(key: RowKey<K>): Row<K> | null | undefined {
    return this.#loaded({ kind: "row", key }) ? this.view.get(key) : undefined;
  }
  index(key: string): void {
    this.#loaded({ kind: "index", key });
  }
  scan(range: Extract<ReadRequest, { kind: "scan" }>["range"]): readonly (readonly [string, string])[] {
    return this.#loaded({ kind: "scan", range }) ? this.view.scanIndex(range) : [];
  }
  #loaded(request: ReadRequest): boolean {
    if (this.view.isLoaded(request)) return true;
    this.missing.push(request);
    return false;
  }

  /**
   * What opening subscriptions at this key touches: head, tail chunk, those that may come after it. Where runs may end
   * before in the same decision, any chunk may have become the tail.
   */
  opening(routeKey: string, openings: number, afterEndings: boolean): void {
    const head = this.row(subscriptionKey(routeKey, 0));
    if (head === undefined) return;
    const tail = head?.tail ?? 0;
    // A first opening at a fresh head needs no further chunk.
    const last = head === null && openings === 1 ? 0 : tail + Math.ceil(openings / LIMITS.subscriptionsPerChunkMax);
    for (let chunk = afterEndings ? 1 : Math.max(1, tail); chunk <= last; chunk++) {
      this.row(subscriptionKey(routeKey, chunk));
    }
  }

  /** What ending this run touches: its row, and where it listens. */
  ending(runId: string): void {
    const run = this.row(runKey(runId));
    for (const { routeKey, chunk } of run?.subscriptions ?? []) {
      this.row(subscriptionKey(routeKey, 0));
      this.row(subscriptionKey(routeKey, chunk));
    }
  }
}

function planEvent(plan: Plan, event: InboxRecordOf<"event">): void {
  const { routeKeys, idKeys, candidates } = eventPlanOf(event, functionsOf(plan.view), plan.moment);
  for (const idKey of idKeys) plan.index(idIndexKey(idKey));
  const { bucket, chunk } = idBucketAt(partitionRowOf(plan.view).ids[event.idFrom], event.idFrom, plan.moment.nowMs);
  const lastChunk = chunk + Math.ceil(idKeys.length / LIMITS.idsPerChunkMax);
  for (let at = chunk; at <= lastChunk; at++) plan.row(idsKey(event.idFrom, bucket, at));
  let endings = false;
  for (const routeKey of routeKeys) if (planListeners(plan, event, routeKey)) endings = true;
  const openings = new Map<string, number>();
  for (const { runId, declared } of candidates) {
    plan.row(runKey(runId));
    for (const { routeKey } of declared) openings.set(routeKey, (openings.get(routeKey) ?? 0) + 1);
  }
  for (const [routeKey, count] of openings) plan.opening(routeKey, count, endings);
}

/** @returns whether the event may end runs that listen here. */
function planListeners(plan: Plan, event: InboxRecordOf<"event">, routeKey: string): boolean {
  const head = plan.row(subscriptionKey(routeKey, 0));
  if (head == null) return false;
  const bytes = head.kept.reduce((sum, kept) => sum + kept.bytes, event.payload.length);
  let endings = head.kept.length >= LIMITS.keptEventsMax || bytes > LIMITS.keptBytesMax;
  for (let chunk = 0; chunk <= head.tail; chunk++) {
    for (const { runId, purpose } of plan.row(subscriptionKey(routeKey, chunk))?.entries ?? []) {
      if (purpose === "cancel") endings = true;
      const run = plan.row(runKey(runId));
      if (endings || (run != null && mayGrowTooLarge(run, event))) plan.ending(runId);
    }
  }
  return endings;
}

/** Then the event ends the run. */
function mayGrowTooLarge(run: Row<"run">, event: InboxRecordOf<"event">): boolean {
  return stateBytes(run) + takenBytes(event) > LIMITS.runStateBytesMax;
}

function planReport(plan: Plan, report: StepReport): void {
  plan.ending(report.runId);
  const run = plan.row(runKey(report.runId));
  if (run == null) return;
  for (const op of report.ops) {
    if (op.kind !== "waitRequested" || op.value === null) continue;
    const routeKey = routeKeyOf(op.event, op.match, op.value);
    plan.opening(routeKey, 1, false);
    const head = plan.row(subscriptionKey(routeKey, 0));
    for (const kept of head?.kept ?? []) if (isEligible(run, kept)) plan.row(keptEventKey(routeKey, kept.offset));
  }
}

function planTimer(plan: Plan, { target, dueAtMs }: Timer): void {
  switch (target.kind) {
    case "pending":
    case "lease":
      plan.row(runKey(target.runId));
      return;
    case "sweep": {
      const sweep = dueSweep(plan.row(deliveryKey(target.app)), dueAtMs);
      if (sweep === undefined) return;
      for (const [, runId] of plan.scan(sweepRange(target.app, asCause(sweep.mark)))) plan.row(runKey(runId));
      return;
    }
    case "ids":
      plan.row(target.key);
      return;
  }
}
