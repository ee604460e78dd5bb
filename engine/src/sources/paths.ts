/** Where in a record something is: `key`, `value`, `value.order.id`, `value.items.0`, `headers.type`. */
import { headerText, type Decoded } from "./decoded.js";

/** @returns undefined where the record has nothing there. Only what the record itself holds is found. */
export function readPath(path: string, { key, value, headers }: Decoded): unknown {
  const [root, ...rest] = path.split(".");
  if (root === "key") return key ?? undefined;
  if (root === "headers") return headerText(headers, rest.join(".")) ?? undefined;
  let found: unknown = value;
  for (const field of rest) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, field)) return undefined;
    found = (found as Record<string, unknown>)[field];
  }
  return found;
}
