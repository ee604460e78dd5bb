/** What is left to ask of an event that has the right value. */
import { holds, jsonBytes, LIMITS, scopeOf, type ErrorShape } from "@eddy/schemas";
import { engineError } from "../draft.js";
import { eventOf } from "./payload.js";

/** `trigger`: the triggering event as JSON, or the part of it that the condition reads. */
export interface Asked {
  readonly if: string | null;
  readonly trigger: Uint8Array | null;
}

export function isMet({ if: condition, trigger }: Asked, payload: Uint8Array): boolean {
  if (condition === null) return true;
  return holds(condition, trigger === null ? null : eventOf(trigger), eventOf(payload));
}

/** What another partition needs of the trigger. @returns null where it needs nothing. */
export function givenFor(condition: string | null, trigger: Uint8Array): Uint8Array | null {
  return condition === null ? null : jsonBytes(scopeOf(condition, eventOf(trigger)));
}

/** @returns why a run cannot listen elsewhere by this condition; null where it can. */
export function givenTooLarge(condition: string | null, given: Uint8Array | null): ErrorShape | null {
  if (given === null || given.length <= LIMITS.givenBytesMax) return null;
  const message =
    `the condition ${condition} reads ${given.length} bytes of the event that started this run, the limit is ` +
    `${LIMITS.givenBytesMax}; let it name the fields that it needs`;
  return engineError("ConditionTooLargeError", message);
}
