/**
 * The routing formula: which partitions must see an event. A wire contract, because senders, the home partition and
 * the owners of partitions must agree on it. Pure.
 *
 *   shard = (murmur2(canon(value)) & 0x7fffffff) % 4096, partition = shard % P, P <= 4096
 */
import { equalityOf, hasMoreThanEquality } from "./condition.js";
import type { FunctionConfig, ListenedPath, RegisteredApp, RetiredPath } from "./function-config.js";
import { digestOf, murmur2 } from "./hash.js";
import { canonAt } from "./match-value.js";

export const SHARDS = 4_096;
/** The path that stands for the event's own id: the anchor of functions without a match key. */
export const ID_PATH = "id";

/** [path, canonical value] pairs of one event, sorted by path; paths without a scalar value are absent. */
export type MatchValues = readonly (readonly [path: string, value: string])[];

/**
 * While an event or a report is decided, its values are asked for again and again, and hashing is what costs most there.
 * Memos of short texts, bounded; they change no answer.
 */
const MEMO_ENTRIES_MAX = 4_096;
const MEMO_CHARS_MAX = 512;
const shards = new Map<string, number>();
const routeKeys = new Map<string, string>();

function memoised<V>(memo: Map<string, V>, text: string, make: () => V): V {
  const known = memo.get(text);
  if (known !== undefined) return known;
  const made = make();
  if (memo.size >= MEMO_ENTRIES_MAX) memo.clear();
  if (text.length <= MEMO_CHARS_MAX) memo.set(text, made);
  return made;
}

export function shardOf(canonical: string): number {
  return memoised(shards, canonical, () => (murmur2(canonical) & 0x7fffffff) % SHARDS);
}

export function partitionOfShard(shard: number, partitions: number): number {
  return shard % partitions;
}

export function partitionOf(canonical: string, partitions: number): number {
  return partitionOfShard(shardOf(canonical), partitions);
}

/** Three hexadecimal digits; leads run ids and row keys so that shards can be moved without re-keying. */
export function shardText(shard: number): string {
  return shard.toString(16).padStart(3, "0");
}

/** @returns the shard that a run id carries. */
export function shardOfRun(runId: string): number {
  return Number.parseInt(runId.slice(0, 3), 16);
}

/** What makes a start of a function one start: whoever has the event can say it. The head of the run's id. */
export interface RunBaseOf {
  readonly functionId: string;
  readonly eventName: string;
  readonly eventId: string;
  readonly anchorValue: string;
}
/** Carries the shard, in its first three digits. At most one run of a base lives at a time. */
export function runBaseOf({ functionId, eventName, eventId, anchorValue }: RunBaseOf): string {
  return shardText(shardOf(anchorValue)) + digestOf("run", functionId, eventName, eventId, anchorValue);
}
const RUN_BASE_CHARS = 29;
/** Id of the run that the record at `startedOffset` of its partition's inbox started: unique at any age. */
export function runIdAt(base: string, startedOffset: number): string {
  return base + startedOffset.toString(36);
}
const RUN_ID = /^[0-9a-f]{3}[0-9a-v]{26}[0-9a-z]{1,11}$/;
/** Has the text the form of a run's id? Then `shardOfRun` can be asked. */
export function isRunId(text: string): boolean {
  return RUN_ID.test(text);
}
const RUN_BASE = /^[0-9a-f]{3}[0-9a-v]{26}$/;
/** Has the text the form of a base? Then `shardOfRun` can be asked. */
export function isRunBase(text: string): boolean {
  return RUN_BASE.test(text);
}
/** Any text is a run id to those who ask; the base of one that is none belongs to no run. */
export function baseOfRun(runId: string): string {
  return runId.slice(0, RUN_BASE_CHARS);
}

/** Name of a function within the namespace. */
export function functionIdOf(app: string, id: string): string {
  return `${app}/${id}`;
}

/** Identity of (event name, path, value): the key under which waits and cancel rules are found. Carries the shard. */
export function routeKeyOf(eventName: string, path: string, value: string): string {
  const text = `${eventName.length}:${eventName}${path.length}:${path}${value}`;
  return memoised(routeKeys, text, () => shardText(shardOf(value)) + digestOf("route", eventName, path, value));
}

