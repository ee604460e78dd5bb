/** What a partition task tells operators about itself, when it is asked. */
import type { FunctionHoldings } from "./holdings.js";

export interface PartitionFigures {
  /** Of the first record not applied. */
  readonly nextOffset: number;
  /**
   * If there is such a record: it was appended at this time or later, in ms since 1970 (not after the time of asking). By
   * the log's clock while a batch is applied, else by ours, when nothing was left to apply last.
   */
  readonly behindSinceMs: number;
  /** Append time at which the next timer is due; null: there is none, or it is not known yet. */
  readonly nextDueMs: number | null;
  readonly timers: number;
  readonly functions: readonly (readonly [functionId: string, holdings: Readonly<FunctionHoldings>])[];
  /** Since when there is something that no checkpoint has, by our clock; null: there is nothing. */
  readonly unsavedSinceMs: number | null;
  /** By how much append times were ahead of our clock, at most, in the last batch; ms, never below 0. */
  readonly clockAheadMs: number;
  readonly cachedBytes: number;
}
