const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/**
 * Calls back at the first SIGTERM or SIGINT. Later ones have their usual effect again.
 * @returns what takes the handlers away; idempotent.
 */
export function onShutdownSignals(callback: () => void): () => void {
  const forget = (): void => {
    for (const signal of SIGNALS) process.off(signal, handle);
  };
  const handle = (): void => {
    forget();
    callback();
  };
  for (const signal of SIGNALS) process.on(signal, handle);
  return forget;
}
