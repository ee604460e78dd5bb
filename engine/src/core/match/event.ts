/**
 * An event has reached one of its partitions: repeat it to the others, cancel the runs that are older than it, resolve
 * waits, keep it for waits that may still come, start runs; in this order (DESIGN.md section 7).
 */
import { ID_WINDOW_MS, partitionsOf } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import { answer } from "../foreign/answer.js";
import { endGuest, hearTrigger } from "../foreign/guest.js";
import { arrivalOf, isRemembered, isYounger, type Arrival } from "../route/arrival.js";
import { eventPlanOf, type EventPlan, type EventRecord } from "../route/event-plan.js";
import { endRun } from "../run/end.js";
import { isInFlight } from "../run/lifecycle.js";
import { routeOf } from "../route/functions.js";
import { resume } from "../run/resume.js";
import { startRun } from "../run/start.js";
import { runKey } from "../state/keys.js";
import { isMet } from "./condition.js";
import {
  hasHad,
  isTriggerOf,
  listenerAt,
  livesAt,
  triggerFor,
  type GuestWait,
  type LiveListener,
  type LocalWait,
} from "./listeners.js";
import { keepForLookback } from "./lookback.js";
import { resolveWait } from "./waits.js";

/** An event as it is matched. */
interface Incoming extends Arrival {
  readonly record: EventRecord;
  readonly name: string;
  readonly eventId: string;
}

export function onEvent(draft: Draft, record: EventRecord): void {
  const plan = eventPlanOf(record, draft.functions(), draft.moment);
  const { origin, name, id: eventId } = record;
  const fresh = plan.idKeys.filter((idKey) => !isRemembered(draft, idKey));
  if (fresh.length === 0 || (origin === null ? fresh.length < plan.idKeys.length : isTooOld(draft, record))) {
    draft.reject("DUPLICATE_EVENT", `event ${eventId} was seen here before`);
    return;
  }
  const routeKeys = plan.keys.flatMap(({ idKey, routeKey }) => (fresh.includes(idKey) ? [routeKey] : []));
  const candidates = plan.candidates.filter(({ idKey }) => fresh.includes(idKey));
  const arrival = arrivalOf(draft, record, plan, draft.moment);
  const { offset, atMs } = arrival;
  const event = { record, name, eventId, ...arrival };
  const { nowMs } = draft.moment;
  draft.emit({ kind: "EventRemembered", idClass: record.idFrom, idKeys: fresh, place: { offset, atMs }, nowMs });
  if (origin === null && record.home === draft.moment.partition) repeat(draft, record, plan);
  for (const routeKey of routeKeys) cancelRuns(draft, event, routeKey);
  const mayComeBack = new Set<string>();
  for (const routeKey of routeKeys) resolveWaits(draft, event, routeKey, mayComeBack);
  for (const routeKey of routeKeys) keepForLookback(draft, record, routeKey, { atMs, offset, mayComeBack });
  for (const candidate of candidates) {
    if (draft.get(runKey(candidate.base)) === null)
      startRun(draft, candidate, { event: record, values: plan.values, arrival });
    else draft.reject("DUPLICATE_RUN", `run ${candidate.base} lives already`);
  }
  for (const guest of plan.guests) hearTrigger(draft, guest, record, arrival);
}

/** The sender may have died between its copies, or have known fewer routes. */
function repeat(draft: Draft, record: EventRecord, { values }: EventPlan): void {
  const functions = draft.functions();
  const { version } = functions;
  const { partition, partitions } = draft.moment;
  const isStale = record.version < version;
  const { nowMs, offset } = draft.moment;
  for (const to of partitionsOf(values, routeOf(functions, record.name), partitions)) {
    if (to === partition) continue;
    draft.append(to, (source) => ({
      ...record,
      values: values.map(([path, value]) => [path, value]),
      origin: { as: "repeat", isStale, atMs: nowMs, offset, source },
    }));
  }
}

/** Then its id may be forgotten here: nobody could tell whether it was here before. */
function isTooOld(draft: Draft, { origin, idFrom }: EventRecord): boolean {
  return origin !== null && draft.moment.nowMs - origin.atMs > ID_WINDOW_MS[idFrom];
}

function cancelRuns(draft: Draft, event: Incoming, routeKey: string): void {
  for (const { base, purpose } of draft.listeners(routeKey)) {
    if (purpose !== "cancel") continue;
    const listener = listenerAt(draft, base, draft.moment);
    if (listener === null || !cancels(listener, event, routeKey)) continue;
    const { eventId, name } = event;
    if (listener.of === "run") {
      endRun(draft, listener.run, { kind: "cancelled", eventId, reason: `event ${name}` });
    } else {
      endGuest(draft, listener.guest, { kind: "cancelled", eventId, eventName: name });
    }
  }
}

function cancels(listener: LiveListener, event: Incoming, routeKey: string): boolean {
  if (isTriggerOf(listener, event) || isYounger(listener, event)) return false;
  const rules = listener.subscriptions.find((s) => s.purpose === "cancel" && s.routeKey === routeKey)?.rules ?? [];
  return rules.some(
    (rule) =>
      livesAt(rule, event.atMs) &&
      isMet({ if: rule.if, trigger: triggerFor(listener, rule.given) }, event.record.payload),
  );
}

/** @param mayComeBack gets who may yet give the event back: the wait may have lost a race that its handler has decided. */
function resolveWaits(draft: Draft, event: Incoming, routeKey: string, mayComeBack: Set<string>): void {
  for (const { base, purpose } of draft.listeners(routeKey)) {
    if (purpose !== "wait") continue;
    const listener = listenerAt(draft, base, draft.moment);
    if (listener === null || hasHad(listener, event)) continue; // Ended, or served, by another key of this event.
    if (listener.of === "run") {
      const wait = listener.waits.find((open) => takes(listener, open, event, routeKey));
      if (wait === undefined) continue;
      if (isInFlight(listener.run)) mayComeBack.add(base);
      giveToRun(draft, listener.run.runId, wait, event);
    } else {
      const wait = listener.waits.find((open) => takes(listener, open, event, routeKey));
      if (wait === undefined) continue;
      mayComeBack.add(base);
      giveToGuest(draft, listener.guest.base, wait, event);
    }
  }
}

function takes(listener: LiveListener, wait: LocalWait | GuestWait, event: Incoming, routeKey: string): boolean {
  if (wait.routeKey !== routeKey || event.atMs < wait.fromMs || event.atMs >= wait.deadlineMs) return false;
  if (event.offset <= ("fromOffset" in wait ? wait.fromOffset : fromOffsetOf(listener))) return false;
  const given = "given" in wait ? wait.given : null;
  return isMet({ if: wait.if, trigger: triggerFor(listener, given) }, event.record.payload);
}

function fromOffsetOf(listener: LiveListener): number {
  return listener.of === "guest" ? listener.guest.fromOffset : -1;
}

function giveToRun(draft: Draft, runId: string, wait: LocalWait, { eventId, atMs, offset, record }: Incoming): void {
  draft.emit({ kind: "PendingClosed", runId, no: wait.no });
  const to = { offset, atMs };
  resolveWait(draft, runId, wait.stepId, { eventId, payload: record.payload, fromLookback: false, to });
  resume(draft, runId);
}

function giveToGuest(draft: Draft, base: string, { no }: GuestWait, { eventId, atMs, record }: Incoming): void {
  draft.emit({ kind: "GuestWaitClosed", base, no });
  draft.emit({ kind: "GuestTook", base, eventId });
  const { payload } = record;
  answer(draft, draft.guest(base), { kind: "resolved", no, eventId, payload, atMs, fromLookback: false });
}
