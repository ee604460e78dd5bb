/**
 * The judge's own reading of match values: equal scalars of the same type match, everything else matches nothing.
 * Written apart from the routing formula on purpose.
 */
export function scalarAt(body: unknown, path: string): string | number | boolean | null {
  let at = body;
  for (const part of path.split(".")) {
    if (at === null || typeof at !== "object" || !Object.prototype.hasOwnProperty.call(at, part)) return null;
    at = (at as Record<string, unknown>)[part];
  }
  return typeof at === "string" || typeof at === "number" || typeof at === "boolean" ? at : null;
}

export function sameAt(a: unknown, b: unknown, path: string): boolean {
  const value = scalarAt(a, path);
  return value !== null && value === scalarAt(b, path);
}
