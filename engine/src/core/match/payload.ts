/** Events as values, for conditions and for routes that their senders did not know. */
import { parsedJson } from "@eddy/schemas";

/** Payloads are immutable, and one is asked by many listeners. A memo: it changes no answer. */
const parsed = new WeakMap<Uint8Array, { readonly value: unknown }>();

/** @returns null where the payload is no JSON. */
export function eventOf(payload: Uint8Array): unknown {
  const known = parsed.get(payload);
  if (known !== undefined) return known.value;
  const value = parsedJson(payload);
  parsed.set(payload, { value });
  return value;
}
