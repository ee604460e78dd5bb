/** How long a condition may take before the test fails, in ms of real time. */
export const PATIENCE_MS = 20_000;

/** Waits for a condition, never for a time. @throws Error naming what did not come true. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | null> | T | null,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const end = Date.now() + patienceMs;
  for (;;) {
    const found = await probe();
    if (found !== null && found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`did not come true within ${patienceMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