/** Where a wait or cancel rule meets its events. Both paths as `canonAt` reads them. */
export interface ListenRoute {
  /** In the incoming event. */
  readonly path: string;
  /** In the triggering event. */
  readonly of: string;
}

/** What a wait or cancel rule listens to: `match`, or `if`, or neither. */
export interface Listen {
  readonly event: string;
  readonly match: string | null;
  readonly if: string | null;
}

/** All events of the name meet at this constant: one lane. */
function laneOf(eventName: string): ListenRoute {
  const lane = `=l:${eventName}`;
  return { path: lane, of: lane };
}

export function listenRouteOf(listen: Listen): ListenRoute {
  if (listen.match !== null) return { path: listen.match, of: listen.match };
  const equality = listen.if === null ? null : equalityOf(listen.if);
  return equality ?? laneOf(listen.event);
}

/** What is still to be asked of an event that has the right value at the route; null: nothing. */
export function residualOf({ if: condition }: Listen): string | null {
  return condition !== null && hasMoreThanEquality(condition) ? condition : null;
}

/**
 * Where a function's runs live: the trigger-side path of its first cancel rule that has one, else of its first such
 * wait, else the event's id.
 */
export function anchorPathOf(fn: FunctionConfig): string {
  for (const listen of [...fn.cancelOn, ...fn.waits]) {
    const { of } = listenRouteOf(listen);
    if (!of.startsWith("=")) return of;
  }
  return ID_PATH;
}

/** As registered: the path does not change with the function's later configurations. */
export function anchorPathIn({ anchors }: Pick<RegisteredApp, "anchors">, fn: FunctionConfig): string {
  return anchors.find(([id]) => id === fn.id)?.[1] ?? anchorPathOf(fn);
}

/** What a sender must know of one event name. Lists are sorted, so that every sender makes the same ones. */
export interface EventRoute {
  /** Every path whose value decides who sees the event. */
  readonly paths: readonly string[];
  /** The anchor paths of the functions that the event triggers; a part of `paths`. */
  readonly anchors: readonly string[];
}
export const NO_ROUTE: EventRoute = { paths: [], anchors: [] };

/** Does a trigger's event, a name or a beginning with a `*`, stand for this name? */
export function namesEvent(trigger: string, eventName: string): boolean {
  return trigger.endsWith("*") ? eventName.startsWith(trigger.slice(0, -1)) : trigger === eventName;
}

/** Of one event name, or of all that a wildcard stands for. */
interface Part {
  readonly paths: Set<string>;
  /** Those of them at which somebody listens. */
  readonly listened: Set<string>;
  readonly anchors: Set<string>;
}

/** Routes of all events that any function triggers on, waits for, or is cancelled by. */
export class Routes {
  /** By event name, or beginning with a `*`. */
  readonly #parts = new Map<string, Part>();
  readonly #wildcards: readonly string[];
  /** Of exact names: whoever sends makes the others up. */
  readonly #known = new Map<string, EventRoute>();

  constructor(apps: readonly RegisteredApp[]) {
    for (const app of apps) {
      const { functions, learned, retired } = app;
      for (const fn of functions) this.#addFunction(fn, app);
      for (const { event, path } of [...learned, ...retired.filter(({ isListened }) => isListened)]) {
        this.#addListened(event, path);
      }
      for (const { event, path } of retired) this.#part(event).paths.add(path);
    }
    this.#wildcards = [...this.#parts.keys()].filter((name) => name.endsWith("*"));
  }

