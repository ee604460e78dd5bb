/** From a record that was decoded to the event that its source says it is. */
import { readEvents, RequestError } from "@eddy/clients";
import { LIMITS, type EventInput } from "@eddy/schemas";
import { isNamePath, type SourceConfig } from "../config/source-config.js";
import { UndecodableError, type Decoded } from "./decoded.js";
import { readPath } from "./paths.js";

/** Where a record is, for as long as the topic is not made again. */
export interface Place {
  readonly topic: string;
  /** Of this incarnation of the topic. */
  readonly topicId: string;
  readonly partition: number;
  readonly offset: number;
}

export interface Mapping extends Pick<SourceConfig, "format" | "id" | "ts" | "data"> {
  /** A name, or the path of one. */
  readonly event: { readonly name: string } | { readonly path: string };
}

/** As much of the topic's id as tells incarnations of one name apart, where an id has to be short. */
const TOPIC_ID_CHARS = 8;
const CLOUD = { event: "value.type", ts: "value.time", data: "value.data" } as const;

export function mappingOf({ event = CLOUD.event, ...source }: SourceConfig): Mapping {
  return { ...source, event: isNamePath(event) ? { path: event } : { name: event } };
}

/**
 * The same record always becomes the same event, with the same id: that is what makes a repeat harmless.
 * @param recordMs the record's time, ms since 1970; below 0: it has none.
 * @param nowMs a record from the future is one of now: else a wrong clock would delay runs.
 * @throws UndecodableError
 */
export function toEvent(
  mapping: Mapping,
  record: Decoded,
  at: { readonly place: Place; readonly recordMs: number; readonly nowMs: number },
): EventInput {
  const ts = timeOf(mapping, record) ?? (at.recordMs < 0 ? undefined : Math.min(at.recordMs, at.nowMs));
  const event = {
    name: nameOf(mapping, record),
    id: idOf(mapping, record, at.place),
    data: dataOf(mapping, record),
    ...(ts === undefined ? {} : { ts }),
  };
  try {
    return readEvents(event)[0] as EventInput;
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    throw new UndecodableError(error.message, null, { cause: error });
  }
}

function nameOf({ event }: Mapping, record: Decoded): string {
  if ("name" in event) return event.name;
  const name = readPath(event.path, record);
  if (typeof name === "string") return name;
  throw new UndecodableError(`no name at ${event.path}: expected text, got ${kindOf(name)}`);
}

function idOf({ id: path, format }: Mapping, record: Decoded, place: Place): string {
  if (path !== undefined) {
    const id = readPath(path, record);
    if ((typeof id === "string" && id !== "") || typeof id === "number") return String(id);
    throw new UndecodableError(`no id at ${path}: expected text or a number, got ${kindOf(id)}`);
  }
  if (format === "cloudevents") {
    const { source, id } = record.value as { readonly source: string; readonly id: string };
    const both = `${source}/${id}`;
    if (both.length <= LIMITS.eventIdCharsMax) return both;
  }
  return idOfPlace(place);
}

/** `orders/3/17/5f2b9c01`; a topic made again under the same name begins with other ids. */
function idOfPlace({ topic, topicId, partition, offset }: Place): string {
  const id = `${topic}/${partition}/${offset}/${topicId.slice(0, TOPIC_ID_CHARS)}`;
  return id.length <= LIMITS.eventIdCharsMax ? id : `${topicId}/${partition}/${offset}`;
}

/** @returns undefined: neither said nor told */
function timeOf({ ts: path, format }: Mapping, record: Decoded): number | undefined {
  const isOptional = path === undefined;
  if (isOptional && format !== "cloudevents") return undefined;
  const given = readPath(path ?? CLOUD.ts, record);
  if (isOptional && given === undefined) return undefined;
  const ms = typeof given === "string" ? (/^\d+$/.test(given) ? Number(given) : Date.parse(given)) : given;
  if (typeof ms === "number" && Number.isFinite(ms)) return Math.trunc(ms);
  throw new UndecodableError(
    `no time at ${path ?? CLOUD.ts}: expected ms since 1970 or ISO 8601, got ${JSON.stringify(given) ?? "nothing"}`,
  );
}

function dataOf({ data: path, format }: Mapping, record: Decoded): Record<string, unknown> {
  const from = path ?? (format === "cloudevents" ? CLOUD.data : "value");
  const data = readPath(from, record);
  if (data === undefined && path === undefined) return {};
  if (typeof data === "object" && data !== null && !Array.isArray(data)) return data as Record<string, unknown>;
  throw new UndecodableError(`no data at ${from}: expected an object, got ${kindOf(data)}`);
}

function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : `a ${typeof value}`;
}
