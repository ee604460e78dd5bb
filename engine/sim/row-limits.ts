/**
 * Limits at which rows are split, made small, so that small scenarios split them. They are constants of the schemas; the
 * simulator changes them from outside for the time of one seed, in its own process, and never two seeds at once.
 */
import { LIMITS } from "@eddy/schemas";

export type RowLimits = Readonly<Record<"subscriptionsPerChunkMax" | "idsPerChunkMax", number>>;

let busy = false;

export async function withRowLimits<T>(limits: RowLimits, action: () => Promise<T>): Promise<T> {
  if (busy) throw new Error("seeds run one after the other");
  busy = true;
  const { subscriptionsPerChunkMax, idsPerChunkMax } = LIMITS;
  try {
    Object.assign(LIMITS, limits);
    return await action();
  } finally {
    Object.assign(LIMITS, { subscriptionsPerChunkMax, idsPerChunkMax });
    busy = false;
  }
}
