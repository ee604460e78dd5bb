/** How the core sees rows. The partition task implements both over its overlay; see partition/overlay.ts. */
import type { InboxRecordOf, RowKind, Rows } from "@eddy/schemas";
import type { RowKey } from "./keys.js";

/** Rows are immutable once put: change a row by putting another. */
export type Row<K extends RowKind = RowKind> = Readonly<Rows[K]>;

/** Synchronous reads of what `readPlan` named. @throws InvariantViolation for anything not loaded. */
export interface RowView {
  get<K extends RowKind>(key: RowKey<K>): Row<K> | null;
  /** Of an index entry; null: there is none. */
  indexValue(key: string): string | null;
  /** Index entries of a range that `readPlan` named, ascending, at most `limit`. */
  scanIndex(range: IndexRange): readonly (readonly [key: string, value: string])[];
  /** What the partition's own inbox held, of a range that `readPlan` named; ascending. */
  pastEvents(range: PastRange): readonly PastEvent[];
  /** Has a read plan for this key been carried out? */
  isLoaded(request: ReadRequest): boolean;
}

/**
 * Events of the partition's own inbox: of these names, appended at or after `fromRawMs`, before `toOffset` (exclusive). At
 * most LIMITS.pastRecordsMax records are searched, the newest, and LIMITS.pastBytesMax of events taken: what is older is not
 * found, nor what lies before a record older than `fromRawMs`.
 */
export interface PastRange {
  readonly names: readonly string[];
  readonly fromRawMs: number;
  readonly toOffset: number;
}

export interface PastEvent {
  readonly offset: number;
  /** Append time. */
  readonly rawMs: number;
  /** By how much the records between this one and the end of the range advanced the clock. */
  readonly advancedSinceMs: number;
  readonly record: InboxRecordOf<"event">;
}

/** `from` inclusive, `to` exclusive. */
export interface IndexRange {
  readonly from: string;
  readonly to: string;
  readonly limit: number;
}

export interface RowWriter {
  get<K extends RowKind>(key: RowKey<K>): Row<K> | null;
  put<K extends RowKind>(key: RowKey<K>, row: Row<K>): void;
  /** Deletes. Kept events and results may be put and deleted without having been read. */
  delete(key: RowKey): void;
}

export type ReadRequest =
  | { readonly kind: "row"; readonly key: RowKey }
  | { readonly kind: "index"; readonly key: string }
  | { readonly kind: "scan"; readonly range: IndexRange }
  | { readonly kind: "past"; readonly range: PastRange };
