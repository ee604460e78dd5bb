/**
 * Limits at which rows and requests are split, and requests stop to go whole, made small, so that small scenarios meet both sides of
 * them. They are constants of the schemas; the simulator changes them from outside for the time of one seed, in its own
 * process, and never two seeds at once.
 */
import { LIMITS } from "@eddy/schemas";

const NAMES = [
  ...(["subscriptionsPerChunkMax", "idsPerChunkMax", "wholeRequestBytesMax"] as const),
  ...(["resultInlineBytesMax", "runInlineBytesMax", "requestPartBytesMax"] as const),
] as const;
export type RowLimits = Readonly<Record<(typeof NAMES)[number], number>>;

let busy = false;

export async function withRowLimits<T>(limits: RowLimits, action: () => Promise<T>): Promise<T> {
  if (busy) throw new Error("seeds run one after the other");
  busy = true;
  const before = Object.fromEntries(NAMES.map((name) => [name, LIMITS[name]]));
  try {
    Object.assign(LIMITS, limits);
    return await action();
  } finally {
    Object.assign(LIMITS, before);
    busy = false;
  }
}
