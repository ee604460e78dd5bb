/** Queries of look-ups: what is in a URL, as what the look-ups take, and back. */
import { cancelQuery, LIMITS, runsQuery } from "@eddy/schemas";
import { RequestError } from "@eddy/clients";
import type { z } from "zod";
import { cursorOf, placeOfCursor, type PageQuery } from "../history/run-pages.js";
import { fieldPath } from "./read-events.js";

/** @throws RequestError INVALID_QUERY, which names the parameter */
export function readRunsQuery(query: unknown): PageQuery {
  const given = parse(runsQuery, query);
  const after = given.cursor === undefined ? null : placeOfCursor(given.cursor);
  if (given.cursor !== undefined && after === null) {
    throw new RequestError("INVALID_QUERY", "cursor: expected the next_cursor of the page before", "cursor");
  }
  const filter = {
    functionId: given.function ?? null,
    status: given.status ?? null,
    eventName: given.event ?? null,
    fromMs: msOf(given.from),
    untilMs: msOf(given.until),
  };
  return { filter, after, limit: given.limit ?? LIMITS.runsPerPage };
}

/** The query's text, for another engine. */
export function searchOf({ filter, after, limit }: PageQuery): string {
  const { functionId, status, eventName, fromMs, untilMs } = filter;
  const given = {
    function: functionId,
    status,
    event: eventName,
    from: fromMs,
    until: untilMs,
    limit,
    cursor: after === null ? null : cursorOf(after),
  };
  const pairs = Object.entries(given).flatMap(([name, value]): [string, string][] =>
    value === null ? [] : [[name, String(value)]],
  );
  return new URLSearchParams(pairs).toString();
}

/** @returns why a run is to be cancelled. @throws RequestError INVALID_QUERY */
export function readCancelReason(query: unknown): string {
  return parse(cancelQuery, query).reason ?? "cancelled through the API";
}

/** @throws RequestError INVALID_QUERY where there is a query at all */
export function expectNoQuery(query: unknown): void {
  const [name] = Object.keys(query as object);
  if (name !== undefined) throw new RequestError("INVALID_QUERY", `this path takes no parameters, got ${name}`, name);
}

function parse<T>(shape: z.ZodType<T>, query: unknown): T {
  const parsed = shape.safeParse(query);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const unknown = issue?.code === "unrecognized_keys" ? issue.keys[0] : undefined;
  const name = unknown ?? fieldPath(issue?.path ?? []);
  throw new RequestError("INVALID_QUERY", `${name}: ${issue?.message ?? "cannot be read"}`, name === "" ? null : name);
}

/** All times that are numbers are below 10^16; later than any run is as good as the end of time. */
function msOf(time: string | undefined): number | null {
  if (time === undefined) return null;
  const ms = /^\d+$/.test(time) ? Number(time) : Date.parse(time);
  return Math.min(Math.max(ms, 0), TIME_MS_MAX);
}
const TIME_MS_MAX = 8_640_000_000_000_000;
