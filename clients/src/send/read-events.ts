/** From a JSON value to events that may be sent, or to the first thing that is wrong: the same whatever the way. */
import { eventInput, LIMITS, type EventInput } from "@eddy/schemas";
import { RequestError } from "../errors/request-error.js";

type Issue = NonNullable<ReturnType<typeof eventInput.safeParse>["error"]>["issues"][number];

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

function messageOf(issue: Issue | undefined, given: unknown): string {
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
