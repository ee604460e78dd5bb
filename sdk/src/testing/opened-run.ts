/** A run whose payloads are sealed, as its app sees it. */
import type { ErrorShape, RunSummary, TimelineLine } from "@eddy/schemas";
import { decodeJson, encodeJson } from "../protocol/json.js";
import { contextOfRun, contextOfStep, type Sealing } from "../sealing/sealing.js";

/** What may be sealed in a line. */
interface Sealed {
  readonly stepId?: string;
  readonly data?: unknown;
  readonly error?: ErrorShape | null;
}

/** @throws what the cipher throws */
export function openedRun(
  sealing: Sealing,
  summary: RunSummary,
  timeline: readonly TimelineLine[],
): { readonly summary: RunSummary; readonly timeline: readonly TimelineLine[] } {
  const { run_id: runId, output, error } = summary;
  const run = contextOfRun(runId);
  const value = (sealed: unknown, context: string): unknown =>
    decodeJson(sealing.openValue(encodeJson(sealed), context));
  const opened = (line: TimelineLine): TimelineLine => {
    const { stepId, data, error: why } = line as unknown as Sealed;
    const context = stepId === undefined ? run : contextOfStep(runId, stepId);
    return {
      ...line,
      ...(data === undefined ? {} : { data: value(data, context) }),
      ...(why === undefined || why === null ? {} : { error: sealing.openError(why, context) }),
    };
  };
  return {
    summary: {
      ...summary,
      output: value(output, run),
      error: error === null ? null : sealing.openError(error, run),
    },
    timeline: timeline.map(opened),
  };
}
