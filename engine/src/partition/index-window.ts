/**
 * What is known of one index range: every entry of [from, coveredTo), dirty, frozen and stored ones merged. It follows
 * each change as it happens, so it stays right when layers move, and only ever grows by reading at its end.
 */
import { invariant } from "@eddy/clients/errors";
import { orderedMap } from "./ordered-map.js";

export type IndexEntry = readonly [key: string, value: string];

export class IndexWindow {
  readonly #entries = orderedMap<string>();
  /** Exclusive. */
  #coveredTo: string;
  /** Changes whenever `lowest` may have changed. */
  version = 0;

  /**
   * @param range `from` inclusive, `to` exclusive.
   * @param floor everything below it is dealt with: not read any more, and no entry may appear there. Never goes back.
   */
  constructor(
    readonly range: { readonly from: string; readonly to: string },
    private readonly floor: () => string = () => range.from,
  ) {
    this.#coveredTo = range.from;
  }

  /** Where `extend` goes on. */
  get readFrom(): string {
    const floor = this.floor();
    return floor > this.#coveredTo ? floor : this.#coveredTo;
  }
  /** Is the whole range known? */
  get complete(): boolean {
    return this.#coveredTo >= this.range.to;
  }
  get size(): number {
    return this.#entries.size;
  }
  /** First key; where none is known, the end of what is; undefined where the range is known to be empty. */
  get lowest(): string | undefined {
    return this.#entries.minKey() ?? (this.complete ? undefined : this.#coveredTo);
  }
  /** First key that is known for sure. */
  get firstKey(): string | undefined {
    return this.#entries.minKey();
  }
  has(key: string): boolean {
    return this.#entries.has(key);
  }

  first(limit: number): readonly IndexEntry[] {
    const found: IndexEntry[] = [];
    this.#entries.forRange(this.range.from, this.#coveredTo, true, (key, value) => {
      if (found.length >= limit) return { break: true };
      found.push([key, value]);
      return undefined;
    });
    return found;
  }

  noteAdded(key: string, value: string): void {
    if (key < this.range.from || key >= this.range.to) return;
    const floor = this.floor();
    invariant(key >= floor, "no index entry appears behind its window: a timer would never fire", { key, floor });
    if (key >= this.#coveredTo) return;
    this.#entries.set(key, value);
    this.version++;
  }
  noteRemoved(key: string): void {
    if (this.#entries.delete(key)) this.version++;
  }

  /** Adds what was read from `readFrom` on: all entries below `upTo`. */
  extend(upTo: string, entries: Iterable<IndexEntry>): void {
    for (const [key, value] of entries) this.#entries.set(key, value);
    this.#coveredTo = upTo;
    this.version++;
  }

  /** Forgets entries from the end on until at most `entriesMax` are left. */
  trim(entriesMax: number): void {
    if (this.#entries.size <= entriesMax) return;
    let kept = 0;
    let cut = this.#coveredTo;
    this.#entries.forRange(this.range.from, this.#coveredTo, true, (key) => {
      if (kept < entriesMax) {
        kept++;
        return undefined;
      }
      cut = key;
      return { break: true };
    });
    this.#entries.deleteRange(cut, this.#coveredTo, true);
    this.#coveredTo = cut;
    this.version++;
  }
}