  /** The route of a name nobody listens to is empty. */
  of(eventName: string): EventRoute {
    const known = this.#known.get(eventName);
    if (known !== undefined) return known;
    const names = this.#wildcards.filter((wildcard) => namesEvent(wildcard, eventName));
    const parts = [...new Set([eventName, ...names])].flatMap((name) => this.#parts.get(name) ?? []);
    const route = {
      paths: [...new Set(parts.flatMap(({ paths }) => [...paths]))].sort(),
      anchors: [...new Set(parts.flatMap(({ anchors }) => [...anchors]))].sort(),
    };
    if (this.#parts.has(eventName)) this.#known.set(eventName, route);
    return route;
  }

  /** Every (event name, path): what is in use first, then what former registrations have left, the newest first. */
  get all(): readonly RetiredPath[] {
    return [...this.#parts].flatMap(([event, { paths, listened }]) =>
      [...paths].map((path) => ({ event, path, isListened: listened.has(path) })),
    );
  }

  /**
   * Does anybody listen to events of this name there, or did? A path may be routed without that: triggers are read at it;
   * then what came before it was routed has not been passed on.
   */
  isListened({ event, path }: ListenedPath): boolean {
    return this.#parts.get(event)?.listened.has(path) === true;
  }

  /** At most so many bytes (three a character) have the names of the paths of one event name. */
  get widestBytes(): number {
    const bytesOf = (name: string): number =>
      [...(this.#parts.get(name)?.paths ?? [])].reduce((sum, path) => sum + 3 * path.length, 0);
    const exact = [...this.#parts.keys()].filter((name) => !name.endsWith("*")).map(bytesOf);
    return (
      exact.reduce((max, bytes) => Math.max(max, bytes), 0) +
      this.#wildcards.reduce((sum, name) => sum + bytesOf(name), 0)
    );
  }

  #addFunction(fn: FunctionConfig, { anchors, learned }: Pick<RegisteredApp, "anchors" | "learned">): void {
    const listens = [...fn.cancelOn, ...fn.waits].map((listen) => ({ event: listen.event, ...listenRouteOf(listen) }));
    const anchor = anchorPathIn({ anchors }, fn);
    const own = learned.flatMap(({ functionId, of }) => (functionId === fn.id && of !== null ? [of] : []));
    for (const { event } of fn.triggers) {
      const part = this.#part(event);
      part.anchors.add(anchor);
      for (const of of [anchor, ...listens.map((listen) => listen.of), ...own]) part.paths.add(of);
    }
    for (const { event, path } of listens) this.#addListened(event, path);
  }

  #addListened(event: string, path: string): void {
    const { paths, listened } = this.#part(event);
    paths.add(path);
    listened.add(path);
  }

  #part(event: string): Part {
    const known = this.#parts.get(event);
    if (known !== undefined) return known;
    const part = { paths: new Set<string>(), listened: new Set<string>(), anchors: new Set<string>() };
    this.#parts.set(event, part);
    return part;
  }
}

/** The event's canonical values at the route's paths, sorted by path; the id is always among them. */
export function matchValuesOf(event: { readonly id: string }, route: EventRoute): MatchValues {
  const values: [string, string][] = [];
  for (const path of [...new Set([...route.paths, ID_PATH])].sort()) {
    const value = canonAt(event, path);
    if (value !== null) values.push([path, value]);
  }
  return values;
}

/** @returns the canonical value at `path`, or null where the event has none. */
export function matchValue(values: MatchValues, path: string): string | null {
  for (const [p, value] of values) if (p === path) return value;
  return null;
}

/** The value that places a run: the anchor's, or the event's id where the event has no value there. */
export function anchorValueOf(values: MatchValues, anchorPath: string): string {
  const value = matchValue(values, anchorPath) ?? matchValue(values, ID_PATH);
  if (value === null) throw new Error("match values of an event always hold its id");
  return value;
}

/** The partitions that must hold a copy of the event, ascending; the first is the home copy. Never empty. */
export function partitionsOf(values: MatchValues, route: EventRoute, partitions: number): readonly number[] {
  const found = new Set<number>();
  for (const [path, value] of values) if (route.paths.includes(path)) found.add(partitionOf(value, partitions));
  for (const anchor of route.anchors) found.add(partitionOf(anchorValueOf(values, anchor), partitions));
  if (found.size === 0) found.add(partitionOf(anchorValueOf(values, ID_PATH), partitions));
  return [...found].sort((a, b) => a - b);
}

/** Identity of an app's configuration, independent of the version it gets. */
export function configDigest(app: string, functions: readonly FunctionConfig[]): string {
  return digestOf("config", app, JSON.stringify(functions));
}
