/**
 * What `decide` will read for an input. Each round names what the rows loaded so far make reachable: the run of a
 * report, then the keys it listens at, then the events kept there.
 */
import {
  LIMITS,
  listenRouteOf,
  partitionOf,
  routeKeyOf,
  type InboxRecordOf,
  type RowKind,
  type StepReport,
} from "@eddy/schemas";
import { functionsOf, partitionRowOf } from "./draft.js";
import { hasRule, listensSinceMs } from "./foreign/guest.js";
import { announcedEvent } from "./foreign/host.js";
import { sourceOf, type Input, type Moment } from "./inputs.js";
import { beginningFor, beginningOf, listenerKey, type Beginning } from "./match/listeners.js";
import { idKeysOfPast, isAtKey, pastRange, type LateKey } from "./match/lookback.js";
import { arrivalOf, isRemembered, type Arrival } from "./route/arrival.js";
import { eventPlanOf, type Candidate, type EventRecord } from "./route/event-plan.js";
import { newsRange } from "./route/offer.js";
import { learningOf, numberingOf } from "./route/registration.js";
import { carriedApart } from "./run/dispatch.js";
import { isInFlight, listensAt } from "./run/lifecycle.js";
import { mayOutgrow } from "./run/state-size.js";
import {
  deliveryKey,
  FUNCTIONS_KEY,
  guestKey,
  idIndexKey,
  idsKey,
  keptEventKey,
  markKey,
  PARTITION_KEY,
  resultKey,
  runKey,
  subscriptionKey,
  type RowKey,
  type Timer,
} from "./state/keys.js";
import { idBucketAt } from "./state/partition-appliers.js";
import type { PastRange, ReadRequest, Row, RowView } from "./state/view.js";
import { asCause, dueSweep, sweepRange, sweptAtOnce } from "./step/lease.js";

export function readPlan(view: RowView, input: Input, moment: Moment): readonly ReadRequest[] {
  const plan = new Plan(view, moment);
  if (plan.row(PARTITION_KEY) === undefined || plan.row(FUNCTIONS_KEY) === undefined) return plan.missing;
  const source = sourceOf(input);
  if (source !== null) plan.row(markKey(source.partition));
  planInput(plan, input);
  return plan.missing;
}

