/** Runs of other partitions that listen here, and what other partitions say of this one's runs. */
import {
  BROKER_SKEW_MS,
  parsedJson,
  partitionOfShard,
  shardOfRun,
  type ForeignAnswer,
  type InboxRecordOf,
} from "@eddy/schemas";
import { readCondition } from "../script/script.js";
import { onEvent, type Arrival, type Candidate, type Declared } from "./event-model.js";
import { givenOf, keyOf, matches, type Listening } from "./listening.js";
import { engineError, type PartitionModel } from "./partition-model.js";
import type { Guest, GuestRule, GuestWait, Hearing, ModelEvent } from "./run.js";
import { earlierEvent, earlierHit, giveEvent, hearAt, lateHearing, tellWait } from "./wait-model.js";

/** What the trigger's own copy says of a run that listens here. */
export interface Welcome {
  readonly candidate: Candidate;
  readonly declared: readonly Declared[];
  readonly event: ModelEvent;
  readonly record: InboxRecordOf<"event">;
  readonly arrival: Arrival;
}

/** The trigger's own copy: the run listens here from now on, if it lives at all. Its partition is asked. */
export function welcome(model: PartitionModel, { candidate, declared, event, record, arrival }: Welcome): void {
  const here = declared.filter(({ partition }) => partition === model.where.partition);
  if (here.length === 0) return;
  const { base } = candidate;
  const { offset } = model;
  const known = model.guests.get(base);
  const { isLate, beganOffset: fromOffset } = arrival;
  const startedAtMs = event.atMs;
  // What it begins to hear only now, though it was here before, it would have heard from its beginning on.
  const sinceMs = isLate ? startedAtMs : known?.startedAtMs;
  const guest: Guest = known ?? {
    ...{
      base,
      runId: null,
      trigger: event,
      fromOffset,
      heardAt: offset,
      startedAtMs,
    },
    ...{ taken: new Set(), listens: new Map(), rules: [], waits: [] },
  };
  guest.heardAt = offset;
  const added: GuestRule[] = [];
  for (const { listening, value, expiresAtMs } of here) {
    const hearing = (): Hearing =>
      sinceMs === undefined ? { sinceOffset: offset, past: [] } : lateHearing(model, sinceMs - BROKER_SKEW_MS);
    if (expiresAtMs === undefined) hearAt(guest.listens, keyOf(listening, value), hearing);
    else added.push({ ...listening, value, expiresAtMs, given: givenOf(listening, event.body) });
  }
  const late = sinceMs !== undefined ? added.filter((rule) => !hasRule(guest, rule, model.nowMs)) : [];
  guest.rules.push(...added);
  model.guests.set(base, guest);
  announce(model, candidate, record);
  const hit = late.map((rule) => earlierHit(model, guest, rule, rule.given)).find((found) => found !== undefined);
  if (hit !== undefined) answerCancelled(model, guest, hit);
}

/** Has it listened for that already? Then nothing of the past is news to it. */
function hasRule({ rules }: Guest, { event, path, value, condition, expiresAtMs }: GuestRule, nowMs: number): boolean {
  return rules.some(
    (rule) =>
      rule.event === event &&
      rule.path === path &&
      rule.value === value &&
      rule.condition?.text === condition?.text &&
      // A shorter one that is over has left something unheard.
      (rule.expiresAtMs >= expiresAtMs || rule.expiresAtMs >= nowMs),
  );
}

/** Where neither partition is the event's home, it goes along: nothing else makes sure that the run's has it before this. */
function announce(model: PartitionModel, { base, partition }: Candidate, record: InboxRecordOf<"event">): void {
  const goesAlong = record.home !== model.where.partition && record.home !== partition;
  const { kind: _, origin, ...fields } = record;
  const along = { ...fields, atMs: origin?.atMs ?? model.nowMs, isStale: origin?.isStale ?? false };
  model.send(partition, { kind: "announced", base, at: model.offset, event: goesAlong ? along : null });
}

function homeOf(model: PartitionModel, { base }: Guest): number {
  return partitionOfShard(shardOfRun(base), model.where.partitions);
}

function answer(model: PartitionModel, guest: Guest, what: ForeignAnswer): void {
  const { base, runId } = guest;
  model.send(homeOf(model, guest), { kind: "answer", base, runId, answer: what });
}

export interface Found {
  readonly event: ModelEvent;
  readonly fromLookback: boolean;
}

export function answerResolved(model: PartitionModel, guest: Guest, { no }: { no: number }, found: Found): void {
  const { id: eventId, payload, atMs } = found.event;
  guest.waits = guest.waits.filter((wait) => wait.no !== no);
  guest.taken.add(eventId);
  answer(model, guest, { kind: "resolved", no, eventId, payload, atMs, fromLookback: found.fromLookback });
}

export function answerCancelled(model: PartitionModel, guest: Guest, { id, name }: { id: string; name: string }): void {
  model.guests.delete(guest.base);
  answer(model, guest, { kind: "cancelled", eventId: id, eventName: name });
}

export function timeOutGuest(model: PartitionModel, guest: Guest, { no }: GuestWait): void {
  guest.waits = guest.waits.filter((wait) => wait.no !== no);
  answer(model, guest, { kind: "timedOut", no });
}

/** Is the event one that this wait may take, but for its deadline? */
export function isOpenFor(guest: Guest, wait: GuestWait, event: ModelEvent): boolean {
  const { trigger, taken, fromOffset } = guest;
  if (event.offset <= fromOffset || event.atMs < wait.fromMs || taken.has(event.id)) return false;
  if (event.id === trigger.id && event.name === trigger.name) return false;
  return matches(wait, wait.value, wait.given, event);
}

