/**
 * Rows of the history store of one partition, all derived from the history topic:
 *
 *  m                                 where to read on, and of which topic
 *  r|<run>                           summary of the run
 *  v|<digest of event id>            the runs that an event started, as a list: one look-up, no scan
 *  l|<run>|<offset>|<index>          timeline, by cause: the entry as the topic has it
 *  x|<ended at>|<run>                runs that have ended, by append time: what retention drops next
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

export interface Position {
  readonly topicId: string;
  readonly nextOffset: number;
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

type Row = Position | Summary | readonly string[];
export const encodeJson = (value: Row): Uint8Array => utf8.encode(JSON.stringify(value));
export const decodeJson = <T extends Row>(row: Uint8Array): T => JSON.parse(text.decode(row)) as T;
