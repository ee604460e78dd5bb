/** How long a condition may take before the test fails, in ms of real time. */
export const PATIENCE_MS = 20_000;

/** Between two looks, in ms: a tenth of the time waited so far, so that looking does not keep from getting there. */
const PAUSE_MS = { min: 10, max: 100 } as const;

/** Waits for a condition, never for a time. @throws Error naming what did not come true. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | null> | T | null,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const beganMs = Date.now();
  for (;;) {
    const found = await probe();
    if (found !== null && found !== undefined && found !== false) return found;
    const waitedMs = Date.now() - beganMs;
    if (waitedMs > patienceMs) throw new Error(`did not come true within ${patienceMs} ms: ${what}`);
    const pauseMs = Math.min(PAUSE_MS.max, Math.max(PAUSE_MS.min, waitedMs / 10));
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
