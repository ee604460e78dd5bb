/** Records and rows with every field that a test does not care about filled in. */
import type { FunctionConfig, InboxRecordOf, RunRow, StepOp } from "@eddy/schemas";

export function eventOf(given: Partial<InboxRecordOf<"event">> = {}): InboxRecordOf<"event"> {
  return {
    kind: "event",
    id: "e",
    idFrom: "generated",
    name: "n",
    tsMs: 0,
    values: [],
    payload: new Uint8Array(),
    version: 0,
    home: 0,
    origin: null,
    ...given,
  };
}

export function runOf(runId: string, given: Partial<RunRow> = {}): RunRow {
  return {
    runId,
    functionId: "app/f",
    app: "app",
    event: { id: "e", name: "n", values: [], payload: new Uint8Array() },
    anchor: "",
    startedOffset: 0,
    startedAtMs: 0,
    beganOffset: 0,
    mark: { offset: 0, atMs: 0 },
    laterMarks: [],
    retries: 0,
    memo: [],
    nextResultNo: 0,
    pending: [],
    nextPendingNo: 0,
    withdrawn: [],
    subscriptions: [],
    foreign: [],
    attempts: [],
    taken: [],
    invocation: { no: 0, cause: null, leaseUntilMs: null, memoSent: 0 },
    ...given,
  };
}

type Cancel = FunctionConfig["cancelOn"][number];
type Wait = FunctionConfig["waits"][number];

/** A trigger. */
export const on = (event: string): FunctionConfig["triggers"][number] => ({ event, if: null });
export const cancelBy = (event: string, match: string, ms: number): Cancel => ({
  event,
  match,
  if: null,
  timeout: { ms },
});
export const waitFor = (event: string, match: string): Wait => ({ event, match, if: null, since: "mark" });
export function waitOp(
  stepId: string,
  wait: Pick<Extract<StepOp, { kind: "waitRequested" }>, "event" | "match" | "value" | "timeout">,
): StepOp {
  return { kind: "waitRequested", stepId, if: null, since: "mark", ...wait };
}
