/** What Eddy writes its own lines to, and what handlers get as `logger`. `console`, pino and winston fit. */
export interface Logger {
  /** For those who look for a fault. */
  debug(...args: unknown[]): void;
  /** What happens in the normal course. */
  info(...args: unknown[]): void;
  /** What goes wrong and is tried again. */
  warn(...args: unknown[]): void;
  /** What went wrong for good. */
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

type Write = (...args: unknown[]) => void;

/**
 * The default: the console. Eddy's own lines come as (fields, message), as pino has them; they are written as one line,
 * the message first. Anything else, a handler's lines above all, goes to the console as it is.
 */
export const CONSOLE_LOGGER: Logger = {
  debug: (...args) => oneLine((...line) => console.debug(...line), args),
  info: (...args) => oneLine((...line) => console.info(...line), args),
  warn: (...args) => oneLine((...line) => console.warn(...line), args),
  error: (...args) => oneLine((...line) => console.error(...line), args),
};

function oneLine(write: Write, args: readonly unknown[]): void {
  const [fields, message, ...rest] = args;
  const isOurs = typeof fields === "object" && fields !== null && typeof message === "string" && rest.length === 0;
  if (!isOurs) return write(...args);
  const { stack, ...short } = fields as Record<string, unknown>;
  const words = Object.entries(short).map(([key, value]) => `${key}=${textOf(value)}`);
  write(`eddy: ${message}${words.length === 0 ? "" : ` (${words.join(", ")})`}`);
  if (typeof stack === "string") write(stack);
}

function textOf(value: unknown): string {
  if (value instanceof Error) return value.message;
  return typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
}
