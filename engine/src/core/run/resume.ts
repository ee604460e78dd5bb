import type { Draft } from "../draft.js";
import { dispatch } from "./dispatch.js";
import { endRun } from "./end.js";
import { isInFlight } from "./lifecycle.js";
import { stateTooLarge } from "./state-size.js";

/** Something was settled: the run goes on, unless it has become too large. */
export function resume(draft: Draft, runId: string): void {
  const error = stateTooLarge(draft.run(runId));
  if (error !== null) endRun(draft, draft.run(runId), { kind: "failed", error });
  else if (!isInFlight(draft.run(runId))) dispatch(draft, runId, "resume");
}
