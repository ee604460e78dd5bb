import { LIMITS, type ErrorShape } from "@eddy/schemas";
import { engineError } from "../draft.js";
import type { Row } from "../state/view.js";

/** Bytes of user data that a run's row holds: its event, and what its steps and waits have settled with. */
export function stateBytes(run: Row<"run">): number {
  let bytes = run.event.payload.length;
  for (const { data, error } of run.memo) {
    bytes += data?.length ?? 0;
    if (error !== null) bytes += error.message.length + (error.stack?.length ?? 0);
  }
  return bytes;
}

/** A run's row must stay small enough for the log. @returns null while it is. */
export function stateTooLarge(run: Row<"run">): ErrorShape | null {
  const bytes = stateBytes(run);
  if (bytes <= LIMITS.runStateBytesMax) return null;
  return engineError(
    "RunStateTooLargeError",
    `the results of this run's steps and waits come to ${bytes} bytes, the limit is ${LIMITS.runStateBytesMax}; ` +
      "let steps return references to large data, not the data",
  );
}
