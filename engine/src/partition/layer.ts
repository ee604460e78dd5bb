/** Changes since some moment, above a base: rows and the index entries derived from them. */
import type { Row, RowKey } from "../core/index.js";
import { orderedMap } from "./ordered-map.js";

export interface RowChange {
  /** null: deleted. */
  row: Row | null;
  /** May the base have the row? If not, a deletion leaves no trace. */
  readonly baseHas: boolean;
}

export interface IndexChange {
  /** null: removed. */
  readonly value: string | null;
  readonly baseHas: boolean;
}

export class Layer {
  readonly rows = new Map<RowKey, RowChange>();
  readonly index = orderedMap<IndexChange>();

  /** @param baseHas asked only where the layer has no change of that key yet. */
  setRow(key: RowKey, row: Row | null, baseHas: () => boolean): void {
    const change = this.rows.get(key);
    if (change === undefined) this.rows.set(key, { row, baseHas: baseHas() });
    else change.row = row;
  }

  /** An entry belongs to one row and is added when that begins to have it: the base lacks it, unless it went here. */
  addIndex(key: string, value: string): void {
    const change = this.index.get(key);
    this.index.set(key, { value, baseHas: change?.baseHas ?? false });
  }

  /** An entry that the base does not have goes without a trace. */
  removeIndex(key: string): void {
    const change = this.index.get(key);
    if (change === undefined || change.baseHas) this.index.set(key, { value: null, baseHas: true });
    else this.index.delete(key);
  }
}
