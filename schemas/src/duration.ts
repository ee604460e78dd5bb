import ms from "ms";
import type { Timeout } from "./function-config.js";
import { LIMITS } from "./limits.js";

/**
 * Reads a duration: a string in `ms` syntax ("24h", "3 days", "1w"), or a number of ms.
 * @returns ms, 0 to 366 days. @throws RangeError naming what was given.
 */
export function parseDuration(given: string | number): number {
  const length = typeof given === "number" ? given : (ms(given as ms.StringValue) as number | undefined);
  if (length === undefined || !Number.isFinite(length) || length < 0 || length > LIMITS.timeoutMsMax) {
    throw new RangeError(
      `expected a duration such as "24h", "3 days" or a number of ms, up to 366 days; got ${JSON.stringify(given)}`,
    );
  }
  return Math.round(length);
}

/** Reads a timeout: a duration, or a Date, which is a point in time. @throws RangeError */
export function parseTimeout(given: string | number | Date): Timeout {
  if (!(given instanceof Date)) return { ms: parseDuration(given) };
  const atMs = given.getTime();
  if (!Number.isFinite(atMs) || atMs < 0) throw new RangeError(`expected a valid Date; got ${String(given)}`);
  return { atMs };
}
