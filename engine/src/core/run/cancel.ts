import type { InboxRecordOf } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import { endRun } from "./end.js";

/** Somebody asked for a run to be cancelled. */
export function onCancel(draft: Draft, { runId, reason }: InboxRecordOf<"cancel">): void {
  const run = draft.liveRun(runId);
  if (run === null) draft.reject("RUN_FINISHED", `run ${runId} does not live here`);
  else endRun(draft, run, { kind: "cancelled", eventId: null, reason });
}
