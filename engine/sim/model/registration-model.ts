/** Functions and routes: inbox 0 numbers registrations, all partitions apply them in that order, and settle. */
import {
  anchorPathOf,
  ID_PATH,
  ID_WINDOW_MS,
  LIMITS,
  matchValue,
  matchValuesOf,
  parsedJson,
  partitionOf,
  PAST_MS_MAX,
  Routes,
  type FunctionConfig,
  type InboxRecordOf,
  type LearnedWait,
  type ListenedPath,
  type MatchValues,
  type RegisteredApp,
} from "@eddy/schemas";
import { listeningOf, pairOf, valueOf } from "./listening.js";
import type { PartitionModel } from "./partition-model.js";
import type { Logged, ModelEvent } from "./run.js";

type News = InboxRecordOf<"registered">["news"];
type EventRecord = InboxRecordOf<"event">;

export function onRegister(model: PartitionModel, { config, settleMs }: InboxRecordOf<"register">): void {
  if (model.where.partition !== 0) return;
  const { app, functions } = config;
  const former = model.apps.get(app);
  const own = (former?.learned ?? []).filter(({ functionId }) => functions.some(({ id }) => id === functionId));
  const others = (former?.anchors ?? []).filter(([id]) => !functions.some((fn) => fn.id === id));
  const anchors = [
    ...functions.map((fn): [string, string] => [fn.id, anchorOf({ anchors: former?.anchors ?? [] }, fn)]),
    ...others,
  ];
  const now = { app, functions, anchors, learned: own, retired: [], former: formerBy(model, former, functions) };
  const news = newsOf(model, now);
  number(model, { ...now, retired: retiredBy(former, now) }, settleMs, news);
}

/** A run's wait becomes its function's. */
export function onLearn(model: PartitionModel, { app, wait, settleMs }: InboxRecordOf<"learn">): void {
  if (model.where.partition !== 0) return;
  const former = model.apps.get(app);
  if (former === undefined) return;
  const { functionId, event, path, of } = wait;
  const isKnown = former.learned.some((known) => same(known, wait));
  const isHeard = isListened(model, wait);
  if (isKnown && isHeard) return;
  const learned = isKnown ? former.learned : [...former.learned, { functionId, event, path, of }];
  number(model, { ...former, learned }, settleMs, isHeard ? [] : [{ event, path }]);
}

function same(a: LearnedWait, b: LearnedWait): boolean {
  return (
    JSON.stringify([a.functionId, a.event, a.path, a.of]) === JSON.stringify([b.functionId, b.event, b.path, b.of])
  );
}

type Unnumbered = Omit<RegisteredApp, "version" | "digest">;

function number(model: PartitionModel, given: Unnumbered, settleMs: number, news: News): void {
  model.registrations += 1;
  const config: RegisteredApp = { ...given, version: model.registrations, digest: "" };
  model.expected.registry.push({ offset: model.offset, body: { kind: "app", config } });
  for (let to = 1; to < model.where.partitions; to++) model.send(to, { kind: "registered", config, news, settleMs });
  applyRegistration(model, config, news, settleMs);
}

type Listens = Pick<RegisteredApp, "functions" | "learned">;

function listened({ functions, learned }: Listens): ListenedPath[] {
  return [
    ...functions.flatMap((fn) => [...fn.cancelOn, ...fn.waits].map((listen) => listeningOf(listen))),
    ...learned,
  ].map(({ event, path }) => ({ event, path }));
}

const nameOf = ({ event, path }: ListenedPath): string => `${event}\n${path}`;

function distinct(paths: readonly ListenedPath[]): ListenedPath[] {
  return [...new Map(paths.map((path) => [nameOf(path), path])).values()];
}

/** Every path that senders went by and would not any more. */
function retiredBy(former: RegisteredApp | undefined, now: Unnumbered): RegisteredApp["retired"] {
  if (former === undefined) return [];
  const kept = new Routes([{ ...now, version: 1, digest: "" }]).all;
  const gone = new Routes([former]).all.filter(
    (path) => !kept.some((other) => nameOf(other) === nameOf(path) && (other.isListened || !path.isListened)),
  );
  return gone.slice(0, LIMITS.retiredWaitsMax);
}

/** How functions were that are other ones now, or gone; the newest first. */
function formerBy(
  { registrations }: PartitionModel,
  former: RegisteredApp | undefined,
  functions: readonly FunctionConfig[],
): RegisteredApp["former"] {
  if (former === undefined) return [];
  const partsOf = ({ triggers, cancelOn, waits }: FunctionConfig): string =>
    JSON.stringify({ triggers, cancelOn, waits });
  const isKept = (fn: FunctionConfig): boolean =>
    functions.some((other) => other.id === fn.id && partsOf(other) === partsOf(fn));
  const gone = former.functions.filter((fn) => !isKept(fn));
  return [...gone.map((fn) => ({ fn, until: registrations + 1 })), ...former.former];
}

