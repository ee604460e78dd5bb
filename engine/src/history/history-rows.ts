/**
 * Rows of the history store of one partition, all derived from the history topic:
 *
 *  m                                 where to read on, and of which topic
 *  r|<run>                           summary of the run
 *  v|<digest of event id>            the runs that an event started, as a list: one look-up, no scan
 *  l|<run>|<offset>|<index>          timeline, by cause: the entry as the topic has it
 *  x|<ended at>|<run>                runs that have ended, by append time: what retention drops next
 *  i|<list>|<start, inverted>|<run>  lists of runs, the newest start first; see `listsOf`
 */
import { digestOf, type Cause, type RunStatus } from "@eddy/schemas";

const pad = (n: number): string => String(n).padStart(16, "0");
const text = new TextDecoder();
const utf8 = new TextEncoder();

export const POSITION_KEY = "m";
export const summaryKey = (runId: string): string => `r|${runId}`;
export const eventRunsKey = (eventId: string): string => `v|${digestOf("event", eventId)}`;
export const timelinePrefix = (runId: string): string => `l|${runId}|`;
export const timelineKey = (runId: string, { offset, index }: Cause): string =>
  `${timelinePrefix(runId)}${pad(offset)}|${pad(index)}`;
export const endedKey = (endedRawMs: number, runId: string): string => `x|${pad(endedRawMs)}|${runId}`;
/** Exclusive upper bound of the runs that ended before `rawMs`. */
export const endedBefore = (rawMs: number): string => `x|${pad(Math.max(0, rawMs))}`;
export const ENDED_PREFIX = "x|";
export const runIdOfKey = (key: string): string => key.slice(key.lastIndexOf("|") + 1);
/** Exclusive upper bound of all keys with this ASCII prefix. */
export const afterPrefix = (prefix: string): string =>
  prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);

/** Layout of the rows: a store of another one is made anew. */
export const FORMAT = 2;

export interface Position {
  readonly topicId: string;
  readonly nextOffset: number;
  readonly format: number;
}

/** Small: results and errors stay in the timeline entry that ended the run. */
export interface Summary {
  readonly runId: string;
  readonly functionId: string;
  /** "" where the start was deleted by retention before it was read, as is the name. */
  readonly eventId: string;
  readonly eventName: string;
  readonly status: RunStatus;
  /** Stream time, ms. */
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
  /** Append time of the end, ms: what retention goes by. */
  readonly endedRawMs: number | null;
  /** Causes of start and end; entries at or before them are repeats, or of an earlier life of the same run id. */
  readonly startCause: Cause;
  readonly endCause: Cause | null;
}

/** A place in a list of runs: the start, in ms of stream time, then the id. Later starts come first. */
export interface ListPlace {
  readonly startedAtMs: number;
  readonly runId: string;
}

/** < 0 where `a` comes first. */
export function comparePlaces(a: ListPlace, b: ListPlace): number {
  if (a.startedAtMs !== b.startedAtMs) return b.startedAtMs - a.startedAtMs;
  return a.runId < b.runId ? -1 : a.runId > b.runId ? 1 : 0;
}

/** All stream times are below. */
const TIME_MAX = 9_000_000_000_000_000;
/** Of what a name is shortened to: names that collide share a list, and whoever reads it asks the summaries. */
const LIST_CHARS = 10;

/** A list of runs: of all, of a function, of an event name, of a status. */
export type RunList = string;
export const ALL_RUNS: RunList = "a";
export const listOfFunction = (functionId: string): RunList => `f${digestOf("list", functionId).slice(0, LIST_CHARS)}`;
export const listOfEvent = (eventName: string): RunList => `e${digestOf("list", eventName).slice(0, LIST_CHARS)}`;
/** null: most runs are of this status, the list of all serves as well. */
export const listOfStatus = (status: RunStatus): RunList | null => (status === "Completed" ? null : `s${status}`);

/** The lists that a run is in. */
export function listsOf({ functionId, eventName, status }: Summary): readonly RunList[] {
  const ofStatus = listOfStatus(status);
  return [ALL_RUNS, listOfFunction(functionId), listOfEvent(eventName), ...(ofStatus === null ? [] : [ofStatus])];
}

export const listKey = (list: RunList, { startedAtMs, runId }: ListPlace): string =>
  `i|${list}|${pad(TIME_MAX - startedAtMs)}|${runId}`;
export const listKeysOf = (summary: Summary): readonly string[] =>
  listsOf(summary).map((list) => listKey(list, summary));
/** Run ids are letters and digits: this is behind the place itself, and before all that follow. */
export const afterPlace = (list: RunList, place: ListPlace): string => `${listKey(list, place)}!`;
/** Cuts a list: what started at `ms` or later lies before it, all else at it or behind. */
export const cutAt = (list: RunList, ms: number): string => `i|${list}|${pad(TIME_MAX - ms + 1)}|`;
export const listEnd = (list: RunList): string => `i|${list}}`;
export const listStart = (list: RunList): string => `i|${list}|`;
export function placeOfKey(key: string): ListPlace {
  const [, , inverted, runId] = key.split("|");
  return { startedAtMs: TIME_MAX - Number(inverted), runId: runId ?? "" };
}

type Row = Position | Summary | readonly string[];
export const encodeJson = (value: Row): Uint8Array => utf8.encode(JSON.stringify(value));
export const decodeJson = <T extends Row>(row: Uint8Array): T => JSON.parse(text.decode(row)) as T;
