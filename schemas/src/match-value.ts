/** Values by which events meet: reading a path, and the canonical text of what is there. Pure. */

/** Lone surrogates have no UTF-8: each becomes U+FFFD, here as in every encoder, so that all see one value. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

/**
 * Canonical text of a match value. `1` and `1.0` are equal, `1` and `"1"` are not.
 * @returns null for a missing, null or non-scalar value, which matches nothing.
 */
export function canon(value: unknown): string | null {
  switch (typeof value) {
    case "string":
      return `s:${wellFormed(value)}`;
    case "number":
      return Number.isFinite(value) ? `n:${value === 0 ? 0 : value}` : null;
    case "boolean":
      return value ? "b:1" : "b:0";
    default:
      return null;
  }
}

/** Reads a dotted path. Only own properties count. @returns undefined where the path does not lead. */
export function valueAt(root: unknown, path: string): unknown {
  let at: unknown = root;
  for (const part of path.split(".")) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, part)) return undefined;
    at = (at as Record<string, unknown>)[part];
  }
  return at;
}

/**
 * The canonical value at a path of an event. A path that begins with `=` is a constant: every event has what follows
 * there. @returns null where there is none.
 */
export function canonAt(event: unknown, path: string): string | null {
  return path.startsWith("=") ? path.slice(1) : canon(valueAt(event, path));
}
