/**
 * An event has come: by its sender, repeated by its home, or offered by a partition that learned of a new route. First it
 * cancels, then it resolves waits, then it starts runs; what starts elsewhere and listens here becomes a guest.
 */
import {
  anchorValueOf,
  BROKER_SKEW_MS,
  functionIdOf,
  ID_BUCKET_MS,
  ID_PATH,
  ID_WINDOW_MS,
  matchValue,
  namesEvent,
  parsedJson,
  partitionOf,
  partitionsOf,
  runBaseOf,
  runIdAt,
  type FunctionConfig,
  type InboxRecordOf,
  type MatchValues,
  type RegisteredApp,
} from "@eddy/schemas";
import { readCondition } from "../script/script.js";
import { answerResolved, answerCancelled, isOpenFor, welcome } from "./guest-model.js";
import { conditionHolds, keyOf, listeningOf, matches, pairOf, valueOf, givenOf, type Listening } from "./listening.js";
import type { PartitionModel } from "./partition-model.js";
import type { ModelEvent, ModelRun, Rule } from "./run.js";
import { anchorOf, valuesOf } from "./registration-model.js";
import { earlierHit, giveEvent, introduction, lateHearing } from "./wait-model.js";

type EventRecord = InboxRecordOf<"event">;

/** What a function listens to for a run, with the trigger's value filled in. */
export interface Declared {
  readonly listening: Listening;
  readonly value: string;
  readonly partition: number;
  /** Of a cancel rule; undefined: a wait. */
  readonly expiresAtMs: number | undefined;
  readonly isSinceTrigger: boolean;
}

/** A run that an event starts, here or elsewhere. */
export interface Candidate {
  readonly base: string;
  readonly functionId: string;
  readonly app: RegisteredApp;
  readonly fn: FunctionConfig;
  readonly partition: number;
  /** Path and value that place it; null: the event's id does. */
  readonly anchor: readonly [path: string, value: string] | null;
}

export function onEvent(model: PartitionModel, record: EventRecord): void {
  const body = parsedJson(record.payload);
  const complete = valuesOf(model, record, body);
  const values = record.origin?.as === "offer" ? record.values : complete;
  const candidates = record.origin?.as === "offer" ? [] : candidatesOf(model, record, body, values);
  const arrival = arrivalOf(model, record, [
    ...keysOf(model, record, values, candidates),
    ...keysOf(model, record, complete, []),
  ]);
  const fresh = freshKeys(model, record, { values, candidates, arrival });
  if (fresh.size === 0) return;
  const { id, name, payload, origin } = record;
  const event: ModelEvent = {
    ...{ offset: arrival.offset, atMs: arrival.atMs, rawMs: model.rawMs, isStale: origin?.isStale === true },
    ...{ id, name, body, payload, values },
    countsAt: (path, value) => fresh.has(pairOf(record, path, value)),
  };
  model.events.push(event);
  if (origin === null && record.home === model.where.partition) repeat(model, event, record);
  cancelRuns(model, event, arrival);
  resolveWaits(model, event);
  for (const candidate of candidates) {
    const { base, partition } = candidate;
    const isHere = partition === model.where.partition;
    if (isHere && fresh.has(startOf(record, candidate)) && model.runOf(base) === undefined) {
      start(model, { candidate, event, record, arrival });
    }
  }
  const former =
    record.origin?.as === "offer" ? [] : candidatesOf(model, record, body, values, formerAt(record.version));
  const elsewhere = [...candidates, ...former].filter(({ partition }) => partition !== model.where.partition);
  for (const candidate of new Map(elsewhere.map((one) => [one.base, one])).values()) {
    const all = elsewhere.filter(({ base }) => base === candidate.base);
    const declared = all.flatMap((one) => declaredBy(model, one, event));
    welcome(model, { candidate, declared, event, record, arrival });
  }
}

/** The functions of an app that a registration has changed since that one, as they were then. */
function formerAt(version: number): (app: RegisteredApp) => readonly FunctionConfig[] {
  return ({ former }) => {
    const later = former.filter(({ until }) => until > version);
    const isFirst = ({ fn, until }: (typeof former)[number]): boolean =>
      !later.some((other) => other.fn.id === fn.id && other.until < until);
    return later.filter(isFirst).map(({ fn }) => fn);
  };
}

/** Where an event stands here: where its first record came, as far as that is remembered by any of its keys. */
export interface Arrival {
  readonly offset: number;
  readonly atMs: number;
  /** What is behind it in the log may be younger than it. */
  readonly isLate: boolean;
  /** Of what it starts; -1: the time alone tells. */
  readonly beganOffset: number;
  /** The latest start of a run that counts as older than it. */
  readonly cancelsUpToMs: number;
}

