/**
 * Runs of other partitions that listen here (ADR 0015): made by the triggering event's own copy, or by the run itself;
 * they go when the run's partition says so, or when their rule is hit.
 */
import {
  routeKeyOf,
  SETTLE_POLL_MS,
  type ErrorShape,
  type ForeignAnswer,
  type ForeignRule,
  type ForeignWait,
  type InboxRecordOf,
  type Rule,
} from "@eddy/schemas";
import type { Draft } from "../draft.js";
import { givenFor, givenTooLarge } from "../match/condition.js";
import { guestTooLarge } from "../run/state-size.js";
import { beginningOf, guestListener, type Beginning } from "../match/listeners.js";
import { cancelledBefore, findKept, keepPast, overflowOf, type LateKey } from "../match/lookback.js";
import type { Arrival } from "../route/arrival.js";
import type { Candidate, Declared, EventRecord } from "../route/event-plan.js";
import { expiryOf } from "../run/expiry.js";
import { openSubscription } from "../run/subscribe.js";
import { isSettled } from "../route/settle.js";
import { guestKey } from "../state/keys.js";
import type { Row } from "../state/view.js";
import { answer } from "./answer.js";

/** The trigger's own copy: the run listens here from now on, if it lives at all. Its partition is asked. */
export function hearTrigger(
  draft: Draft,
  guest: Candidate & { readonly partition: number },
  event: EventRecord,
  arrival: Arrival,
): void {
  const { base, declared } = guest;
  const { offset, nowMs } = draft.moment;
  const { atMs: startedAtMs, beganOffset: fromOffset } = arrival;
  const cancels = declared.filter(({ purpose }) => purpose === "cancel");
  const rulesAt = new Map(cancels.map((listen) => [listen.routeKey, rulesOf(listen, event.payload, startedAtMs)]));
  const before = draft.get(guestKey(base));
  const lateSinceMs = listensSinceMs(before, arrival);
  if (before === null) {
    arrive(draft, { base, runId: null, trigger: event, fromOffset, heardAt: offset, startedAtMs });
  } else {
    draft.emit({ kind: "GuestHeard", base, at: offset, rules: rulesAt, nowMs });
  }
  announce(draft, guest, event);
  for (const listen of declared) {
    const rules = listen.purpose === "cancel" ? (rulesAt.get(listen.routeKey) ?? []) : [];
    const wasListening = isListening(draft, base, listen.purpose, listen.routeKey);
    const tooLarge = rules.map((rule) => givenTooLarge(rule.if, rule.given)).find((error) => error !== null);
    const problem = tooLarge ?? listenFor(draft, base, { ...listen, rules }) ?? guestTooLarge(draft.guest(base));
    if (problem !== null) return endGuest(draft, draft.guest(base), { kind: "failed", error: problem });
    if (lateSinceMs === null) continue;
    if (listen.purpose === "wait") {
      if (!wasListening) keepPast(draft, listen, beginningOf({ offset: -1, atMs: lateSinceMs }));
      continue;
    }
    const added = rules.filter((rule) => !hasRule(before, listen.routeKey, rule, nowMs));
    if (added.length === 0) continue;
    if (wasCancelled(draft, base, listen, { rules: added, startedAtMs: lateSinceMs })) return;
  }
}

/**
 * From when on the past matters to what a guest begins to listen to by this copy of its trigger: a late one, or one that
 * says more than what made it a guest. null: it begins with the copy.
 */
export function listensSinceMs(guest: Row<"guest"> | null, { isLate, atMs }: Arrival): number | null {
  return isLate ? atMs : (guest?.startedAtMs ?? null);
}

/** Its partition hears of it before anything else that happens here. */
function announce(draft: Draft, guest: Candidate & { readonly partition: number }, event: EventRecord): void {
  const { base } = guest;
  const { offset, nowMs, partition } = draft.moment;
  // Where neither of the two is the event's home, nothing else makes sure that the run's partition has it before this.
  const goesAlong = event.home !== partition && event.home !== guest.partition;
  const { kind: _, origin, ...fields } = event;
  const atMs = origin?.atMs ?? nowMs;
  const isStale = origin?.isStale ?? false;
  draft.append(guest.partition, (source) => ({
    kind: "announced",
    base,
    at: offset,
    event: goesAlong ? { ...fields, atMs, isStale } : null,
    source,
  }));
}

