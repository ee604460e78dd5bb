const SIGNALS = ["SIGTERM", "SIGINT"] as const;
export type ShutdownSignal = (typeof SIGNALS)[number];

/**
 * Calls back at the first SIGTERM or SIGINT. Later ones have their usual effect again.
 * @returns what takes the handlers away; idempotent.
 */
export function onShutdownSignals(callback: (signal: ShutdownSignal) => void): () => void {
  const forget = (): void => {
    for (const signal of SIGNALS) process.off(signal, handle);
  };
  const handle = (signal: ShutdownSignal): void => {
    forget();
    callback(signal);
  };
  for (const signal of SIGNALS) process.on(signal, handle);
  return forget;
}