function arrivalOf(model: PartitionModel, { origin }: EventRecord, keys: readonly string[]): Arrival {
  const { offset, nowMs } = model;
  const now = { offset, atMs: nowMs, isLate: false, beganOffset: offset, cancelsUpToMs: Infinity };
  if (origin === null) return now;
  const places = keys.flatMap((key) => (isKnown(model, key) ? (model.firstAt.get(key) ?? []) : []));
  // What the partition offers itself stands where it stood.
  if (origin.as === "offer" && origin.source.partition === model.where.partition) places.push(origin);
  const first = places.reduce<(typeof places)[number] | null>(
    (least, place) => (least === null || place.offset < least.offset ? place : least),
    null,
  );
  if (first !== null) {
    const { offset: at, atMs } = first;
    return { offset: at, atMs, isLate: true, beganOffset: at, cancelsUpToMs: atMs };
  }
  if (!origin.isStale) return now;
  const { atMs } = origin;
  // The clocks of two brokers differ.
  const cancelsUpToMs = origin.as === "repeat" ? atMs + BROKER_SKEW_MS : atMs;
  return { offset, atMs, isLate: true, beganOffset: -1, cancelsUpToMs };
}

const isKnown = (model: PartitionModel, key: string): boolean => (model.ids.get(key) ?? 0) > model.nowMs;

/** What places the run: a start is known by it. */
const startOf = (record: EventRecord, { anchor }: Candidate): string =>
  anchor === null ? record.id : pairOf(record, ...anchor);

/**
 * What makes the event known again here: its id with a value of this partition, or alone, where it has none here, or events
 * of its name are routed by it, or it places a run.
 */
function keysOf(
  model: PartitionModel,
  record: EventRecord,
  values: MatchValues,
  candidates: readonly Candidate[],
): ReadonlySet<string> {
  const { partition, partitions } = model.where;
  const here = values.filter(([path, value]) => path !== ID_PATH && partitionOf(value, partitions) === partition);
  const keys = new Set(here.map(([path, value]) => pairOf(record, path, value)));
  const isById = model.routes.of(record.name).paths.includes(ID_PATH);
  const isHere = values.some(([path, value]) => path === ID_PATH && partitionOf(value, partitions) === partition);
  if (keys.size === 0 || (isById && isHere)) keys.add(record.id);
  for (const candidate of candidates) if (candidate.partition === partition) keys.add(startOf(record, candidate));
  return keys;
}

interface Coming {
  readonly values: MatchValues;
  readonly candidates: readonly Candidate[];
  readonly arrival: Arrival;
}

/**
 * By what it is new here. What a sender wrote is new as a whole or not at all. Ids are forgotten in whole time buckets, so
 * they are known a little longer than the window.
 */
function freshKeys(
  model: PartitionModel,
  record: EventRecord,
  { values, candidates, arrival }: Coming,
): ReadonlySet<string> {
  const keys = keysOf(model, record, values, candidates);
  const fresh = new Set([...keys].filter((key) => !isKnown(model, key)));
  const { origin } = record;
  const isLate = origin !== null && model.nowMs - origin.atMs > ID_WINDOW_MS[record.idFrom];
  if (isLate || (origin === null && fresh.size < keys.size)) return new Set();
  if (fresh.size === 0) return fresh;
  // Where nobody goes by its id, that is as new as the rest.
  const isNewById = fresh.has(record.id) || !keys.has(record.id);
  for (const [path, value] of values) if (path === ID_PATH && isNewById) fresh.add(pairOf(record, path, value));
  const width = ID_BUCKET_MS[record.idFrom];
  const untilMs = (Math.floor(model.nowMs / width) + 1) * width + ID_WINDOW_MS[record.idFrom];
  for (const key of fresh) {
    model.ids.set(key, untilMs);
    model.firstAt.set(key, { offset: arrival.offset, atMs: arrival.atMs });
  }
  return fresh;
}

/** The home sends the others what they may lack, by the routes known to it. */
function repeat(model: PartitionModel, { values, atMs }: ModelEvent, record: EventRecord): void {
  const { partition, partitions } = model.where;
  const isStale = record.version < model.version;
  for (const to of partitionsOf(values, model.routes.of(record.name), partitions)) {
    if (to === partition) continue;
    const all = values.map(([path, value]): [string, string] => [path, value]);
    model.send(to, { ...record, values: all, origin: { as: "repeat", isStale, atMs, offset: model.offset } });
  }
}

/** By the log where both stand in it, else by the clock. */
function isOlder(began: { readonly offset: number; readonly atMs: number }, event: Arrival): boolean {
  const isInLog = began.offset !== -1 && event.beganOffset !== -1;
  return isInLog ? began.offset <= event.beganOffset : began.atMs <= event.cancelsUpToMs;
}

