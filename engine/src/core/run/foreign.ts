import type { ErrorShape } from "@eddy/schemas";
import { engineError } from "../draft.js";

/** Trigger, waits and cancel rules of a function must share one key for now; the run fails with this otherwise. */
export function foreignKeyError(match: string): ErrorShape {
  return engineError(
    "ForeignKeyError",
    `the value at ${match} places this wait or cancel rule on another partition than its run; ` +
      "all match paths of a function must have the same value in the triggering event",
  );
}
