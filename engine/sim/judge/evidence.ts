/** The journal, read: inbox records decoded, effects without their repeats. Repeats must be what they repeat (G10). */
import {
  BadRecordError,
  compareCauses,
  decodeHistory,
  decodeInbox,
  decodeSignal,
  decodeStepsRecord,
  offset,
  type Cause,
  type HistoryEntry,
  type InboxRecord,
  type Signal,
  type StepRequest,
  type StepsRecord,
} from "@eddy/schemas";
import { takeRecord, type Gathered, type LogRecord, type Topics } from "@eddy/clients";
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
  /** Put together, where they came in parts. */
  readonly requests: readonly Caused<StepRequest>[];
  /** Requests and parts as they came. */
  readonly steps: readonly Caused<StepsRecord>[];
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
  const inOrder = <T>(all: readonly Caused<T>[]): readonly Caused<T>[] =>
    [...all].sort((a, b) => compareCauses(a.cause, b.cause));
  const stepsOf = (app: string): Caused<StepsRecord>[] =>
    distinct("step request", journal.records(topics.steps(app), partition), decodeSteps);
  const steps = apps.map(stepsOf);
  return {
    partition,
    inbox: journal.records(topics.inbox, partition).map(arrived),
    history: distinct("history", journal.records(topics.history, partition), decodeHistory),
    requests: inOrder(steps.flatMap((records) => putTogether(records, partition, verdict))),
    steps: inOrder(steps.flat()),
    signals: inOrder(
      apps.flatMap((app) => distinct("signal", journal.records(topics.signals(app), 0).filter(isOurs), decodeSignal)),
    ),
  };
}

function decodeSteps(data: Uint8Array): { cause: Cause; body: StepsRecord } {
  const body = decodeStepsRecord(data);
  return { cause: body.cause, body };
}

/** Requests of one app, as whoever reads the log from its beginning gets them. */
function putTogether(
  records: readonly Caused<StepsRecord>[],
  partition: number,
  verdict: Verdict,
): readonly Caused<StepRequest>[] {
  const requests: Caused<StepRequest>[] = [];
  let gathered: Gathered | null = null;
  for (const { cause, body, bytes } of records) {
    const taken = takeRecord(body, offset(0), { mark: null, gathered });
    if (taken.kind === "torn")
      verdict.add("effects", "a request without its parts", { partition, offset: cause.offset });
    if (taken.kind === "request") requests.push({ cause, body: taken.request, bytes });
    gathered = taken.kind === "part" ? taken.gathered : null;
  }
  return requests;
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
