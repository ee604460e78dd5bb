/**
 * Where the data of settled steps lies: in the run's own row, or, what is large, in result rows, so that a step does not
 * write again what all steps before it gave (ADR 0022). Once the row has much, everything that follows lies apart.
 */
import { LIMITS, type MemoEntry, type ResultRef, type SettledStep } from "@eddy/schemas";
import { invariant } from "@eddy/clients/errors";
import { resultKey } from "./keys.js";
import type { Row, RowView, RowWriter } from "./view.js";

/** @returns null where there is no data, or it lies in the run's own row. */
export function refOf({ data }: SettledStep): ResultRef | null {
  return data === null || data instanceof Uint8Array ? null : data;
}

/** @returns bytes of data, wherever it lies. */
export function dataBytes({ data }: SettledStep): number {
  if (data === null) return 0;
  return data instanceof Uint8Array ? data.length : data.bytes;
}

/** Puts data that is to lie apart there. @returns the entry as the run's row has it. */
export function settle(rows: RowWriter, run: Row<"run">, entry: MemoEntry): SettledStep {
  const { data } = entry;
  if (data === null || !liesApart(run.memo, data)) return entry;
  const no = run.nextResultNo;
  rows.put(resultKey(run.runId, no), { data });
  return { ...entry, data: { no, bytes: data.length } };
}

function liesApart(memo: readonly SettledStep[], data: Uint8Array): boolean {
  if (data.length > LIMITS.resultInlineBytesMax) return true;
  let inline = 0;
  for (const step of memo) if (step.data instanceof Uint8Array) inline += step.data.length;
  return inline > LIMITS.runInlineBytesMax;
}

/** Nobody names the data of these entries any more. */
export function forget(rows: RowWriter, runId: string, steps: readonly SettledStep[]): void {
  for (const step of steps) {
    const ref = refOf(step);
    if (ref !== null) rows.delete(resultKey(runId, ref.no));
  }
}

/** @returns the entry as a worker gets it. The rows that it needs are loaded. */
export function withData(rows: Pick<RowView, "get">, runId: string, step: SettledStep): MemoEntry {
  const { data } = step;
  // Not copied: its data is what was just looked at.
  if (data === null || data instanceof Uint8Array) return step as MemoEntry;
  const row = rows.get(resultKey(runId, data.no));
  invariant(row !== null, "data that a run's row names is there", { runId, stepId: step.stepId, no: data.no });
  return { ...step, data: row.data };
}
