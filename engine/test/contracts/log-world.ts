/** What the two suites of the Log port share: the world that an adapter provides, and records as text. */
import { offset } from "@eddy/schemas";
import type { Offset } from "@eddy/schemas";
import type { Log, LogReader, LogRecord, NewRecord, TopicSpec } from "../../../clients/src/ports/log.js";

export interface LogWorld {
  readonly log: Log;
  /** A log on the same data after this process let go of it: closes `log` where a log has one owner. */
  reopen(): Promise<Log>;
  /** Lets `ms` of the clock that waiting reads go by pass; a clock that runs by itself need do nothing. */
  passMs(ms: number): void;
  /** Largest record that is taken, key and value, in bytes. */
  readonly recordBytesMax: number;
  /** Closes what is open and removes the data. */
  dispose(): Promise<void>;
}

/** A log of which the test holds the clock and the broom. */
export interface LocalLogWorld extends LogWorld {
  readonly nowMs: () => number;
  /** Time may go back, as a wall clock that is set may. */
  setNowMs(nowMs: number): void;
  /** Applies retention and compaction to everything now. */
  clean(log: Log): Promise<void>;
  /** Resolves when cleaning that runs by itself has come to rest. */
  settled(): Promise<void>;
}

export const INBOX: TopicSpec = { name: "t.inbox", partitions: 3, policy: "delete", retentionMs: 60_000 };
export const CHANGELOG: TopicSpec = { name: "t.changelog", partitions: 3, policy: "compact", retentionMs: 60_000 };

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const record = (key: string | null, value: string): NewRecord => ({ key, value: bytes(value) });
export const records = (...values: readonly string[]): readonly NewRecord[] => values.map((v) => record(`k-${v}`, v));
export const tombstone = (key: string): NewRecord => ({ key, value: null });

export const valueOf = ({ value }: LogRecord): string | null =>
  value === null ? null : new TextDecoder().decode(value);
export const entryOf = (r: LogRecord): string => `${r.key}=${valueOf(r) ?? "(none)"}`;

/** Reads on until the reader stands at the end of the partition; at most 1,000 reads. */
export async function readToEnd(log: Log, reader: LogReader, spec: TopicSpec, partition: number): Promise<LogRecord[]> {
  const { end } = await log.offsets(spec.name, partition);
  const all: LogRecord[] = [];
  for (let reads = 0; reader.position < end; reads += 1) {
    if (reads === 1_000) throw new Error(`reader stays at ${reader.position}, the end is ${end}`);
    all.push(...(await reader.read({ recordsMax: 100, waitMs: 0 })));
  }
  return all;
}

/** Everything that a partition holds. */
export async function readAll(log: Log, spec: TopicSpec, partition = 0, from?: Offset): Promise<LogRecord[]> {
  const { start } = await log.offsets(spec.name, partition);
  const reader = log.reader(spec.name, partition, from ?? start);
  try {
    return await readToEnd(log, reader, spec, partition);
  } finally {
    await reader.close();
  }
}

export const at = (n: number): Offset => offset(n);
