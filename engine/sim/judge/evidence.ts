/** The journal, read: inbox records decoded, effects without their repeats. Repeats must be what they repeat (G10). */
import {
  BadRecordError,
  compareCauses,
  decodeHistory,
  decodeInbox,
  decodeSignal,
  decodeStepRequest,
  type Cause,
  type HistoryEntry,
  type InboxRecord,
  type Signal,
  type StepRequest,
} from "@eddy/schemas";
import type { LogRecord, Topics } from "@eddy/clients";
import type { Journal } from "../journal.js";
import type { Verdict } from "../model/verdict.js";

export interface Arrived {
  readonly offset: number;
  readonly appendTimeMs: number;
  /** null: bytes that do not decode. */
  readonly record: InboxRecord | null;
  readonly raw: LogRecord;
}

export interface Caused<T> {
  readonly cause: Cause;
  readonly body: T;
  readonly bytes: Uint8Array;
}

export interface Evidence {
  readonly partition: number;
  readonly inbox: readonly Arrived[];
  /** In the order of causes. */
  readonly history: readonly Caused<HistoryEntry>[];
  readonly requests: readonly Caused<StepRequest>[];
  readonly signals: readonly Caused<Signal>[];
}

export function shardPartition(runId: string, partitions: number): number {
  return Number.parseInt(runId.slice(0, 3), 16) % partitions;
}

export interface EvidenceOf {
  readonly journal: Journal;
  readonly topics: Topics;
  readonly apps: readonly string[];
  readonly partitions: number;
}

export function evidenceOf(from: EvidenceOf, partition: number, verdict: Verdict): Evidence {
  const { journal, topics, apps, partitions } = from;
  const distinct = <T>(name: string, records: readonly LogRecord[], decode: Decode<T>): Caused<T>[] =>
    withoutRepeats({ name, partition, verdict }, records, decode);
  const isOurs = ({ value }: LogRecord): boolean =>
    shardPartition(decodeSignal(value as Uint8Array).body.runId, partitions) === partition;
  const ofApps = <T>(of: (app: string) => readonly Caused<T>[]): readonly Caused<T>[] =>
    apps.flatMap(of).sort((a, b) => compareCauses(a.cause, b.cause));
  return {
    partition,
    inbox: journal.records(topics.inbox, partition).map(arrived),
    history: distinct("history", journal.records(topics.history, partition), decodeHistory),
    requests: ofApps((app) =>
      distinct("step request", journal.records(topics.steps(app), partition), decodeStepRequest),
    ),
    signals: ofApps((app) => distinct("signal", journal.records(topics.signals(app), 0).filter(isOurs), decodeSignal)),
  };
}

function arrived(raw: LogRecord): Arrived {
  const { offset, appendTimeMs, value } = raw;
  try {
    return { offset, appendTimeMs, record: decodeInbox(value as Uint8Array), raw };
  } catch (error) {
    if (!(error instanceof BadRecordError)) throw error;
    return { offset, appendTimeMs, record: null, raw };
  }
}

type Decode<T> = (data: Uint8Array) => { cause: Cause; body: T };

function withoutRepeats<T>(
  { name, partition, verdict }: { name: string; partition: number; verdict: Verdict },
  records: readonly LogRecord[],
  decode: Decode<T>,
): Caused<T>[] {
  const first = new Map<string, Caused<T>>();
  let last: Cause | null = null;
  for (const { value } of records) {
    const bytes = value as Uint8Array;
    const { cause, body } = decode(bytes);
    const id = `${cause.offset}.${cause.index}`;
    const at = { partition, offset: cause.offset };
    const known = first.get(id);
    if (known !== undefined) {
      if (!sameBytes(known.bytes, bytes)) verdict.add("G10", `a repeat of ${name} ${id} differs from the first`, at);
      continue;
    }
    if (last !== null && compareCauses(cause, last) < 0) {
      verdict.add("effects", `${name} ${id} first came after ${last.offset}.${last.index}: receivers drop it`, at);
    }
    last = cause;
    first.set(id, { cause, body, bytes });
  }
  return [...first.values()].sort((a, b) => compareCauses(a.cause, b.cause));
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
