/** Rows of a partition that has seen nothing. */
import type { Row } from "./view.js";

export function initialPartitionRow(logicVersion: number): Row<"partition"> {
  const empty = { bucket: 0, chunk: 0, used: 0 };
  return {
    logic: logicVersion,
    advanceMs: 0,
    registrations: 0,
    settling: [],
    settleMs: 0,
    ids: { generated: { ...empty }, user: { ...empty } },
  };
}

export function initialFunctionsRow(): Row<"functions"> {
  return { version: 0, apps: [] };
}
