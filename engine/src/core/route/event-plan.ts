/**
 * What an event means on this partition, as far as its values and the registered functions tell: the keys at which
 * somebody may listen, the runs it may start, the runs of other partitions that it makes listen here. Hashing is the
 * dear part, and a decision asks in several rounds, so the answer is kept beside the record. A memo: it changes no answer.
 */
import {
  anchorPathIn,
  anchorValueOf,
  functionIdOf,
  ID_PATH,
  listenRouteOf,
  matchValue,
  matchValuesOf,
  partitionOf,
  residualOf,
  routeKeyOf,
  runBaseOf,
  type FunctionConfig,
  type InboxRecordOf,
  type MatchValues,
  type RegisteredApp,
  type Timeout,
} from "@eddy/schemas";
import type { Moment } from "../inputs.js";
import { eventOf } from "../match/payload.js";
import type { Row } from "../state/view.js";
import { formerlyTriggeredBy, isTriggered, learnedBy, routeOf, triggeredBy, type Triggered } from "./functions.js";

export type EventRecord = InboxRecordOf<"event">;

/** A cancel rule as declared; its end depends on when it begins. */
export interface DeclaredRule {
  readonly if: string | null;
  /** null: as long as the run. */
  readonly timeout: Timeout | null;
}

/** Where a function listens for a run, with the trigger's value filled in. */
export interface Declared {
  readonly purpose: "wait" | "cancel";
  readonly event: string;
  readonly path: string;
  readonly value: string;
  readonly routeKey: string;
  readonly partition: number;
  /** Of cancel rules: each of them cancels. */
  readonly rules: readonly DeclaredRule[];
  readonly fromTrigger: boolean;
}

/** A run that the event starts, here or elsewhere. */
export interface Candidate {
  readonly base: string;
  readonly functionId: string;
  readonly app: RegisteredApp;
  readonly fn: FunctionConfig;
  readonly anchor: string;
  /** What makes its start known again. */
  readonly idKey: string;
  readonly declared: readonly Declared[];
}

export interface Key {
  readonly path: string;
  readonly routeKey: string;
  /** What makes a second copy the same event at this key. */
  readonly idKey: string;
}

export interface EventPlan {
  /** All values by the routes known here. */
  readonly values: MatchValues;
  /** Of the values on this partition, in their order. */
  readonly keys: readonly Key[];
  /** What makes a second copy the same event. Never empty, each once. */
  readonly idKeys: readonly string[];
  /** By what else than these a record of it may be known here already: by all of its values here. Includes `idKeys`. */
  readonly knownBy: readonly string[];
  /** Runs that live here, in the order of apps and of functions within their app. */
  readonly candidates: readonly Candidate[];
  /** Runs of other partitions that listen here; in the same order. */
  readonly guests: readonly (Candidate & { readonly partition: number })[];
}

interface Memo {
  readonly functions: Row<"functions">;
  readonly partition: number;
  readonly plan: EventPlan;
}
const memos = new WeakMap<EventRecord, Memo>();

export function eventPlanOf(event: EventRecord, functions: Row<"functions">, moment: Moment): EventPlan {
  const memo = memos.get(event);
  if (memo !== undefined && memo.functions === functions && memo.partition === moment.partition) return memo.plan;
  const plan = makePlan(event, functions, moment);
  memos.set(event, { functions, partition: moment.partition, plan });
  return plan;
}

function makePlan(event: EventRecord, functions: Row<"functions">, moment: Moment): EventPlan {
  const { partition, partitions } = moment;
  const isOffer = event.origin?.as === "offer";
  const complete = valuesOf(event, functions);
  // An offer is about the new values alone.
  const values = isOffer ? event.values : complete;
  const keys = keysOf(event, values, functions, moment);
  const now = isOffer ? [] : triggeredBy(functions, event.name);
  const then = isOffer ? [] : formerlyTriggeredBy(functions, event.name, event.version);
  const all = triggeredRuns(event, now, values, moment);
  const candidates = all.filter((candidate) => partitionOf(candidate.anchor, partitions) === partition);
  const heard = then.length === 0 ? all : triggeredRuns(event, [...now, ...then], values, moment);
  const guests = heard.flatMap((candidate) => {
    const at = partitionOf(candidate.anchor, partitions);
    const declared = candidate.declared.filter((listen) => listen.partition === partition);
    return at === partition || declared.length === 0 ? [] : [{ ...candidate, declared, partition: at }];
  });
  const idKeys = idKeysOf(event.id, keys, candidates);
  const others = isOffer ? keysOf(event, complete, functions, moment).map(({ idKey }) => idKey) : [];
  return {
    values,
    keys,
    idKeys,
    knownBy: isOffer ? [...new Set([...idKeys, ...others])] : idKeys,
    candidates,
    guests,
  };
}

