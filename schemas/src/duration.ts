import ms from "ms";
import type { Timeout } from "./function-config.js";
import { LIMITS } from "./limits.js";

/**
 * Reads a duration: a string in `ms` syntax ("24h", "3 days", "1w"), or a number of ms.
 * @returns ms, 0 to 366 days. @throws RangeError naming what was given.
 */
export function parseDuration(given: string | number): number {
  const length = typeof given === "string" ? parseText(given) : given;
  if (typeof length !== "number" || !Number.isFinite(length) || length < 0 || length > LIMITS.timeoutMsMax) {
    const got = typeof given === "string" ? JSON.stringify(given) : String(given);
    throw new RangeError(`expected a duration such as "24h", "3 days" or a number of ms, up to 366 days; got ${got}`);
  }
  return Math.round(length);
}

/** @returns ms, or undefined, which the types of `ms` hide. It throws an Error of its own on an empty text. */
function parseText(text: string): number | undefined {
  return text === "" ? undefined : ms(text as ms.StringValue);
}

/** Reads a timeout: a duration, or a Date, which is a point in time. @throws RangeError */
export function parseTimeout(given: string | number | Date): Timeout {
  if (!(given instanceof Date)) return { ms: parseDuration(given) };
  const atMs = given.getTime();
  if (!Number.isFinite(atMs) || atMs < 0) throw new RangeError(`expected a valid Date; got ${String(given)}`);
  return { atMs };
}