function planInput(plan: Plan, input: Input): void {
  switch (input.kind) {
    case "event":
      return planEvent(plan, input);
    case "report":
      return planReport(plan, input.report);
    case "delivered":
      plan.row(deliveryKey(input.app));
      return;
    case "heartbeat":
      for (const { runId } of input.running) plan.row(runKey(runId));
      return;
    case "declined":
      return planDeclined(plan, input);
    case "cancel":
      return plan.ending(runKey(input.runId));
    case "listen":
      return planListen(plan, input);
    case "unlisten":
      return plan.ending(guestKey(input.base));
    case "answer":
      plan.ending(runKey(input.base));
      return plan.goingOn(plan.row(runKey(input.base)));
    case "announced":
      if (input.event !== null) planEvent(plan, announcedEvent(input, input.event));
      plan.row(runKey(input.base));
      return;
    case "timerDue":
      return planTimer(plan, input.timer);
    case "register":
    case "learn":
    case "registered":
      return planNews(plan, input);
    case "tick":
    case "advance":
    case "settled":
    case "logic":
      return;
  }
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
  /** @returns whether it is loaded. */
  index(key: string): boolean {
    return this.#loaded({ kind: "index", key });
  }
  scan(range: Extract<ReadRequest, { kind: "scan" }>["range"]): readonly (readonly [string, string])[] {
    return this.#loaded({ kind: "scan", range }) ? this.view.scanIndex(range) : [];
  }
  past(range: PastRange): void {
    this.#loaded({ kind: "past", range });
  }
  /** Events of a key in the past, and which of them were the first of their id. */
  pastAt(key: LateKey, from: Beginning): void {
    const range = pastRange(this.view, this.moment, key.event, from);
    if (!this.#loaded({ kind: "past", range })) return;
    const functions = functionsOf(this.view);
    for (const past of this.view.pastEvents(range)) {
      if (!isAtKey(past, key)) continue;
      for (const idKey of idKeysOfPast(past, key, functions, this.moment)) this.index(idIndexKey(idKey));
    }
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

  /** What ends with this run or guest: its row, and where it listens. */
  ending(key: RowKey<"run"> | RowKey<"guest">): void {
    const listener = this.row<"run" | "guest">(key);
    for (const { routeKey, chunk } of listener?.subscriptions ?? []) {
      this.row(subscriptionKey(routeKey, 0));
      this.row(subscriptionKey(routeKey, chunk));
    }
  }

  /** What a request of the run carries beside its row. @param isWhole it leaves nothing out. */
  dispatching(run: Row<"run">, isWhole: boolean): void {
    for (const { no } of carriedApart(run, isWhole)) this.row(resultKey(run.runId, no));
  }
  /** Something may be settled: the run goes on, unless an invocation is out. */
  goingOn(run: Row<"run"> | null | undefined): void {
    if (run != null && !isInFlight(run)) this.dispatching(run, false);
  }

  /** What a wait may find that came before it. */
  lookingBack(routeKey: string, from: Beginning): void {
    const head = this.row(subscriptionKey(routeKey, 0));
    for (const { offset, atMs } of head?.kept ?? []) {
      if (offset > from.offset && atMs >= from.atMs) this.row(keptEventKey(routeKey, offset));
    }
  }
}

function planEvent(plan: Plan, event: EventRecord): void {
  const eventPlan = eventPlanOf(event, functionsOf(plan.view), plan.moment);
  const { keys, idKeys, knownBy, candidates, guests } = eventPlan;
  let isKnown = true;
  for (const idKey of knownBy) if (!plan.index(idIndexKey(idKey))) isKnown = false;
  if (event.origin !== null) {
    if (!isKnown) return; // What is known of it tells where it stands.
    if (idKeys.every((idKey) => isRemembered(plan.view, idKey))) return; // Most repeats: nothing is new.
  }
  const arrival = arrivalOf(plan.view, event, eventPlan, plan.moment);
  const { bucket, chunk } = idBucketAt(partitionRowOf(plan.view).ids[event.idFrom], event.idFrom, plan.moment.nowMs);
  const lastChunk = chunk + Math.ceil(idKeys.length / LIMITS.idsPerChunkMax);
  for (let at = chunk; at <= lastChunk; at++) plan.row(idsKey(event.idFrom, bucket, at));
  let endings = false;
  for (const { routeKey } of keys) if (planListeners(plan, event, routeKey)) endings = true;
  const openings = new Map<string, number>();
  const { partition } = plan.moment;
  for (const { base, declared } of candidates) {
    plan.row(runKey(base));
    for (const { routeKey, partition: at } of declared) {
      if (at === partition) openings.set(routeKey, (openings.get(routeKey) ?? 0) + 1);
    }
  }
  for (const { base, declared } of guests) {
    plan.ending(guestKey(base));
    planMoreOfGuest(plan, arrival, { base, declared });
    for (const { routeKey } of declared) openings.set(routeKey, (openings.get(routeKey) ?? 0) + 1);
  }
  const starting = arrival.isLate ? [...candidates, ...guests] : [];
  for (const run of starting) if (planLateStart(plan, event, arrival, run)) endings = true;
  for (const [routeKey, count] of openings) plan.opening(routeKey, count, endings);
}

/** What a guest that is here already begins to listen to is looked for in the past. */
function planMoreOfGuest(plan: Plan, arrival: Arrival, { base, declared }: Pick<Candidate, "base" | "declared">): void {
  const guest = plan.row(guestKey(base));
  const sinceMs = guest == null || arrival.isLate ? null : listensSinceMs(guest, arrival);
  if (guest == null || sinceMs === null) return;
  for (const listen of declared) {
    const { purpose, routeKey } = listen;
    const isOpen = guest.subscriptions.some((s) => s.purpose === purpose && s.routeKey === routeKey);
    if (purpose === "wait" && !isOpen) plan.pastAt(listen, beginningOf({ offset: -1, atMs: sinceMs }));
    // As if none of them ended: then no more counts as known than when their ends are worked out.
    const isNew = listen.rules.some(
      (rule) => !hasRule(guest, routeKey, { if: rule.if, expiresAtMs: null }, plan.moment.nowMs),
    );
    if (purpose === "cancel" && isNew) plan.pastAt(listen, { offset: -1, atMs: sinceMs });
  }
}

/** What comes late looks for what has happened since; runs that began since may end it. @returns whether runs may end. */
function planLateStart(plan: Plan, event: EventRecord, { atMs }: Arrival, { declared }: Candidate): boolean {
  const { moment } = plan;
  const since = { offset: -1, atMs };
  const from = beginningOf(since);
  let endings = false;
  for (const listen of declared) {
    const { purpose, routeKey, partition } = listen;
    if (partition !== moment.partition) continue;
    plan.pastAt(listen, purpose === "wait" ? from : since);
    if (purpose === "cancel" && planListeners(plan, event, routeKey)) endings = true;
  }
  return endings;
}

/** @returns whether the event may end runs that listen here. */
function planListeners(plan: Plan, event: EventRecord, routeKey: string): boolean {
  const head = plan.row(subscriptionKey(routeKey, 0));
  if (head == null) return false;
  let endings = false;
  for (let chunk = 0; chunk <= head.tail; chunk++) {
    for (const { base, purpose } of plan.row(subscriptionKey(routeKey, chunk))?.entries ?? []) {
      if (purpose === "cancel") endings = true;
      const key = listenerKey(base, plan.moment);
      const listener = plan.row<"run" | "guest">(key);
      const run = listener != null && "memo" in listener ? listener : null;
      if (endings || (run !== null && mayOutgrow(run, event))) plan.ending(key);
      if (purpose === "wait") plan.goingOn(run);
    }
  }
  return endings;
}

function planDeclined(plan: Plan, { runId, invocation }: InboxRecordOf<"declined">): void {
  const run = plan.row(runKey(runId));
  if (run?.runId === runId && run.invocation.no === invocation && isInFlight(run)) plan.dispatching(run, true);
}

function planReport(plan: Plan, report: StepReport): void {
  plan.ending(runKey(report.runId));
  const run = plan.row(runKey(report.runId));
  if (run == null) return;
  const { moment } = plan;
  const { outcome, invocation } = report;
  const goesOn = outcome?.kind === "suspended" || outcome?.kind === "yielded";
  if (goesOn && run.runId === report.runId && run.invocation.no === invocation) plan.dispatching(run, false);
  for (const op of report.ops) {
    if (op.kind !== "waitRequested" || op.value === null) continue;
    if (partitionOf(op.value, moment.partitions) !== moment.partition) continue;
    const routeKey = routeKeyOf(op.event, listenRouteOf(op).path, op.value);
    plan.opening(routeKey, 1, false);
    plan.lookingBack(routeKey, beginningFor(run, op.since, moment));
    if (!listensAt(run, routeKey)) {
      const key = { event: op.event, path: listenRouteOf(op).path, value: op.value, routeKey };
      plan.pastAt(key, beginningFor(run, "mark", moment));
    }
  }
}

function planListen(plan: Plan, { base, startedAtMs, rules, wait }: InboxRecordOf<"listen">): void {
  plan.ending(guestKey(base));
  const guest = plan.row(guestKey(base));
  if (guest === undefined) return;
  const openings = new Map<string, number>();
  const isOpen = (purpose: "wait" | "cancel", routeKey: string): boolean =>
    guest?.subscriptions.some((s) => s.purpose === purpose && s.routeKey === routeKey) === true;
  const startOf = (atMs: number): Beginning => ({ offset: guest?.fromOffset ?? -1, atMs });
  for (const rule of rules) {
    const { event, path, value } = rule;
    const routeKey = routeKeyOf(event, path, value);
    if (!isOpen("cancel", routeKey)) openings.set(routeKey, (openings.get(routeKey) ?? 0) + 1);
    if (hasRule(guest, routeKey, rule, plan.moment.nowMs)) continue;
    plan.pastAt({ event, path, value, routeKey }, { offset: -1, atMs: guest?.startedAtMs ?? startedAtMs });
  }
  if (wait !== null) {
    const { event, path, value, fromMs } = wait;
    const routeKey = routeKeyOf(event, path, value);
    plan.lookingBack(routeKey, startOf(fromMs));
    if (!isOpen("wait", routeKey)) {
      openings.set(routeKey, (openings.get(routeKey) ?? 0) + 1);
      plan.pastAt({ event, path, value, routeKey }, startOf(fromMs));
    }
  }
  for (const [routeKey, count] of openings) plan.opening(routeKey, count, false);
}

/** Paths that were not routed before: the partition reads what it has of them. */
function planNews(plan: Plan, record: InboxRecordOf<"register" | "learn" | "registered">): void {
  const { moment } = plan;
  const range = newsRange(newsOf(plan, record), moment);
  if (range !== null) plan.past(range);
}

function newsOf({ view, moment }: Plan, record: InboxRecordOf<"register" | "learn" | "registered">) {
  if (record.kind === "registered") return record.news;
  if (moment.partition !== 0) return [];
  const numbering = record.kind === "register" ? numberingOf(view, record) : learningOf(view, record);
  return numbering === null || numbering === "too many" ? [] : numbering.news;
}

function planTimer(plan: Plan, { target, dueAtMs }: Timer): void {
  switch (target.kind) {
    case "pending":
      return plan.goingOn(plan.row(runKey(target.runId)));
    case "lease": {
      const run = plan.row(runKey(target.runId));
      if (run?.runId === target.runId) plan.dispatching(run, true);
      return;
    }
    case "sweep": {
      const sweep = dueSweep(plan.row(deliveryKey(target.app)), dueAtMs);
      if (sweep === undefined) return;
      const expired = plan.scan(sweepRange(target.app, asCause(sweep.mark)));
      const runs = expired.map(([, runId]) => plan.row(runKey(runId)));
      if (runs.includes(undefined)) return;
      for (const run of sweptAtOnce(runs.filter((row) => row != null))) plan.dispatching(run, true);
      return;
    }
    case "guest":
      plan.row(guestKey(target.base));
      return;
    case "ids":
      plan.row(target.key);
      return;
    case "settle":
      return;
  }
}
