/** User data as JSON text in bytes: what steps return and events carry. */
const utf8 = new TextEncoder();
const text = new TextDecoder();

/**
 * `undefined`, functions and symbols become null.
 * @throws TypeError for what JSON cannot say (cycles, bigint), or whatever a `toJSON` throws.
 */
export function encodeJson(value: unknown): Uint8Array {
  return utf8.encode(JSON.stringify(value) ?? "null");
}

/** @throws SyntaxError */
export function decodeJson(data: Uint8Array): unknown {
  return JSON.parse(text.decode(data));
}

export function sameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  if (a === null || b === null) return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