function rulesOf({ rules }: Declared, trigger: Uint8Array, nowMs: number): Rule[] {
  return rules.map((rule) => ({
    if: rule.if,
    given: givenFor(rule.if, trigger),
    expiresAtMs: expiryOf(rule.timeout, nowMs),
  }));
}

type Arriving = Pick<Row<"guest">, "base" | "runId" | "fromOffset" | "heardAt" | "startedAtMs"> & {
  readonly trigger: { readonly id: string; readonly name: string };
};

function arrive(draft: Draft, arriving: Arriving): void {
  const { id, name } = arriving.trigger;
  draft.emit({
    kind: "GuestArrived",
    guest: { ...arriving, trigger: { id, name }, taken: [], subscriptions: [], waits: [], keepFromMs: 0 },
  });
}

type Wanted = Pick<Declared, "purpose" | "routeKey" | "fromTrigger"> & { readonly rules: readonly Rule[] };

function listenFor(draft: Draft, base: string, { purpose, routeKey, fromTrigger, rules }: Wanted): ErrorShape | null {
  if (isListening(draft, base, purpose, routeKey)) return null;
  return openSubscription(draft, { of: "guest", base }, { purpose, routeKey, rules, fromTrigger });
}

function isListening(draft: Draft, base: string, purpose: Wanted["purpose"], routeKey: string): boolean {
  return draft.guest(base).subscriptions.some((s) => s.purpose === purpose && s.routeKey === routeKey);
}

/** The guest goes; its partition is told why. */
export function endGuest(draft: Draft, guest: Row<"guest">, why: ForeignAnswer): void {
  dismiss(draft, guest);
  answer(draft, guest, why);
}

function dismiss(draft: Draft, { base, subscriptions }: Row<"guest">): void {
  for (const { purpose, routeKey } of subscriptions) {
    draft.emit({ kind: "SubscriptionClosed", listener: { of: "guest", base }, purpose, routeKey });
  }
  draft.emit({ kind: "GuestLeft", base });
}

/** The run itself tells: of a wait, or of rules where the trigger's copy may have met an older registration here. */
export function onListen(draft: Draft, told: InboxRecordOf<"listen">): void {
  const { base, runId, trigger, startedAtMs, taken, keepFromMs } = told;
  if (draft.get(guestKey(base)) === null) {
    arrive(draft, { base, runId, trigger, fromOffset: -1, heardAt: -1, startedAtMs });
  }
  draft.emit({ kind: "GuestTold", base, runId, taken, keepFromMs });
  for (const rule of told.rules) if (!addRule(draft, base, rule)) return;
  if (told.wait !== null) openWait(draft, base, told.wait);
}

/** @returns false where the guest has gone by it. */
function addRule(draft: Draft, base: string, { event, path, value, ...rule }: ForeignRule): boolean {
  const routeKey = routeKeyOf(event, path, value);
  const { heardAt, startedAtMs } = draft.guest(base);
  const isKnown = hasRule(draft.guest(base), routeKey, rule, draft.moment.nowMs);
  if (isListening(draft, base, "cancel", routeKey)) {
    const rules = new Map([[routeKey, [rule]]]);
    draft.emit({ kind: "GuestHeard", base, at: heardAt, rules, nowMs: draft.moment.nowMs });
    if (isKnown) return true;
  } else {
    const problem = listenFor(draft, base, { purpose: "cancel", routeKey, rules: [rule], fromTrigger: false });
    if (problem !== null) {
      endGuest(draft, draft.guest(base), { kind: "failed", error: problem });
      return false;
    }
  }
  return !wasCancelled(draft, base, { event, path, value, routeKey }, { rules: [rule], startedAtMs });
}

