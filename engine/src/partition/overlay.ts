/**
 * The rows of a partition as `decide` sees them. From top to bottom:
 *
 *   pinned    read or written in the batch at hand, absent ones too cleared after each batch; past events likewise
 *   dirty     changed since the last freeze                         bounded by checkpoints
 *   frozen    changed before it: a checkpoint is writing them       gone when the store has them
 *   resident  the partition's and the functions' rows               two rows
 *   cache     clean rows used lately                                bounded in bytes (G11)
 *   store
 *
 * Results (ADR 0022) are large and rarely read: no cache keeps them, and those that were read for a decision go after it.
 *
 * A key that no layer knows is not loaded: reading it throws. Index entries follow from rows by `indexDiff` at each put.
 * One loop reads and writes; only `peek` may run beside it.
 */
import { BadRecordError, decodeRow, type RowKind } from "@eddy/schemas";
import { LRUCache } from "lru-cache";
import {
  FUNCTIONS_KEY,
  indexDiff,
  isKind,
  kindOf,
  PARTITION_KEY,
  type IndexRange,
  type PastEvent,
  type PastRange,
  type ReadRequest,
  type Row,
  type RowKey,
  type RowView,
  type RowWriter,
} from "../core/index.js";
import { invariant, StateCorruptedError } from "@eddy/clients/errors";
import type { Store } from "../ports/store.js";
import { Holdings, type StoredHoldings } from "./holdings.js";
import { IndexWindow, type IndexEntry } from "./index-window.js";
import { Layer } from "./layer.js";
import type { PastSource } from "./past-events.js";

/** Entries of one scan of the store. */
const SCAN_ENTRIES_MAX = 1_024;
/** A decoded row against its bytes, and what a cache entry costs beside it; both rough. */
const DECODED_FACTOR = 3;
const CACHE_ENTRY_BYTES = 256;

const text = new TextDecoder();
/** A row that is known not to be there. */
const ABSENT = Symbol("absent");

/** What a checkpoint writes. */
export interface FrozenChanges {
  readonly rows: readonly (readonly [key: RowKey, row: Row | null])[];
  readonly indexAdded: readonly IndexEntry[];
  readonly indexRemoved: readonly string[];
  readonly holdings: StoredHoldings;
}

/** Rows that were asked for, by where they were found. */
export interface RowReads {
  memory: number;
  store: number;
}

export class Overlay implements RowView, RowWriter {
  readonly #store: Store;
  readonly #pastSource: PastSource;
  readonly #cache: LRUCache<RowKey, { readonly row: Row | null }>;
  /** Always the newest value: what is put is pinned too, so most reads end here. */
  readonly #pinned = new Map<RowKey, Row | typeof ABSENT>();
  readonly #pinnedIndex = new Map<string, string | null>();
  /** Those that are pinned because they were read. */
  #readResults: RowKey[] = [];
  readonly #scans = new Map<string, IndexWindow>();
  readonly #past = new Map<string, readonly PastEvent[]>();
  readonly #watched: IndexWindow[] = [];
  readonly #resident = new Map<RowKey, Row | null>();
  #dirty = new Layer();
  #frozen: Layer | null = null;
  /** Frozen layers that went into the store so far: a scan that one of them overtook is read again. */
  #thaws = 0;
  /** Of batches; a row that a batch needs twice counts once. Whoever tells them sets them back. */
  readonly reads: RowReads = { memory: 0, store: 0 };

  /** @param past the partition's own inbox. @param holdings of the rows in the store */
  constructor(
    store: Store,
    past: PastSource,
    options: { readonly cacheBytesMax: number },
    readonly holdings = new Holdings(),
  ) {
    this.#store = store;
    this.#pastSource = past;
    this.#cache = new LRUCache({ maxSize: options.cacheBytesMax });
  }

  get changedRows(): number {
    return this.#dirty.rows.size;
  }
  get cachedBytes(): number {
    return this.#cache.calculatedSize;
  }

  get<K extends RowKind>(key: RowKey<K>): Row<K> | null {
    const row = this.#known(key, true);
    invariant(row !== undefined, "the read plan names every row that is read", { key });
    return row as Row<K> | null;
  }
  indexValue(key: string): string | null {
    const value = this.#knownIndex(key);
    invariant(value !== undefined, "the read plan names every index key that is read", { key });
    return value;
  }
  scanIndex(range: IndexRange): readonly IndexEntry[] {
    const window = this.#scans.get(scanName(range));
    invariant(window !== undefined && suffices(window, range), "the read plan names every scan", { ...range });
    return window.first(range.limit);
  }
  pastEvents(range: PastRange): readonly PastEvent[] {
    const events = this.#past.get(pastName(range));
    invariant(events !== undefined, "the read plan names every range of past events", { ...range });
    return events;
  }
  isLoaded(request: ReadRequest): boolean {
    if (request.kind === "row") return this.#known(request.key, true) !== undefined;
    if (request.kind === "index") return this.#knownIndex(request.key) !== undefined;
    if (request.kind === "past") return this.#past.has(pastName(request.range));
    const window = this.#scans.get(scanName(request.range));
    return window !== undefined && suffices(window, request.range);
  }

