/** From the body and headers of `POST /e/:key` to events that may be sent, or to the first thing that is wrong. */
import { eventInput, LIMITS, type EventInput } from "@eddy/schemas";
import type { z } from "zod";
import { RequestError, type GeneratedIds } from "@eddy/clients";

/** Says which ids the sender's SDK made by itself: `all`, or a JSON array of indexes into the events. */
export const GENERATED_IDS_HEADER = "x-eddy-generated-ids";

/** @throws RequestError naming the first field at fault. */
export function readEvents(body: unknown): readonly EventInput[] {
  if (body === null || typeof body !== "object") {
    throw new RequestError("INVALID_EVENT", "expected an event or an array of events");
  }
  if (!Array.isArray(body)) return [readEvent(body, "")];
  if (body.length === 0) throw new RequestError("EMPTY_REQUEST", "expected at least one event, got an empty array");
  if (body.length > LIMITS.eventsPerRequestMax) {
    throw new RequestError(
      "TOO_MANY_EVENTS",
      `expected at most ${LIMITS.eventsPerRequestMax} events in one request, got ${body.length}`,
    );
  }
  return body.map((event: unknown, i) => readEvent(event, `[${i}]`));
}

function readEvent(given: unknown, at: string): EventInput {
  const parsed = eventInput.safeParse(given);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = at + fieldPath(issue?.path ?? [], at !== "");
  throw new RequestError("INVALID_EVENT", messageOf(issue, given), path === "" ? null : path);
}

function messageOf(issue: z.core.$ZodIssue | undefined, given: unknown): string {
  if (issue === undefined) return "not an event";
  const field = issue.path.join(".");
  const isMissing = issue.code === "invalid_type" && (given as Record<string, unknown> | null)?.[field] === undefined;
  if (isMissing && field !== "") return `the event has no ${field}`;
  return `${field === "" ? "an event" : field}: ${issue.message}`;
}

/** `data.a`, or `.data.a` behind an index. */
export function fieldPath(path: readonly PropertyKey[], behind = false): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else text += `${text === "" && !behind ? "" : "."}${String(part)}`;
  }
  return text;
}

const NONE: ReadonlySet<number> = new Set();

/** @throws RequestError for anything but `all` or a JSON array of indexes below `count`. */
export function readGeneratedIds(header: string | readonly string[] | undefined, count: number): GeneratedIds {
  if (header === undefined) return NONE;
  if (header === "all") return "all";
  const indexes = typeof header === "string" ? parseIndexes(header, count) : null;
  if (indexes === null) {
    throw new RequestError(
      "INVALID_HEADER",
      `expected "all" or a JSON array of indexes from 0 to ${count - 1}`,
      GENERATED_IDS_HEADER,
    );
  }
  return new Set(indexes);
}

function parseIndexes(text: string, count: number): readonly number[] | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Array.isArray(parsed)) return null;
  const fits = (i: unknown): i is number => Number.isInteger(i) && (i as number) >= 0 && (i as number) < count;
  return parsed.every(fits) ? parsed : null;
}
