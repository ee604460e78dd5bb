/** Runs, guests and events as the reference model sees them. */
import type { Cause, FunctionConfig, InboxRecord, MatchValues, MemoEntry, RegisteredApp } from "@eddy/schemas";
import type { Listening } from "./listening.js";

export interface ModelEvent {
  readonly offset: number;
  /** The event's own time: stream time at this record, or what a repeat or an offer tells of the first copy. */
  readonly atMs: number;
  /** Raw time of this record. */
  readonly rawMs: number;
  /** Its time and place are not its own: its home's word came late. */
  readonly isStale: boolean;
  readonly id: string;
  readonly name: string;
  /** The event as its sender wrote it. */
  readonly body: unknown;
  readonly payload: Uint8Array;
  /** Paths and values by which it counts anywhere. */
  readonly values: MatchValues;
  /** Does this record bring it to the key of that value here? Others may have brought it to other keys. */
  countsAt(path: string, value: string): boolean;
}

export interface Logged {
  readonly offset: number;
  /** Append time of this very record. */
  readonly rawMs: number;
  readonly atMs: number;
  /** null: bytes that do not decode. */
  readonly record: InboxRecord | null;
}

export interface ModelMark {
  readonly offset: number;
  readonly atMs: number;
}

/** An event must be behind both to be eligible; -1 and -Infinity: any is. */
export interface From {
  readonly offset: number;
  readonly atMs: number;
}

/** A wait of a run of this partition, by an event of this partition. */
export interface LocalWait extends Listening {
  readonly kind: "wait";
  readonly no: number;
  dueAtMs: number;
  readonly deadlineMs: number;
  readonly stepId: string;
  /** null: nothing matches. */
  readonly value: string | null;
  readonly from: From;
}

/** One that another partition keeps. */
export interface ForeignWaitPending extends Listening {
  readonly kind: "foreignWait";
  readonly no: number;
  readonly dueAtMs: number;
  readonly deadlineMs: number;
  readonly stepId: string;
  readonly value: string;
  readonly partition: number;
  readonly fromMs: number;
}

export type Pending =
  | { readonly kind: "start"; readonly no: number; readonly dueAtMs: number }
  | { readonly kind: "sleep"; readonly no: number; readonly dueAtMs: number; readonly stepId: string }
  | LocalWait
  | ForeignWaitPending
  /** `stepId` "" is the handler. */
  | {
      readonly kind: "retry";
      readonly no: number;
      readonly dueAtMs: number;
      readonly stepId: string;
      /** Its time came while a request was in flight: it is made when that ends. */
      isDue: boolean;
    };

/** What somebody who listens at a key has heard there. */
export interface Hearing {
  /** Since this record. */
  readonly sinceOffset: number;
  /** What the log read again gave to one who came late. */
  readonly past: readonly ModelEvent[];
}

export interface Rule extends Listening {
  readonly value: string;
  /** Infinity: as long as the run. */
  readonly expiresAtMs: number;
}

export interface ModelRun {
  readonly runId: string;
  readonly base: string;
  readonly functionId: string;
  readonly app: string;
  readonly fn: FunctionConfig;
  readonly trigger: ModelEvent;
  readonly startedAtMs: number;
  /** Events behind it are for the run; -1: a late repeat started it, time alone tells. */
  readonly beganOffset: number;
  /** Those by events of this partition. */
  readonly rules: readonly Rule[];
  /** Other partitions where it listens; the offset there of the last trigger copy that was announced, or -1. */
  readonly foreign: Map<number, number>;
  /** By route key: where it waits or may wait. */
  readonly listens: Map<string, Hearing>;
  /** Those of them that are declared with `since: trigger`. */
  readonly sinceTrigger: ReadonlySet<string>;
  /** Events before it are not eligible for the next wait. */
  mark: ModelMark;
  /** Where the mark goes when the run only waits, by the step whose end moves it. */
  laterMarks: Map<string, ModelMark>;
  /** In the order in which the handler sees it. */
  readonly memo: Map<string, MemoEntry>;
  /** The memo after each change, with the record that made it. */
  readonly memos: { readonly offset: number; readonly memo: readonly MemoEntry[] }[];
  /** Where the run ended; Infinity while it lives. */
  endedAt: number;
  pending: Pending[];
  pendingNo: number;
  withdrawn: Set<string>;
  readonly attempts: Map<string, number>;
  /** Step that took it, by event id. */
  readonly taken: Map<string, string>;
  invocation: number;
  inFlight: boolean;
  /** Size of the memo at the last request. */
  memoSent: number;
  /** Where the request in flight was made; the index is told by the request itself. */
  cause: Cause | null;
  /** In raw time; Infinity before the request was delivered. */
  leaseUntilMs: number;
  /** Was the lease given by a heartbeat? Then deliveries do not move it. */
  heartbeats: boolean;
}

export interface GuestWait extends Listening {
  readonly no: number;
  readonly value: string;
  readonly given: unknown;
  readonly deadlineMs: number;
  dueAtMs: number;
  readonly fromMs: number;
}

export interface GuestRule extends Rule {
  /** What is known of the triggering event. */
  readonly given: unknown;
}

/** A run of another partition that listens here. */
export interface Guest {
  readonly base: string;
  runId: string | null;
  readonly trigger: { readonly id: string; readonly name: string };
  fromOffset: number;
  heardAt: number;
  startedAtMs: number;
  readonly taken: Set<string>;
  readonly listens: Map<string, Hearing>;
  rules: GuestRule[];
  waits: GuestWait[];
}

export interface Settling {
  routes: readonly { readonly event: string; readonly path: string }[];
  missing: number;
  /** Raw time; null: said, or not begun. */
  sendAtMs: number | null;
}

export type Apps = ReadonlyMap<string, RegisteredApp>;