interface Told {
  readonly event: string;
  readonly path: string;
  readonly value: string;
  readonly if: string | null;
  readonly given: Uint8Array | null;
}

function read(told: Told): { listening: Listening; value: string; given: unknown } {
  const { event, path, value, if: text, given } = told;
  const condition = text === null ? null : readCondition(text);
  return {
    listening: { event, path, of: path, condition },
    value,
    given: given === null ? null : parsedJson(given),
  };
}

/** The run itself tells: of a wait, or of rules where the trigger's copy may not have come, or have said less. */
export function onListen(model: PartitionModel, told: InboxRecordOf<"listen">): void {
  const { base, runId, trigger, startedAtMs, taken, wait, rules } = told;
  const guest: Guest = model.guests.get(base) ?? {
    ...{ base, runId, trigger, fromOffset: -1, heardAt: -1, startedAtMs },
    ...{ taken: new Set(), listens: new Map(), rules: [], waits: [] },
  };
  model.guests.set(base, guest);
  guest.runId = runId;
  // The run is the judge: what it was given and does not name, it has given back or will ask for again.
  guest.taken.clear();
  for (const id of taken) guest.taken.add(id);
  for (const rule of rules) {
    const { listening, value, given } = read(rule);
    const added = { ...listening, value, given, expiresAtMs: rule.expiresAtMs ?? Infinity };
    const isKnown = hasRule(guest, added, model.nowMs);
    guest.rules.push(added);
    if (isKnown) continue;
    const hit = earlierHit(model, guest, added, given);
    if (hit !== undefined) return answerCancelled(model, guest, hit);
  }
  if (wait !== null) openWait(model, guest, wait);
}

function openWait(model: PartitionModel, guest: Guest, told: NonNullable<InboxRecordOf<"listen">["wait"]>): void {
  const { listening, value, given } = read(told);
  const { no, deadlineMs, fromMs } = told;
  const { trigger, taken } = guest;
  const from = { offset: guest.fromOffset, atMs: fromMs };
  const hearing = hearAt(guest.listens, keyOf(listening, value), () => lateHearing(model, fromMs));
  const event = earlierEvent(model, { listening, value, given, trigger, taken, from, deadlineMs, hearing });
  if (event !== undefined) return answerResolved(model, guest, { no }, { event, fromLookback: true });
  // Late as it may be: what is due comes before the next record, not with this one.
  const dueAtMs = Math.max(deadlineMs, model.nowMs + 1);
  guest.waits.push({ no, value, given, deadlineMs, dueAtMs, fromMs, ...listening });
}

export function onUnlisten(model: PartitionModel, { base, runId, no, upTo }: InboxRecordOf<"unlisten">): void {
  const guest = model.guests.get(base);
  if (guest === undefined) return;
  if (no !== null) {
    if (guest.runId === runId) guest.waits = guest.waits.filter((wait) => wait.no !== no);
    return;
  }
  if (guest.heardAt <= upTo) {
    model.guests.delete(base);
    return;
  }
  // The run is over; a later trigger copy, which its partition has not heard of yet, may have started another one.
  if (guest.runId === null || guest.runId !== runId) return;
  guest.runId = null;
  guest.waits = [];
  guest.taken.clear();
  guest.fromOffset = guest.heardAt;
}

/** Another partition heard the trigger. If no such run lives, or it does not listen there, that partition is told so. */
export function onAnnounced(model: PartitionModel, { base, at, event, source }: InboxRecordOf<"announced">): void {
  if (event !== null) {
    const { atMs, isStale, ...fields } = event;
    onEvent(model, {
      kind: "event",
      ...fields,
      origin: { as: "repeat", isStale, atMs, offset: source.offset, source },
    });
  }
  const run = model.runOf(base);
  const heardAt = run?.foreign.get(source.partition);
  if (run === undefined || heardAt === undefined) {
    return model.send(source.partition, { kind: "unlisten", base, runId: null, no: null, upTo: at });
  }
  run.foreign.set(source.partition, Math.max(heardAt, at));
}

/** What became of what a run listens to elsewhere. */
export function onAnswer(model: PartitionModel, { base, runId, answer: said }: InboxRecordOf<"answer">): void {
  const run = model.runOf(base);
  if (run === undefined || (runId !== null && run.runId !== runId)) return;
  switch (said.kind) {
    case "cancelled": {
      const { eventId, eventName } = said;
      return model.end(run, { kind: "runCancelled", eventId, reason: `event ${eventName}` });
    }
    case "failed":
      return model.end(run, { kind: "runFailed", error: engineError(said.error.name) });
    case "resolved":
    case "timedOut":
      break;
  }
  const wait = run.pending.find((p) => p.kind === "foreignWait" && p.no === said.no);
  if (wait?.kind !== "foreignWait") return;
  if (said.kind === "resolved" && run.taken.has(said.eventId)) return tellWait(model, run, wait);
  run.pending = run.pending.filter((p) => p !== wait);
  const { stepId, deadlineMs } = wait;
  if (said.kind === "resolved") {
    const { eventId: id, payload, atMs, fromLookback } = said;
    giveEvent(model, run, { stepId, event: { id, payload, atMs, offset: -1 }, fromLookback });
  } else {
    model.remember(run, { stepId, kind: "wait", data: null, error: null, invocation: 0 });
    model.moveMark(run, stepId, { offset: -1, atMs: deadlineMs });
    model.record(run, { kind: "waitTimedOut", stepId });
  }
  if (!run.inFlight) model.dispatch(run, "resume");
}