  put<K extends RowKind>(key: RowKey<K>, row: Row<K>): void {
    this.#change(key, row as Row);
  }
  delete(key: RowKey): void {
    this.#change(key, null);
  }

  #change(key: RowKey, after: Row | null): void {
    const before = this.#known(key, false);
    const isUnread = isKind(key, "keptEvent") || isKind(key, "result");
    invariant(before !== undefined || isUnread, "a row is read before it is changed", { key });
    // Kept events and results alone are not read before. They have no index entries, and another row lists which there
    // are: one that is put is new, one that is deleted may be stored.
    this.#dirty.setRow(key, after, () => (before === undefined ? after === null : before !== null));
    this.#pinned.set(key, after ?? ABSENT);
    const diff = indexDiff(key, before ?? null, after);
    const { removed, added } = diff;
    this.holdings.changed(key, before ?? null, after, diff);
    for (const entry of removed) {
      this.#dirty.removeIndex(entry);
      for (const window of this.#windows()) window.noteRemoved(entry);
    }
    for (const [entry, value] of added) {
      this.#dirty.addIndex(entry, value);
      for (const window of this.#windows()) window.noteAdded(entry, value);
    }
  }

  /** From here on the window is told of every change of the index. Read into it with `extend`. */
  watch(window: IndexWindow): void {
    this.#watched.push(window);
  }

  /** Reads what is named and not there yet, in one go. */
  async load(requests: readonly ReadRequest[]): Promise<void> {
    const keys = new Set<string>();
    const past = new Map<string, PastRange>();
    const loads: Promise<void>[] = [];
    for (const request of requests) {
      if (this.isLoaded(request)) continue;
      if (request.kind === "scan") loads.push(this.#loadScan(request.range));
      else if (request.kind === "past") past.set(pastName(request.range), request.range);
      else keys.add(request.key);
    }
    if (keys.size > 0) loads.push(this.#loadKeys([...keys]));
    if (past.size > 0) loads.push(this.#loadPast(past));
    await Promise.all(loads);
  }

  /** Forgets what was read for the batch; rows stay in the cache as far as it goes. */
  unpin(): void {
    this.#pinned.clear();
    this.#pinnedIndex.clear();
    this.#scans.clear();
    this.#past.clear();
  }

  /** Forgets the results that were read for a decision. */
  unpinResults(): void {
    if (this.#readResults.length === 0) return;
    for (const key of this.#readResults) this.#pinned.delete(key);
    this.#readResults = [];
  }

  /** Extends what the window knows until it holds `sizeMin` entries or its whole range. */
  async extend(window: IndexWindow, sizeMin: number): Promise<void> {
    while (!window.complete && window.size < sizeMin) {
      const from = window.readFrom;
      const thaws = this.#thaws;
      const stored = await this.#store.scan({ from, to: window.range.to, limit: SCAN_ENTRIES_MAX });
      if (thaws !== this.#thaws) continue;
      const last = stored.length < SCAN_ENTRIES_MAX ? undefined : stored.at(-1)?.[0];
      const upTo = last === undefined ? window.range.to : `${last}\0`;
      window.extend(upTo, this.#merged(from, upTo, stored));
    }
  }

  /** Reads one row beside the loop, without loading it. Right as of the moment it resolves. */
  async peek<K extends RowKind>(key: RowKey<K>): Promise<Row<K> | null> {
    for (;;) {
      const known = this.#known(key, false);
      if (known !== undefined) return known as Row<K> | null;
      const thaws = this.#thaws;
      const [bytes] = await this.#store.getMany([key]);
      // What was changed and written meanwhile may be forgotten already: then the bytes are old.
      if (thaws === this.#thaws && this.#known(key, false) === undefined) {
        return bytes === undefined ? null : decodeStored(key, bytes);
      }
    }
  }

  /** Takes all changes aside for a checkpoint; they stay visible. One at a time. */
  freeze(): FrozenChanges {
    invariant(this.#frozen === null, "one checkpoint at a time");
    const layer = this.#dirty;
    this.#frozen = layer;
    this.#dirty = new Layer();
    const rows: [RowKey, Row | null][] = [];
    for (const [key, { row, baseHas }] of layer.rows) if (row !== null || baseHas) rows.push([key, row]);
    const indexAdded: IndexEntry[] = [];
    const indexRemoved: string[] = [];
    layer.index.forEachPair((key, { value }) => {
      if (value === null) indexRemoved.push(key);
      else indexAdded.push([key, value]);
    });
    return { rows, indexAdded, indexRemoved, holdings: this.holdings.stored() };
  }

  /** The store has the frozen changes. @param bytesOf size of each written row */
  thaw(bytesOf: (key: RowKey) => number): void {
    const layer = this.#frozen;
    invariant(layer !== null, "only what is frozen thaws");
    this.#frozen = null;
    this.#thaws++;
    for (const [key, { row }] of layer.rows) {
      if (isResident(key)) this.#resident.set(key, row);
      else if (row === null) this.#cache.delete(key);
      else if (isKind(key, "result")) continue;
      else this.#remember(key, row, bytesOf(key));
    }
    layer.index.forEachPair((key, { value }) => {
      if (this.#pinnedIndex.has(key)) this.#pinnedIndex.set(key, value);
    });
  }

  /** @returns undefined: not loaded. `pin` makes the next read of the batch a short one, and keeps what is found. */
  #known(key: RowKey, pin: boolean): Row | null | undefined {
    const pinned = this.#pinned.get(key);
    if (pinned !== undefined) return pinned === ABSENT ? null : pinned;
    const change = this.#dirty.rows.get(key) ?? this.#frozen?.rows.get(key);
    const row = change === undefined ? (this.#resident.get(key) ?? this.#cache.get(key)?.row) : change.row;
    if (row !== undefined && pin) {
      this.reads.memory++;
      this.#pinned.set(key, row ?? ABSENT);
    }
    return row;
  }
  #knownIndex(key: string): string | null | undefined {
    const change = this.#dirty.index.get(key);
    return change === undefined ? this.#belowIndex(key) : change.value;
  }
  #belowIndex(key: string): string | null | undefined {
    const change = this.#frozen?.index.get(key);
    return change === undefined ? this.#pinnedIndex.get(key) : change.value;
  }

  async #loadKeys(keys: readonly string[]): Promise<void> {
    const values = await this.#store.getMany(keys);
    for (const [i, key] of keys.entries()) {
      const bytes = values[i];
      if (kindOf(key) === null) this.#pinnedIndex.set(key, bytes === undefined ? null : text.decode(bytes));
      else this.#keep(key as RowKey, bytes);
    }
  }
  #keep(key: RowKey, bytes: Uint8Array | undefined): void {
    this.reads.store++;
    const row = bytes === undefined ? null : decodeStored(key, bytes);
    if (isResident(key)) {
      this.#resident.set(key, row);
    } else if (isKind(key, "result")) {
      this.#pinned.set(key, row ?? ABSENT);
      this.#readResults.push(key);
    } else {
      this.#pinned.set(key, row ?? ABSENT);
      this.#remember(key, row, bytes?.length ?? 0);
    }
  }
  #remember(key: RowKey, row: Row | null, bytes: number): void {
    this.#cache.set(key, { row }, { size: CACHE_ENTRY_BYTES + key.length + DECODED_FACTOR * bytes });
  }

  async #loadScan(range: IndexRange): Promise<void> {
    const name = scanName(range);
    const window = this.#scans.get(name) ?? new IndexWindow(range);
    this.#scans.set(name, window);
    await this.extend(window, range.limit);
  }

  /** All ranges in one pass over the log. */
  async #loadPast(ranges: ReadonlyMap<string, PastRange>): Promise<void> {
    const found = await this.#pastSource.find([...ranges.values()]);
    for (const [i, name] of [...ranges.keys()].entries()) this.#past.set(name, found[i] ?? []);
  }

  /** Stored entries of [from, upTo) under the changes above them. */
  #merged(from: string, upTo: string, stored: readonly (readonly [string, Uint8Array])[]): Iterable<IndexEntry> {
    const merged = new Map<string, string>();
    for (const [key, value] of stored) merged.set(key, text.decode(value));
    for (const layer of [this.#frozen, this.#dirty]) {
      layer?.index.forRange(from, upTo, false, (key, { value }) => {
        if (value === null) merged.delete(key);
        else merged.set(key, value);
      });
    }
    return merged;
  }

  *#windows(): Iterable<IndexWindow> {
    yield* this.#watched;
    yield* this.#scans.values();
  }
}

const isResident = (key: RowKey): boolean => key === PARTITION_KEY || key === FUNCTIONS_KEY;
const scanName = ({ from, to, limit }: IndexRange): string => `${from}\n${to}\n${limit}`;
const pastName = ({ names, fromRawMs, toOffset }: PastRange): string => JSON.stringify([names, fromRawMs, toOffset]);
const suffices = (window: IndexWindow, { limit }: IndexRange): boolean => window.complete || window.size >= limit;

/** @throws StateCorruptedError: the store holds what no build wrote. */
export function decodeStored<K extends RowKind>(key: RowKey<K>, bytes: Uint8Array): Row<K> {
  const kind = kindOf(key) as K | null;
  invariant(kind !== null, "a row key carries its kind", { key });
  try {
    return decodeRow<K>(kind, bytes);
  } catch (cause) {
    if (!(cause instanceof BadRecordError)) throw cause;
    throw new StateCorruptedError(`row ${key} of the store cannot be read: ${cause.message}`, { key }, { cause });
  }
}
