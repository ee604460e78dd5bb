/** What the model says must have left the partition; compared with what did. */
import type { HistoryEntry, InboxRecord, InboxRecordOf, RegistryEntry, StepRequest } from "@eddy/schemas";

export interface Expected<T> {
  /** The record of the inbox that caused it. */
  readonly offset: number;
  readonly body: T;
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** A record of this partition for an inbox, without the mark that tells where it comes from. */
export interface Sent {
  readonly to: number;
  readonly record: SentRecord;
}
type FromPartition = Extract<
  InboxRecord,
  { kind: "registered" | "listen" | "unlisten" | "answer" | "announced" | "learn" | "settled" }
>;
type Event = InboxRecordOf<"event">;
export type SentEvent = Omit<Event, "origin"> & { readonly origin: Omit<NonNullable<Event["origin"]>, "source"> };
export type SentRecord = DistributiveOmit<FromPartition, "source"> | SentEvent;

export interface Expectation {
  /** In order within each run. */
  readonly history: Expected<HistoryEntry>[];
  readonly requests: Expected<StepRequest>[];
  /** Runs whose worker must be told to stop. */
  readonly aborts: Expected<string>[];
  readonly registry: Expected<RegistryEntry>[];
  readonly sent: Expected<Sent>[];
}

/** What the model cannot know by itself and takes from what really happened, after a check. */
export interface Oracle {
  /** Index of the effect that made this request; null if it was never made. */
  requestIndex(runId: string, invocation: number, offset: number): number | null;
  /** When the failure recorded at `offset` is to be retried; undefined if no such failure was recorded. */
  retryAtMs(runId: string, offset: number, stepId: string): number | null | undefined;
}
