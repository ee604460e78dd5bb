/** Capped exponential backoff with full jitter: many clients that failed together do not come back together. */
export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * @param tries that failed so far, from 1.
 * @param random in [0, 1).
 * @returns ms, between half and all of the doubled delay: never 0, so that a closed port is not hammered.
 */
export function backoffMs({ firstMs, maxMs }: Backoff, tries: number, random: () => number): number {
  const full = Math.min(firstMs * 2 ** Math.min(tries - 1, 30), maxMs);
  return Math.round(full / 2 + (full / 2) * random());
}