function cancelRuns(model: PartitionModel, event: ModelEvent, arrival: Arrival): void {
  const hits = (rule: Rule, given: unknown): boolean =>
    event.countsAt(rule.path, rule.value) && event.atMs < rule.expiresAtMs && matches(rule, rule.value, given, event);
  for (const run of [...model.runs.values()]) {
    if (run.trigger.id === event.id && run.trigger.name === event.name) continue;
    if (!isOlder({ offset: run.beganOffset, atMs: run.startedAtMs }, arrival)) continue;
    if (!run.rules.some((rule) => hits(rule, run.trigger.body))) continue;
    model.end(run, { kind: "runCancelled", eventId: event.id, reason: `event ${event.name}` });
  }
  for (const guest of [...model.guests.values()]) {
    if (guest.trigger.id === event.id && guest.trigger.name === event.name) continue;
    if (!isOlder({ offset: guest.fromOffset, atMs: guest.startedAtMs }, arrival)) continue;
    if (guest.rules.some((rule) => hits(rule, rule.given))) answerCancelled(model, guest, event);
  }
}

/** A listener takes an event once. Where several of its waits match, the first path counts, then the oldest wait. */
function resolveWaits(model: PartitionModel, event: ModelEvent): void {
  for (const run of [...model.runs.values()]) {
    if (run.taken.has(event.id) || (run.trigger.id === event.id && run.trigger.name === event.name)) continue;
    const open = run.pending.filter(
      (p) =>
        p.kind === "wait" &&
        p.value !== null &&
        event.countsAt(p.path, p.value) &&
        event.offset > p.from.offset &&
        event.atMs >= p.from.atMs &&
        event.atMs < p.deadlineMs &&
        matches(p, p.value, run.trigger.body, event),
    );
    const [first] = open.sort((a, b) => orderOf(a) - orderOf(b) || a.no - b.no);
    if (first?.kind !== "wait") continue;
    run.pending = run.pending.filter((p) => p !== first);
    giveEvent(model, run, { stepId: first.stepId, event, fromLookback: false });
    if (!run.inFlight) model.dispatch(run, "resume");
  }
  for (const guest of model.guests.values()) {
    const open = guest.waits.filter(
      (wait) => event.countsAt(wait.path, wait.value) && isOpenFor(guest, wait, event) && event.atMs < wait.deadlineMs,
    );
    const [first] = open.sort((a, b) => orderOf(a) - orderOf(b) || a.no - b.no);
    if (first !== undefined) answerResolved(model, guest, first, { event, fromLookback: false });
  }

  function orderOf(wait: object): number {
    const path = "path" in wait ? wait.path : "";
    return event.values.findIndex(([p]) => p === path);
  }
}

function candidatesOf(
  model: PartitionModel,
  record: EventRecord,
  body: unknown,
  values: MatchValues,
  functionsOf = (app: RegisteredApp): readonly FunctionConfig[] => app.functions,
): readonly Candidate[] {
  const found: Candidate[] = [];
  for (const app of model.apps.values()) {
    for (const fn of functionsOf(app)) {
      const isTriggered = fn.triggers.some(
        ({ event, if: text }) =>
          namesEvent(event, record.name) && (text === null || conditionHolds(readCondition(text), body)),
      );
      if (!isTriggered) continue;
      const functionId = functionIdOf(app.app, fn.id);
      const path = anchorOf(app, fn);
      const anchorValue = anchorValueOf(values, path);
      const isById = path === ID_PATH || matchValue(values, path) === null;
      found.push({
        base: runBaseOf({ functionId, eventName: record.name, eventId: record.id, anchorValue }),
        ...{ functionId, app, fn, anchor: isById ? null : ([path, anchorValue] as const) },
        partition: partitionOf(anchorValue, model.where.partitions),
      });
    }
  }
  return found;
}

export function declaredBy(model: PartitionModel, { app, fn }: Candidate, event: ModelEvent): readonly Declared[] {
  const declared: Declared[] = [];
  const add = (listening: Listening, expiresAtMs: number | undefined, isSinceTrigger = false): void => {
    const value = matchValue(event.values, listening.of) ?? valueOf(event.body, listening.of);
    if (value === null) return;
    const partition = partitionOf(value, model.where.partitions);
    declared.push({ listening, value, partition, expiresAtMs, isSinceTrigger });
  };
  for (const rule of fn.cancelOn) {
    const { timeout } = rule;
    const lives = timeout === null ? Infinity : "ms" in timeout ? event.atMs + timeout.ms : timeout.atMs;
    add(listeningOf(rule), lives);
  }
  for (const wait of fn.waits) add(listeningOf(wait), undefined, wait.since === "trigger");
  for (const { functionId, event: name, path, of } of app.learned) {
    if (functionId === fn.id && of !== null) add({ event: name, path, of, condition: null }, undefined);
  }
  return declared;
}

