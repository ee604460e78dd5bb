/** A run as the reference model sees it. */
import type { Cause, FunctionConfig, MemoEntry } from "@eddy/schemas";

export interface ModelEvent {
  readonly offset: number;
  readonly id: string;
  readonly name: string;
  /** The event as its sender wrote it. */
  readonly body: unknown;
  readonly payload: Uint8Array;
}

export type Pending =
  | { readonly kind: "start"; readonly no: number; readonly dueAtMs: number }
  | { readonly kind: "sleep"; readonly no: number; readonly dueAtMs: number; readonly stepId: string }
  | {
      readonly kind: "wait";
      readonly no: number;
      readonly dueAtMs: number;
      readonly stepId: string;
      readonly event: string;
      readonly match: string;
    }
  /** `stepId` "" is the handler. */
  | {
      readonly kind: "retry";
      readonly no: number;
      readonly dueAtMs: number;
      readonly stepId: string;
      /** Its time came while a request was in flight: it is made when that ends. */
      isDue: boolean;
    };

export interface Rule {
  readonly event: string;
  readonly match: string;
  /** Infinity: as long as the run. */
  readonly expiresAtMs: number;
}

export interface ModelRun {
  readonly runId: string;
  readonly functionId: string;
  readonly app: string;
  readonly fn: FunctionConfig;
  readonly trigger: ModelEvent;
  readonly rules: readonly Rule[];
  /** Events at or before this offset are not eligible for the next wait. */
  mark: number;
  readonly memo: Map<string, MemoEntry>;
  /** Where each entry of the memo was settled, in the same order. */
  readonly settledAt: number[];
  /** Where the run ended; Infinity while it lives. */
  endedAt: number;
  pending: Pending[];
  pendingNo: number;
  readonly attempts: Map<string, number>;
  readonly taken: Set<string>;
  invocation: number;
  inFlight: boolean;
  /** Memo entries that the engine settled since the last request. */
  news: boolean;
  /** Size of the memo at the last request. */
  memoSent: number;
  /** Where the request in flight was made; the index is told by the request itself. */
  cause: Cause | null;
  /** In raw time; Infinity before the request was delivered. */
  leaseUntilMs: number;
  /** Was the lease given by a heartbeat? Then deliveries do not move it. */
  heartbeats: boolean;
}
