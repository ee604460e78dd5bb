/**
 * The routing formula: which partitions must see an event. A wire contract, because senders, the home partition and
 * the owners of partitions must agree on it. Pure.
 *
 *   shard = (murmur2(canon(value)) & 0x7fffffff) % 4096, partition = shard % P, P <= 4096
 */
import { digestOf, murmur2 } from "./hash.js";
import type { FunctionConfig, RegisteredApp } from "./function-config.js";

export const SHARDS = 4_096;
/** The path that stands for the event's own id: the anchor of functions without a match key. */
export const ID_PATH = "id";

/** [path, canonical value] pairs of one event, sorted by path; paths without a scalar value are absent. */
export type MatchValues = readonly (readonly [path: string, value: string])[];

/** Lone surrogates have no UTF-8: each becomes U+FFFD, here as in every encoder, so that all see one value. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

/**
 * Canonical text of a match value. `1` and `1.0` are equal, `1` and `"1"` are not.
 * @returns null for a missing, null or non-scalar value, which matches nothing.
 */
export function canon(value: unknown): string | null {
  switch (typeof value) {
    case "string":
      return `s:${wellFormed(value)}`;
    case "number":
      return Number.isFinite(value) ? `n:${value === 0 ? 0 : value}` : null;
    case "boolean":
      return value ? "b:1" : "b:0";
    default:
      return null;
  }
}

export function shardOf(canonical: string): number {
  return (murmur2(canonical) & 0x7fffffff) % SHARDS;
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

/** Id of the run that event `eventId` starts of `functionId`; the same event gives the same run id. */
export function runIdOf(functionId: string, eventId: string, anchorValue: string): string {
  return shardText(shardOf(anchorValue)) + digestOf("run", functionId, eventId, anchorValue);
}

/** Name of a function within the namespace. */
export function functionIdOf(app: string, id: string): string {
  return `${app}/${id}`;
}

/** Identity of (event name, path, value): the key under which waits and cancel rules are found. Carries the shard. */
export function routeKeyOf(eventName: string, path: string, value: string): string {
  return shardText(shardOf(value)) + digestOf("route", eventName, path, value);
}

/** Reads a dotted path. Only own properties count. @returns undefined where the path does not lead. */
export function valueAt(root: unknown, path: string): unknown {
  let at: unknown = root;
  for (const part of path.split(".")) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, part)) return undefined;
    at = (at as Record<string, unknown>)[part];
  }
  return at;
}

/**
 * Where a function's runs live: the match path of its first cancel rule, else of its first declared wait, else the
 * event's id.
 */
export function anchorPathOf(fn: FunctionConfig): string {
  return fn.cancelOn[0]?.match ?? fn.waits[0]?.match ?? ID_PATH;
}

/** What a sender must know of one event name. Lists are sorted, so that every sender makes the same ones. */
export interface EventRoute {
  /** Every path whose value decides who sees the event. */
  readonly paths: readonly string[];
  /** The anchor paths of the functions that the event triggers; a part of `paths`. */
  readonly anchors: readonly string[];
}
export const NO_ROUTE: EventRoute = { paths: [], anchors: [] };

/** Routes of all event names that any function triggers on, waits for, or is cancelled by. */
export function routesOf(apps: readonly RegisteredApp[]): ReadonlyMap<string, EventRoute> {
  const paths = new Map<string, Set<string>>();
  const anchors = new Map<string, Set<string>>();
  const add = (to: Map<string, Set<string>>, event: string, path: string): void => {
    const set = to.get(event);
    if (set === undefined) to.set(event, new Set([path]));
    else set.add(path);
  };
  for (const { functions, retired } of apps) {
    for (const fn of functions) {
      const listens = [...fn.cancelOn, ...fn.waits];
      for (const { event } of fn.triggers) {
        add(anchors, event, anchorPathOf(fn));
        add(paths, event, anchorPathOf(fn));
        for (const { match } of listens) add(paths, event, match);
      }
      for (const { event, match } of listens) add(paths, event, match);
    }
    for (const { event, match } of retired ?? []) add(paths, event, match);
  }
  const routes = new Map<string, EventRoute>();
  for (const name of [...paths.keys()].sort()) {
    routes.set(name, { paths: [...(paths.get(name) ?? [])].sort(), anchors: [...(anchors.get(name) ?? [])].sort() });
  }
  return routes;
}

/** The event's canonical values at the route's paths, sorted by path; the id is always among them. */
export function matchValuesOf(event: { readonly id: string }, route: EventRoute): MatchValues {
  const values: [string, string][] = [];
  for (const path of [...new Set([...route.paths, ID_PATH])].sort()) {
    const value = canon(valueAt(event, path));
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
