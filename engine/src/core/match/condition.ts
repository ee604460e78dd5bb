/** What is left to ask of an event that has the right value. */
import { holds, jsonBytes, scopeOf } from "@eddy/schemas";
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