/** Has it listened for what this rule says, up to now or to the rule's end? Then nothing of the past is news to it. */
export function hasRule(
  guest: Row<"guest"> | null,
  routeKey: string,
  { if: condition, expiresAtMs }: Pick<Rule, "if" | "expiresAtMs">,
  nowMs: number,
): boolean {
  const open = guest?.subscriptions.find((s) => s.purpose === "cancel" && s.routeKey === routeKey);
  const neededUntilMs = Math.min(expiresAtMs ?? Infinity, nowMs);
  return open?.rules.some((rule) => rule.if === condition && (rule.expiresAtMs ?? Infinity) >= neededUntilMs) === true;
}

/** It has begun to listen late, for a run that began at `startedAtMs`: something in between may have ended it. */
function wasCancelled(
  draft: Draft,
  base: string,
  key: LateKey,
  late: { readonly rules: readonly Rule[]; readonly startedAtMs: number },
): boolean {
  const { trigger, fromOffset: beganOffset } = draft.guest(base);
  const hit = cancelledBefore(draft, key, { ...late, beganOffset, trigger, payload: null });
  if (hit === null) return false;
  endGuest(draft, draft.guest(base), { kind: "cancelled", eventId: hit.eventId, eventName: key.event });
  return true;
}

function openWait(draft: Draft, base: string, wait: ForeignWait): void {
  const { no, event, path, value, deadlineMs } = wait;
  const routeKey = routeKeyOf(event, path, value);
  const from: Beginning = { offset: draft.guest(base).fromOffset, atMs: wait.fromMs };
  if (!isListening(draft, base, "wait", routeKey)) {
    const problem = listenFor(draft, base, { purpose: "wait", routeKey, rules: [], fromTrigger: false });
    if (problem !== null) return endGuest(draft, draft.guest(base), { kind: "failed", error: problem });
    keepPast(draft, { event, path, value, routeKey }, from);
  }
  const listener = guestListener(draft.guest(base));
  const looking = { event, listener, routeKey, from, asked: { if: wait.if, trigger: wait.given }, untilMs: deadlineMs };
  const error = overflowOf(draft, looking);
  if (error !== null) return endGuest(draft, draft.guest(base), { kind: "failed", error });
  const kept = findKept(draft, looking);
  if (kept !== null) {
    const { eventId, payload, atMs } = kept;
    draft.emit({ kind: "GuestTook", base, eventId });
    return answer(draft, draft.guest(base), { kind: "resolved", no, eventId, payload, atMs, fromLookback: true });
  }
  const { if: condition, given, fromMs } = wait;
  const dueAtMs = Math.max(deadlineMs, draft.moment.nowMs + 1);
  draft.emit({
    kind: "GuestWaitOpened",
    base,
    wait: { no, routeKey, event, path, if: condition, given, fromMs, deadlineMs, dueAtMs },
  });
  const tooLarge = guestTooLarge(draft.guest(base));
  if (tooLarge !== null) endGuest(draft, draft.guest(base), { kind: "failed", error: tooLarge });
}

export function onUnlisten(draft: Draft, { base, runId, no, upTo }: InboxRecordOf<"unlisten">): void {
  const guest = draft.get(guestKey(base));
  if (guest === null) return draft.reject("RUN_FINISHED", `run ${base} does not listen here`);
  if (no !== null) {
    if (guest.runId === runId && guest.waits.some((wait) => wait.no === no)) {
      draft.emit({ kind: "GuestWaitClosed", base, no });
    }
    return;
  }
  if (guest.heardAt <= upTo) dismiss(draft, guest);
  else if (guest.runId !== null && guest.runId === runId) draft.emit({ kind: "GuestRenewed", base });
}

export function onGuestDue(draft: Draft, base: string, no: number): void {
  const guest = draft.get(guestKey(base));
  const wait = guest?.waits.find((open) => open.no === no);
  if (guest === null || wait === undefined) return draft.reject("STALE_TIMER", `wait ${no} of guest ${base}`);
  if (!isSettled(draft, wait, draft.moment.nowMs)) {
    const dueAtMs = draft.moment.nowMs + SETTLE_POLL_MS;
    return draft.emit({ kind: "GuestWaitPostponed", base, no, dueAtMs });
  }
  draft.emit({ kind: "GuestWaitClosed", base, no });
  answer(draft, guest, { kind: "timedOut", no });
}
