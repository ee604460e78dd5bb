/** Which functions an event name starts; and the routes, as this partition knows them. */
import { routesOf, type EventRoute, type FunctionConfig } from "@eddy/schemas";
import type { Row } from "../state/view.js";

export interface Triggered {
  readonly app: string;
  readonly fn: FunctionConfig;
}

interface Table {
  readonly byEvent: ReadonlyMap<string, readonly Triggered[]>;
  readonly routes: ReadonlyMap<string, EventRoute>;
}

/** Rows are immutable, so a table is computed once per row. A memo: it changes no answer. */
const tables = new WeakMap<Row<"functions">, Table>();

function tableOf(functions: Row<"functions">): Table {
  const known = tables.get(functions);
  if (known !== undefined) return known;
  const byEvent = new Map<string, Triggered[]>();
  for (const { app, functions: fns } of functions.apps) {
    for (const fn of fns) {
      for (const name of new Set(fn.triggers.map((t) => t.event))) {
        const list = byEvent.get(name);
        if (list === undefined) byEvent.set(name, [{ app, fn }]);
        else list.push({ app, fn });
      }
    }
  }
  const table = { byEvent, routes: routesOf(functions.apps) };
  tables.set(functions, table);
  return table;
}

/** In the order of apps and of functions within their app. */
export function triggeredBy(functions: Row<"functions">, eventName: string): readonly Triggered[] {
  return tableOf(functions).byEvent.get(eventName) ?? [];
}

/** Do senders compute the value at `path` of events named `eventName`? */
export function isRouted(functions: Row<"functions">, eventName: string, path: string): boolean {
  return tableOf(functions).routes.get(eventName)?.paths.includes(path) ?? false;
}
