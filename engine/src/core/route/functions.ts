/** What the registered functions say: who is triggered, what is routed, what a function has declared. */
import {
  functionIdOf,
  holds,
  listenRouteOf,
  namesEvent,
  Routes,
  type DeclaredWait,
  type EventRoute,
  type FunctionConfig,
  type LearnedWait,
  type RegisteredApp,
} from "@eddy/schemas";
import type { Row } from "../state/view.js";

type Functions = Row<"functions">;

export interface Triggered {
  readonly app: RegisteredApp;
  readonly fn: FunctionConfig;
  /** Of its triggers that stand for the event: their conditions; null where one has none. */
  readonly conditions: readonly string[] | null;
}

interface Table {
  readonly routes: Routes;
  readonly exact: ReadonlyMap<string, readonly Triggered[]>;
  /** Has any function a trigger with a `*`? Then names are looked up one by one. */
  readonly hasWildcards: boolean;
}

/** Rows are immutable, so a table is computed once per row. A memo: it changes no answer. */
const tables = new WeakMap<Functions, Table>();

function tableOf(functions: Functions): Table {
  const known = tables.get(functions);
  if (known !== undefined) return known;
  const triggers = functions.apps.flatMap(({ functions: fns }) => fns.flatMap((fn) => fn.triggers));
  const names = new Set(triggers.map(({ event }) => event));
  const table = {
    routes: new Routes(functions.apps),
    exact: new Map([...names].map((name) => [name, lookUp(functions, name)])),
    hasWildcards: triggers.some(({ event }) => event.endsWith("*")),
  };
  tables.set(functions, table);
  return table;
}

function lookUp(functions: Functions, eventName: string): readonly Triggered[] {
  return functions.apps.flatMap((app) => app.functions.flatMap((fn) => triggeredOf(app, fn, eventName)));
}

function triggeredOf(app: RegisteredApp, fn: FunctionConfig, eventName: string): readonly Triggered[] {
  const hits = fn.triggers.filter(({ event }) => namesEvent(event, eventName));
  if (hits.length === 0) return [];
  const conditions = hits.flatMap((hit) => hit.if ?? []);
  return [{ app, fn, conditions: conditions.length < hits.length ? null : conditions }];
}

/** In the order of apps and of functions within their app; conditions are not asked yet. */
export function triggeredBy(functions: Functions, eventName: string): readonly Triggered[] {
  const { exact, hasWildcards } = tableOf(functions);
  return exact.get(eventName) ?? (hasWildcards ? lookUp(functions, eventName) : []);
}

/**
 * Functions as they were in force when the event was sent, where they are other ones here: its run may begin on a
 * partition that has them still.
 */
export function formerlyTriggeredBy(functions: Functions, eventName: string, version: number): readonly Triggered[] {
  if (version >= functions.version) return [];
  return functions.apps.flatMap((app) => {
    // The newest come first: of each function the last one that was in force up to a later registration than that.
    const then = new Map(app.former.filter(({ until }) => until > version).map(({ fn }) => [fn.id, fn]));
    return [...then.values()].flatMap((fn) => triggeredOf(app, fn, eventName));
  });
}

export function isTriggered({ conditions }: Triggered, event: () => unknown): boolean {
  return conditions === null || conditions.some((condition) => holds(condition, event()));
}

export function routeOf(functions: Functions, eventName: string): EventRoute {
  return tableOf(functions).routes.of(eventName);
}

/** Do all events of this name, from before too, reach the partitions of their values at this path? */
export function isListened(functions: Functions, { event, path }: { event: string; path: string }): boolean {
  return tableOf(functions).routes.isListened({ event, path });
}

/** Waits that the function's runs made without having declared them. */
export function learnedBy(app: RegisteredApp, functionId: string): readonly LearnedWait[] {
  return app.learned.filter((wait) => wait.functionId === functionId);
}

export interface WaitOf {
  readonly app: string;
  readonly functionId: string;
  readonly event: string;
  readonly path: string;
}

/**
 * Has the run's own function declared this wait, as it is registered now? That another function declares it would not
 * do: nothing is kept for the runs of this one then.
 */
export function declaresWait(functions: Functions, wait: WaitOf): boolean {
  const { app, fn } = functionOf(functions, wait);
  if (app === undefined || fn === undefined) return false;
  const { event, path } = wait;
  return (
    declaredWaits(fn, wait).length > 0 ||
    learnedBy(app, fn.id).some((learned) => learned.event === event && learned.path === path)
  );
}

/** Has it declared that events count from the trigger on? */
export function declaresSinceTrigger(functions: Functions, wait: WaitOf): boolean {
  const { fn } = functionOf(functions, wait);
  return fn !== undefined && declaredWaits(fn, wait).some(({ since }) => since === "trigger");
}

function functionOf(functions: Functions, { app: name, functionId }: WaitOf) {
  const app = functions.apps.find((known) => known.app === name);
  return { app, fn: app?.functions.find(({ id }) => functionIdOf(name, id) === functionId) };
}

function declaredWaits(fn: FunctionConfig, { event, path }: WaitOf): readonly DeclaredWait[] {
  return fn.waits.filter((wait) => wait.event === event && listenRouteOf(wait).path === path);
}

/** What the functions of an app listen to: (event name, path in it), each once. */
export function listenedBy(app: Pick<RegisteredApp, "functions" | "learned">): { event: string; path: string }[] {
  const all = [
    ...app.functions.flatMap((fn) =>
      [...fn.cancelOn, ...fn.waits].map((listen) => ({ event: listen.event, path: listenRouteOf(listen).path })),
    ),
    ...app.learned.map(({ event, path }) => ({ event, path })),
  ];
  return [...new Map(all.map((listened) => [`${listened.event}\n${listened.path}`, listened])).values()];
}