/** Those at which somebody may listen on this partition. */
function keysOf(
  event: EventRecord,
  values: MatchValues,
  functions: Row<"functions">,
  { partition, partitions }: Moment,
): readonly Key[] {
  const { paths } = routeOf(functions, event.name);
  return values.flatMap(([path, value]) => {
    if (partitionOf(value, partitions) !== partition || (path === ID_PATH && !paths.includes(path))) return [];
    const routeKey = routeKeyOf(event.name, path, value);
    return [{ path, routeKey, idKey: path === ID_PATH ? event.id : `${routeKey}|${event.id}` }];
  });
}

/** A sender whose view was older than what is registered here may have left out values, and an offer has but new ones. */
function valuesOf(event: EventRecord, functions: Row<"functions">): MatchValues {
  // Whoever left out the id is no sender of ours: what else is missing?
  if (event.version >= functions.version && matchValue(event.values, ID_PATH) !== null) return event.values;
  const body = eventOf(event.payload);
  const route = routeOf(functions, event.name);
  const known = new Set(event.values.map(([path]) => path));
  const more = matchValuesOf({ ...(body as object), id: event.id }, route).filter(([path]) => !known.has(path));
  return more.length === 0 ? event.values : [...event.values, ...more].sort(([a], [b]) => (a < b ? -1 : 1));
}

/**
 * An event is known again by its id with each match value of this partition: the same id with other match values is
 * another event. The id alone counts without match values here, and for those who listen, or whose run is placed, by it.
 */
function idKeysOf(id: string, keys: readonly Key[], candidates: readonly Candidate[]): readonly string[] {
  const matched = keys.map(({ idKey }) => idKey);
  return [...new Set([...(matched.length === 0 ? [id] : matched), ...candidates.map(({ idKey }) => idKey)])];
}

/** @param all one function may be there twice: what both listen to is listened to. */
function triggeredRuns(
  event: EventRecord,
  all: readonly Triggered[],
  values: MatchValues,
  { partitions }: Moment,
): readonly Candidate[] {
  const runs = new Map<string, Candidate>();
  for (const triggered of all) {
    if (!isTriggered(triggered, () => eventOf(event.payload))) continue;
    const { app, fn } = triggered;
    const path = anchorPathIn(app, fn);
    const anchor = anchorValueOf(values, path);
    const functionId = functionIdOf(app.app, fn.id);
    const isById = path === ID_PATH || matchValue(values, path) === null;
    const base = runBaseOf({ functionId, eventName: event.name, eventId: event.id, anchorValue: anchor });
    const known = runs.get(base)?.declared ?? [];
    runs.set(base, {
      base,
      functionId,
      app,
      fn,
      anchor,
      idKey: isById ? event.id : `${routeKeyOf(event.name, path, anchor)}|${event.id}`,
      declared: declaredBy({ app, fn, known }, values, partitions),
    });
  }
  return [...runs.values()];
}

interface Declaring {
  readonly app: RegisteredApp;
  readonly fn: FunctionConfig;
  /** What it declares by another configuration. */
  readonly known: readonly Declared[];
}

function hasEqual(rules: readonly DeclaredRule[], { if: condition, timeout }: DeclaredRule): boolean {
  const text = JSON.stringify(timeout);
  return rules.some((other) => other.if === condition && JSON.stringify(other.timeout) === text);
}

/** Cancel rules and waits of a function, those at one key together. Where the trigger has no value, nothing matches. */
function declaredBy(
  { app, fn, known: before }: Declaring,
  values: MatchValues,
  partitions: number,
): readonly Declared[] {
  const found = new Map(before.map((listen) => [`${listen.purpose}|${listen.routeKey}`, listen]));
  const add = (listen: Pick<Declared, "purpose" | "event" | "path" | "rules" | "fromTrigger">, of: string): void => {
    const value = matchValue(values, of);
    if (value === null) return;
    const routeKey = routeKeyOf(listen.event, listen.path, value);
    const key = `${listen.purpose}|${routeKey}`;
    const known = found.get(key);
    found.set(key, {
      ...listen,
      value,
      routeKey,
      partition: partitionOf(value, partitions),
      rules: [...(known?.rules ?? []), ...listen.rules.filter((rule) => !hasEqual(known?.rules ?? [], rule))],
      fromTrigger: listen.fromTrigger || known?.fromTrigger === true,
    });
  };
  for (const rule of fn.cancelOn) {
    const { path, of } = listenRouteOf(rule);
    const rules = [{ if: residualOf(rule), timeout: rule.timeout }];
    add({ purpose: "cancel", event: rule.event, path, rules, fromTrigger: false }, of);
  }
  for (const wait of fn.waits) {
    const { path, of } = listenRouteOf(wait);
    add({ purpose: "wait", event: wait.event, path, rules: [], fromTrigger: wait.since === "trigger" }, of);
  }
  for (const { event, path, of } of learnedBy(app, fn.id)) {
    if (of !== null) add({ purpose: "wait", event, path, rules: [], fromTrigger: false }, of);
  }
  return [...found.values()];
}
