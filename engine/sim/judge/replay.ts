/**
 * Replays an inbox from nothing with the core alone: rows in a map, everything loaded, no checkpoints, no store. What the
 * partition tasks of all incarnations wrote and sent must be exactly this (G7, G10).
 */
import {
  encodeRow,
  offset as toOffset,
  rawTime,
  streamTime,
  type Cause,
  type InboxRecord,
  type RowKind,
} from "@eddy/schemas";
import {
  indexDiff,
  kindOf,
  parseTimerKey,
  PARTITION_KEY,
  FUNCTIONS_KEY,
  timerKey,
  type Core,
  type Effect,
  type IndexRange,
  type PastEvent,
  type PastRange,
  type Input,
  type Row,
  type RowKey,
  type RowView,
  type RowWriter,
} from "../../src/core/index.js";
import { initialFunctionsRow, initialPartitionRow } from "../../src/core/state/initial.js";
import { formatMidway } from "../../src/partition/midway.js";
import { pastEventsOf, type PastRecord } from "./past.js";
import type { DueTimer } from "../../src/partition/timer-queue.js";

/** Rows and index entries, all of them. */
export class PlainRows implements RowView, RowWriter {
  readonly rows = new Map<string, Row>();
  readonly index = new Map<string, string>();
  /** Keys changed since somebody emptied it. */
  readonly touched = new Set<string>();

  /** @param inbox what `pastEvents` reads again. */
  constructor(private readonly inbox: readonly PastRecord[]) {}

  get(key: RowKey): never {
    return (this.rows.get(key) ?? null) as never; // one map for rows of all kinds: the key carries the kind
  }
  put<K extends RowKind>(key: RowKey<K>, row: Row<K>): void {
    this.#change(key, row as Row);
  }
  delete(key: RowKey): void {
    this.#change(key, null);
  }
  isLoaded(): boolean {
    return true;
  }
  indexValue(key: string): string | null {
    return this.index.get(key) ?? null;
  }
  pastEvents({ names, fromRawMs, toOffset }: PastRange): readonly PastEvent[] {
    return pastEventsOf(this.inbox, { names, fromRawMs, toOffset });
  }
  scanIndex({ from, to, limit }: IndexRange): readonly (readonly [string, string])[] {
    const keys = [...this.index.keys()].filter((key) => key >= from && key < to).sort();
    return keys.slice(0, limit).map((key) => [key, this.index.get(key) as string]);
  }

  #change(key: RowKey, after: Row | null): void {
    const { removed, added } = indexDiff(key, this.rows.get(key) ?? null, after);
    for (const entry of removed) this.index.delete(entry);
    for (const [entry, value] of added) this.index.set(entry, value);
    if (after === null) this.rows.delete(key);
    else this.rows.set(key, after);
    this.touched.add(key);
  }
}

const encoded = new WeakMap<Row, Uint8Array>();

/** Bytes of a row, computed once: rows never change. */
export function bytesOf(key: string, row: Row): Uint8Array {
  const known = encoded.get(row);
  if (known !== undefined) return known;
  const kind = kindOf(key);
  if (kind === null) throw new Error(`no row key: ${key}`);
  const bytes = encodeRow(kind, row as never); // the key's kind is the row's
  encoded.set(row, bytes);
  return bytes;
}

export interface ReplayedEffect {
  readonly cause: Cause;
  readonly effect: Effect;
}

/** Where the replay stands, as a checkpoint would say it. */
export interface Boundary {
  readonly nextOffset: number;
  readonly midway: string;
  /** Effects of the record so far. */
  readonly index: number;
  readonly rawMs: number;
}

export class Replay {
  readonly rows: PlainRows;
  readonly effects: ReplayedEffect[] = [];
  readonly #core: Core;
  readonly #where: { readonly partition: number; readonly partitions: number };
  readonly #onBoundary: (at: Boundary) => void;
  #rawMs = 0;
  #offset = 0;
  #index = 0;

  constructor(
    core: Core,
    where: { readonly partition: number; readonly partitions: number },
    inbox: readonly PastRecord[],
    /** Of the engine that made the partition. */
    logic: number,
    onBoundary: (at: Boundary) => void,
  ) {
    this.rows = new PlainRows(inbox);
    this.#core = core;
    this.#where = where;
    this.#onBoundary = onBoundary;
    this.rows.put(PARTITION_KEY, initialPartitionRow(logic));
    this.rows.put(FUNCTIONS_KEY, initialFunctionsRow());
  }

  /** @param record null: bytes that do not decode; they take the place of one effect, their dead letter. */
  apply(offset: number, appendTimeMs: number, record: InboxRecord | null): void {
    this.#offset = offset;
    this.#index = 0;
    this.#onBoundary(this.boundary(""));
    this.#rawMs = Math.max(this.#rawMs, appendTimeMs);
    this.#fireDue("before");
    const before = this.#advanceMs;
    if (record === null) this.#index += 1;
    else this.#decide(record);
    if (this.#advanceMs !== before) this.#fireDue("after");
  }

  boundary(midway: string): Boundary {
    return { nextOffset: this.#offset, midway, index: this.#index, rawMs: this.#rawMs };
  }

  /** The end of the inbox, behind its last record. */
  end(offset: number): void {
    this.#offset = offset;
    this.#index = 0;
    this.#onBoundary(this.boundary(""));
  }

  get #advanceMs(): number {
    return (this.rows.get(PARTITION_KEY) as Row<"partition">).advanceMs;
  }

  #fireDue(phase: "before" | "after"): void {
    for (;;) {
      const due = this.#nextDue();
      if (due === null) return;
      this.#decide({ kind: "timerDue", timer: due.timer });
      this.#onBoundary(this.boundary(formatMidway({ phase, last: due })));
    }
  }

  #nextDue(): DueTimer | null {
    const advanceMs = this.#advanceMs;
    let next: DueTimer | null = null;
    for (const key of this.rows.index.keys()) {
      if (!key.startsWith("t|")) continue;
      const timer = parseTimerKey(key);
      const effectiveMs = timer.dueAtMs + (timer.domain === "w" ? advanceMs : 0);
      if (effectiveMs > this.#rawMs + advanceMs) continue;
      if (next === null || effectiveMs < next.effectiveMs || (effectiveMs === next.effectiveMs && key < next.key)) {
        next = { key: timerKey(timer), timer, effectiveMs };
      }
    }
    return next;
  }

  #decide(input: Input): void {
    const moment = {
      ...this.#where,
      offset: toOffset(this.#offset),
      effectIndex: this.#index,
      nowMs: streamTime(this.#rawMs + this.#advanceMs),
      rawMs: rawTime(this.#rawMs),
    };
    const decision = this.#core.decide(this.rows, input, moment);
    for (const change of decision.changes) this.#core.evolve(this.rows, change);
    for (const effect of decision.effects) {
      this.effects.push({ cause: { offset: toOffset(this.#offset), index: this.#index++ }, effect });
    }
  }
}