interface Start {
  readonly candidate: Candidate;
  readonly event: ModelEvent;
  readonly record: EventRecord;
  readonly arrival: Arrival;
}

function start(model: PartitionModel, { candidate, event, record, arrival }: Start): void {
  const { base, functionId, app, fn } = candidate;
  const declared = declaredBy(model, candidate, event);
  const isRule = ({ expiresAtMs }: Declared): boolean => expiresAtMs !== undefined;
  const here = ({ partition }: Declared): boolean => partition === model.where.partition;
  const rules = declared.filter((d) => isRule(d) && here(d));
  const { isLate, beganOffset } = arrival;
  const hearing = isLate ? lateHearing(model, event.atMs - BROKER_SKEW_MS) : { sinceOffset: event.offset, past: [] };
  const run: ModelRun = {
    ...{ runId: runIdAt(base, model.offset), base, functionId, app: app.app, fn, trigger: event },
    rules: rules.map((d) => ({ ...d.listening, value: d.value, expiresAtMs: d.expiresAtMs ?? Infinity })),
    foreign: new Map(declared.filter((d) => !here(d)).map(({ partition }) => [partition, -1])),
    listens: new Map(declared.flatMap((d) => (isRule(d) ? [] : [[keyOf(d.listening, d.value), hearing]]))),
    sinceTrigger: new Set(declared.filter((d) => d.isSinceTrigger).map((d) => keyOf(d.listening, d.value))),
    ...{ startedAtMs: event.atMs, beganOffset, mark: { offset: beganOffset, atMs: event.atMs }, laterMarks: new Map() },
    ...{ memo: new Map(), memos: [], endedAt: Infinity, pending: [], pendingNo: 0, withdrawn: new Set() },
    ...{ attempts: new Map(), taken: new Map(), invocation: 0, inFlight: false, memoSent: 0 },
    ...{ cause: null, leaseUntilMs: Infinity, heartbeats: false },
  };
  model.runs.set(run.runId, run);
  const dueAtMs = Math.max(model.nowMs, record.tsMs);
  model.record(run, { kind: "runStarted", eventId: event.id, eventName: event.name, dueAtMs });
  const hit = isLate
    ? run.rules.map((rule) => earlierHit(model, run, rule, event.body)).find((e) => e !== undefined)
    : undefined;
  if (hit !== undefined) {
    return model.end(run, { kind: "runCancelled", eventId: hit.id, reason: `event ${hit.name}` });
  }
  const younger = arrival.isLate ? overtakenBy(model, run, arrival) : undefined;
  if (younger !== undefined) {
    const { id: eventId, name } = younger.trigger;
    return model.end(run, { kind: "runCancelled", eventId, reason: `event ${name}` });
  }
  if (record.version < app.version) tellRules(model, run, declared);
  if (dueAtMs > model.nowMs) run.pending.push({ kind: "start", no: run.pendingNo++, dueAtMs });
  else model.dispatch(run, "start");
}

/** A repeat may come after what would have cancelled the run that it starts: then that has happened (G4). */
function overtakenBy(model: PartitionModel, run: ModelRun, arrival: Arrival): ModelRun | undefined {
  const others = [...model.runs.values()].filter(
    (other) =>
      other !== run &&
      other.functionId === run.functionId &&
      !isOlder({ offset: other.beganOffset, atMs: other.startedAtMs }, arrival),
  );
  return run.rules
    .flatMap((rule) =>
      others.filter(
        ({ trigger, startedAtMs }) =>
          startedAtMs < rule.expiresAtMs && matches(rule, rule.value, run.trigger.body, trigger),
      ),
    )
    .at(0);
}

/** Its sender may not have known that the trigger must go where these rules are. */
function tellRules(model: PartitionModel, run: ModelRun, declared: readonly Declared[]): void {
  for (const to of run.foreign.keys()) {
    const there = declared.filter(({ partition, expiresAtMs }) => partition === to && expiresAtMs !== undefined);
    if (there.length === 0) model.send(to, { ...introduction(run), wait: null, rules: [] });
    for (const { listening, value, expiresAtMs = Infinity } of there) {
      const rule = {
        ...{ event: listening.event, path: listening.path, value, if: listening.condition?.text ?? null },
        given: givenBytes(listening, run),
        expiresAtMs: expiresAtMs === Infinity ? null : expiresAtMs,
      };
      model.send(to, { ...introduction(run), wait: null, rules: [rule] });
    }
  }
}

export function givenBytes(listening: Listening, run: ModelRun): Uint8Array | null {
  if (listening.condition === null) return null;
  return new TextEncoder().encode(JSON.stringify(givenOf(listening, run.trigger.body)));
}
