import type { Logger } from "@eddy/clients";
import type { SimProcess } from "../process.js";
import type { Trace } from "../trace.js";

/** Warnings and errors go into the trace; a dead process says nothing. */
export function simLogger(process: SimProcess, trace: Trace, nowMs: () => number): Logger {
  const line = (level: string) => (fields: object, message: string) => {
    if (process.alive) trace.add(nowMs(), process.name, `${level}: ${message}`, () => inOneLine(fields));
  };
  const silent = (): void => undefined;
  return { debug: silent, info: silent, warn: line("warning"), error: line("error") };
}

function inOneLine(fields: object): string {
  const text = JSON.stringify(fields, (_, value: unknown) =>
    value instanceof Error ? `${value.name}: ${value.message}` : value instanceof Uint8Array ? "bytes" : value,
  );
  return text.slice(0, 500);
}
