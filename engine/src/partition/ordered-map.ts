/** An ordered map of text keys. All keys that are scanned in order are ASCII, so text order is byte order. */
import { createRequire } from "node:module";
import type SortedBtree from "sorted-btree";

// The package is CommonJS, and Node and test runners disagree about what its default import is: ask for it as Node does.
const { default: BTree } = createRequire(import.meta.url)("sorted-btree") as typeof SortedBtree;

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export type OrderedMap<V> = InstanceType<typeof BTree<string, V>>;
export function orderedMap<V>(): OrderedMap<V> {
  return new BTree<string, V>(undefined, compareText);
}
