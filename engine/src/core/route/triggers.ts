/** Which functions an event name starts, and which waits a function has declared. */
import { functionIdOf, type FunctionConfig } from "@eddy/schemas";
import type { Row } from "../state/view.js";

export interface Triggered {
  readonly app: string;
  readonly fn: FunctionConfig;
}

type Table = ReadonlyMap<string, readonly Triggered[]>;

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
  tables.set(functions, byEvent);
  return byEvent;
}

/** In the order of apps and of functions within their app. */
export function triggeredBy(functions: Row<"functions">, eventName: string): readonly Triggered[] {
  return tableOf(functions).get(eventName) ?? [];
}

/**
 * Has the run's own function declared this wait, as it is registered now? That another function declares it would not
 * do: nothing was kept for this run then, so a reply may have passed unseen.
 */
export function declaresWait(
  functions: Row<"functions">,
  wait: { readonly app: string; readonly functionId: string; readonly event: string; readonly match: string },
): boolean {
  const registered = functions.apps.find(({ app }) => app === wait.app);
  const fn = registered?.functions.find(({ id }) => functionIdOf(wait.app, id) === wait.functionId);
  return fn?.waits.some(({ event, match }) => event === wait.event && match === wait.match) ?? false;
}
