import { expect } from "vitest";
import { indexDiff } from "../../src/core/index.js";
import type { Scenario } from "./scenario.js";

/** The indexes are exactly what the rows say. */
export function expectDerivedIndexes(s: Scenario): void {
  const derived = new Map<string, string>();
  for (const [rowKey, row] of s.world.rows) {
    for (const [k, v] of indexDiff(rowKey as never, null, row).added) derived.set(k, v);
  }
  expect([...s.world.index].sort()).toEqual([...derived].sort());
}
