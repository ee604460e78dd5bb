/** What Eddy writes its own lines to, and what handlers get as `logger`. `console`, pino and winston fit. */
export interface Logger {
  debug(...args: unknown[]): void;
  info(...args: unknown[]): void;
  warn(...args: unknown[]): void;
  error(...args: unknown[]): void;
}

/** The same logger, silent while `isMuted` says so: a replayed handler does not repeat its lines. */
export function mutedLogger(logger: Logger, isMuted: () => boolean): Logger {
  return {
    debug: (...args) => void (isMuted() || logger.debug(...args)),
    info: (...args) => void (isMuted() || logger.info(...args)),
    warn: (...args) => void (isMuted() || logger.warn(...args)),
    error: (...args) => void (isMuted() || logger.error(...args)),
  };
}
