/** Functions and routes: inbox 0 numbers registrations, all partitions apply them in that order, and settle. */
import {
  LIMITS,
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
import { listeningOf, valueOf } from "./listening.js";
import type { PartitionModel } from "./partition-model.js";
import type { ModelEvent } from "./run.js";

type News = InboxRecordOf<"registered">["news"];

export function onRegister(model: PartitionModel, { config, settleMs }: InboxRecordOf<"register">): void {
  if (model.where.partition !== 0) return;
  const { app, functions } = config;
  const former = model.apps.get(app);
  const own = (former?.learned ?? []).filter(({ functionId }) => functions.some(({ id }) => id === functionId));
  number(model, { app, functions, learned: own }, settleMs, model.nowMs);
}

/** A run's wait becomes its function's. */
export function onLearn(model: PartitionModel, { app, wait, sinceMs, settleMs }: InboxRecordOf<"learn">): void {
  if (model.where.partition !== 0) return;
  const former = model.apps.get(app);
  if (former === undefined || declares(former, wait)) return;
  const learned = [...former.learned, wait].slice(-LIMITS.learnedWaitsPerAppMax);
  number(model, { app, functions: former.functions, learned }, settleMs, sinceMs);
}

type Unnumbered = Pick<RegisteredApp, "app" | "functions" | "learned">;

/** @param sinceMs events from then on may have been sent without the new routes, though somebody will wait for them. */
function number(model: PartitionModel, given: Unnumbered, settleMs: number, sinceMs: number): void {
  model.registrations += 1;
  const former = model.apps.get(given.app);
  const retired = retiredBy(former, given);
  const config: RegisteredApp = { ...given, version: model.registrations, digest: "", retired };
  const news = newsOf(model, config).map((route) => ({ ...route, sinceMs }));
  model.expected.registry.push({ offset: model.offset, body: { kind: "app", config } });
  for (let to = 1; to < model.where.partitions; to++) model.send(to, { kind: "registered", config, news, settleMs });
  applyRegistration(model, config, news, settleMs);
}

function listened({ functions, learned }: Pick<RegisteredApp, "functions" | "learned">): ListenedPath[] {
  return [
    ...functions.flatMap((fn) => [...fn.cancelOn, ...fn.waits].map((listen) => listeningOf(listen))),
    ...learned,
  ].map(({ event, path }) => ({ event, path }));
}

const nameOf = ({ event, path }: ListenedPath): string => `${event}\n${path}`;

function distinct(paths: readonly ListenedPath[]): ListenedPath[] {
  return [...new Map(paths.map((path) => [nameOf(path), path])).values()];
}

/** What runs of former registrations may still listen to. */
function retiredBy(former: RegisteredApp | undefined, now: Unnumbered): ListenedPath[] {
  if (former === undefined) return [];
  const kept = new Set(listened(now).map(nameOf));
  const gone = distinct([...listened(former), ...former.retired]).filter((path) => !kept.has(nameOf(path)));
  return gone.slice(0, LIMITS.retiredWaitsMax);
}

/** What somebody listens to and nobody was routed by. */
function newsOf(model: PartitionModel, config: RegisteredApp): ListenedPath[] {
  return distinct(listened(config)).filter(({ event, path }) => !model.routes.of(event).paths.includes(path));
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
    sendAtMs: model.rawMs + settleMs,
  });
}

/** What came before the new routes, and this partition is the home of, goes to where it would have gone by them. */
function offerPast(model: PartitionModel, news: News): void {
  const seen = new Set<string>();
  for (const event of pastOf(model, Math.min(...news.map(({ sinceMs }) => sinceMs)))) {
    if (event.offeredFrom === null || seen.has(`${event.name}\n${event.id}`)) continue;
    seen.add(`${event.name}\n${event.id}`);
    const values = news.flatMap(({ event: name, path, sinceMs }): [string, string][] => {
      if (name !== event.name || event.atMs < sinceMs) return [];
      const value = valueOf(event.body, path);
      return value === null ? [] : [[path, value]];
    });
    sendOffers(model, event, values);
  }
}

function sendOffers(model: PartitionModel, event: ModelEvent, values: MatchValues): void {
  const { partitions, partition } = model.where;
  if (event.offeredFrom === null) return;
  const { origin: _, ...record } = event.offeredFrom;
  for (const to of new Set(values.map(([, value]) => partitionOf(value, partitions)))) {
    const own = values.filter(([, value]) => partitionOf(value, partitions) === to);
    const sorted = own.map(([path, value]): [string, string] => [path, value]).sort(([a], [b]) => (a < b ? -1 : 1));
    const origin = { as: "offer" as const, atMs: event.atMs };
    model.send(to, { ...record, values: sorted, version: model.version, home: partition, origin });
  }
}

/** Events of this inbox that a partition may read again. */
export function pastOf(model: PartitionModel, sinceMs: number): readonly ModelEvent[] {
  const firstOffset = model.times.at(-LIMITS.pastRecordsMax - 1)?.offset ?? -1;
  return model.events.filter(
    ({ offset, rawMs, atMs }) =>
      offset > firstOffset && offset < model.offset && rawMs >= model.rawMs - PAST_MS_MAX && atMs >= sinceMs,
  );
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
  if (!model.routes.of(event).paths.includes(path)) return false;
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