/** The path that places a function's runs is that of its first registration. */
export function anchorOf({ anchors }: Pick<RegisteredApp, "anchors">, fn: FunctionConfig): string {
  return new Map(anchors).get(fn.id) ?? anchorPathOf(fn);
}

/** What somebody listens to and nobody did. That triggers are read there brings nothing from before. */
function newsOf(model: PartitionModel, config: Listens): ListenedPath[] {
  return distinct(listened(config)).filter((path) => !isListened(model, path));
}

function isListened(model: PartitionModel, wanted: ListenedPath): boolean {
  return [...model.apps.values()].some((app) =>
    [...listened(app), ...app.retired.filter((path) => path.isListened)].some(
      (path) => nameOf(path) === nameOf(wanted),
    ),
  );
}

export function onRegistered(model: PartitionModel, record: InboxRecordOf<"registered">): void {
  if (record.source.partition !== 0) return;
  applyRegistration(model, record.config, record.news, record.settleMs);
}

function applyRegistration(model: PartitionModel, config: RegisteredApp, news: News, settleMs: number): void {
  if (config.version <= model.version) return;
  model.version = config.version;
  model.settleMs = settleMs;
  model.apps.set(config.app, config);
  model.apps = new Map([...model.apps].sort(([a], [b]) => (a < b ? -1 : 1)));
  model.routes = new Routes([...model.apps.values()]);
  const { partition } = model.where;
  model.expected.registry.push({
    offset: model.offset,
    body: { kind: "applied", partition, version: config.version },
  });
  if (news.length === 0) return;
  offerPast(model, news);
  const early = model.settling.get(config.version);
  model.settling.set(config.version, {
    routes: news,
    missing: early?.missing ?? model.where.partitions,
    sendAtMs: model.rawMs + Math.max(1, settleMs),
  });
}

/** What came before the new routes, and this partition is the home of, goes to where it would have gone by them. */
function offerPast(model: PartitionModel, news: News): void {
  const { partition, partitions } = model.where;
  for (const { record, atMs, offset } of pastOf(model, -Infinity)) {
    if (record?.kind !== "event" || record.origin !== null || record.home !== partition) continue;
    const body = { ...(parsedJson(record.payload) as object), id: record.id };
    const values = news.flatMap(({ event, path }): [string, string][] => {
      const value = event === record.name ? valueOf(body, path) : null;
      return value === null || matchValue(record.values, path) !== null ? [] : [[path, value]];
    });
    for (const to of new Set(values.map(([, value]) => partitionOf(value, partitions)))) {
      const own = values.filter(([, value]) => partitionOf(value, partitions) === to);
      own.sort(([a], [b]) => (a < b ? -1 : 1));
      model.send(to, {
        ...record,
        values: own,
        version: model.version,
        origin: { as: "offer", isStale: true, atMs, offset },
      });
    }
  }
}

/** With those that a sender left out that does not know all registrations; offers have but the new ones. */
export function valuesOf(model: PartitionModel, record: EventRecord, body: unknown): MatchValues {
  const all = new Map(record.values.map(([path, value]) => [path, value]));
  const own = matchValuesOf({ ...(body as object), id: record.id }, model.routes.of(record.name));
  for (const [path, value] of own) if (!all.has(path)) all.set(path, value);
  return [...all].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Records of this inbox that a partition may read again, back to the last one that was appended before that. */
export function pastOf(model: PartitionModel, sinceMs: number): readonly Logged[] {
  const fromMs = Math.max(sinceMs - model.advanceMs, model.rawMs - PAST_MS_MAX);
  const before = model.log.filter(({ offset }) => offset < model.offset).slice(-LIMITS.pastRecordsMax);
  return before.slice(before.findLastIndex(({ rawMs }) => rawMs < fromMs) + 1);
}

/** What comes along with a partition's word counts as a repeat does. */
function broughtBy(record: Logged["record"]): EventRecord | null {
  if (record?.kind === "event") return record;
  if (record?.kind !== "announced" || record.event === null) return null;
  const { atMs, isStale, ...fields } = record.event;
  const { source } = record;
  return { kind: "event", ...fields, origin: { as: "repeat", isStale, atMs, offset: source.offset, source } };
}

/** Events among them, but for repeated sends, as far as their ids are known: those were dropped when they came. */
export function pastEventsOf(model: PartitionModel, sinceMs: number): readonly ModelEvent[] {
  // As of now: what comes later may be the first by another value.
  const remembered = [...model.firstAt].filter(([key]) => (model.ids.get(key) ?? 0) > model.nowMs);
  const firsts = new Map(remembered.map(([key, { offset }]) => [key, offset]));
  const found: { readonly event: ModelEvent; readonly cameMs: number }[] = [];
  for (const { offset, rawMs, atMs, record: logged } of pastOf(model, sinceMs)) {
    const record = broughtBy(logged);
    if (record === null) continue;
    const { id, name, payload, values, origin, idFrom } = record;
    const ownMs = origin?.isStale === true ? origin.atMs : atMs;
    // What this partition offers itself is here already.
    if (origin?.as === "offer" && origin.source.partition === model.where.partition) continue;
    // Ids are known for a while only: what the home sent again after that was dropped as well.
    if (origin !== null && atMs - origin.atMs > ID_WINDOW_MS[idFrom]) continue;
    const body = parsedJson(payload);
    const all = origin?.as === "offer" ? values : valuesOf(model, record, body);
    const before = found.filter(
      ({ event, cameMs }) => event.id === id && event.name === name && atMs - cameMs <= ID_WINDOW_MS[idFrom],
    );
    const countsAt = (path: string, value: string): boolean =>
      wasNewAt({ model, firsts, record, values: all, offset }, path, value) &&
      !before.some(({ event }) => valueOf(event.body, path) === value && event.countsAt(path, value));
    found.push({
      event: {
        offset,
        rawMs,
        atMs: ownMs,
        isStale: origin?.isStale === true,
        id,
        name,
        body,
        payload,
        values,
        countsAt,
      },
      cameMs: atMs,
    });
  }
  return found.map(({ event }) => event);
}

interface PastRecord {
  readonly model: PartitionModel;
  /** Where each event was new, as far as it is known. */
  readonly firsts: ReadonlyMap<string, number>;
  readonly record: EventRecord;
  /** With those that its sender left out. */
  readonly values: MatchValues;
  readonly offset: number;
}

/** What a sender wrote is new as a whole, anything else by each value; what is forgotten is not held against it. */
function wasNewAt({ model, firsts, record, values, offset }: PastRecord, path: string, value: string): boolean {
  const { partition, partitions } = model.where;
  const asked = firsts.get(path === ID_PATH ? record.id : pairOf(record, path, value));
  if (asked !== undefined && asked <= offset) return asked === offset;
  const here = values.filter(([at, own]) => at !== ID_PATH && partitionOf(own, partitions) === partition);
  const keys = [record.id, ...here.map(([at, own]) => pairOf(record, at, own))];
  const known = keys.flatMap((key) => firsts.get(key) ?? []);
  if (!known.some((at) => at < offset)) return true;
  return record.origin !== null && known.includes(offset);
}

/** The routes of a registration are settled here: no sender goes by older ones any more. */
export function saySettled(model: PartitionModel, version: number): void {
  const settling = model.settling.get(version);
  if (settling === undefined) return;
  settling.sendAtMs = null;
  for (let to = 0; to < model.where.partitions; to++) model.send(to, { kind: "settled", version });
}

export function onSettled(model: PartitionModel, { version }: InboxRecordOf<"settled">): void {
  const known = model.settling.get(version) ?? { routes: [], missing: model.where.partitions, sendAtMs: null };
  known.missing -= 1;
  if (known.missing === 0) model.settling.delete(version);
  else model.settling.set(version, known);
}

/** May a wait at this path time out? Not while events of it may still be under way. */
export function isSettled(model: PartitionModel, { event, path }: ListenedPath): boolean {
  if (!isListened(model, { event, path })) return false;
  return ![...model.settling.values()].some(({ routes }) =>
    routes.some((route) => route.event === event && route.path === path),
  );
}

/** Has the function declared it, or have its runs made it known? */
export function declares(app: RegisteredApp, wait: Pick<LearnedWait, "functionId" | "event" | "path">): boolean {
  const fn = app.functions.find(({ id }) => id === wait.functionId);
  if (fn === undefined) return false;
  const known = [...waitsOf(fn), ...app.learned.filter(({ functionId }) => functionId === fn.id)];
  return known.some(({ event, path }) => event === wait.event && path === wait.path);
}

function waitsOf(fn: FunctionConfig): ListenedPath[] {
  return fn.waits.map((wait) => listeningOf(wait));
}
