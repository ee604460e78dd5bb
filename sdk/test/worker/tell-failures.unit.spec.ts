import { describe, expect, it } from "vitest";
import { CONSOLE_LOGGER, type Logger } from "../../src/define/logger.js";
import { tellFailures } from "../../src/worker/tell-failures.js";

const request = {
  app: "shop",
  functionId: "shop/f",
  runId: "r1",
  invocation: 2,
  attempt: 0,
  maxAttempts: 3,
  stepAttempts: [["charge", 1]] as [string, number][],
  event: null,
  memo: [],
  memoTotal: 0,
};
const error = { name: "Error", message: "no", stack: "at x" };

function told(maxAttempts: number, retriable: boolean): string[] {
  const lines: string[] = [];
  const line =
    (level: string) =>
    (_: unknown, message: unknown): void =>
      void lines.push(`${level} ${String(message)}`);
  const logger: Logger = { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
  const op = { kind: "stepFailed" as const, stepId: "charge", error, retriable, retryAfter: null };
  const outcome = { kind: "threw" as const, error, retriable, retryAfter: null };
  tellFailures(logger, { ...request, maxAttempts }, [op], outcome);
  return lines;
}

describe("failed attempts", () => {
  it("are told with what comes next", () => {
    expect(told(3, true)).toEqual([
      'warn shop/f: step "charge" failed (attempt 2 of 3, the next follows): Error: no',
      "warn shop/f: the handler failed (attempt 1 of 3, the next follows): Error: no",
    ]);
  });
  it("are errors when no attempt is left", () => {
    expect(told(2, true)[0]).toBe('error shop/f: step "charge" failed (no attempt is left): Error: no');
    expect(told(9, false)[1]).toBe("error shop/f: the handler failed (no attempt is left): Error: no");
  });
});

describe("the console", () => {
  function written(...args: unknown[]): unknown[][] {
    const lines: unknown[][] = [];
    const { warn } = console;
    console.warn = (...line: unknown[]) => void lines.push(line);
    try {
      CONSOLE_LOGGER.warn(...args);
    } finally {
      console.warn = warn;
    }
    return lines;
  }
  it("gets Eddy's own lines as one line, the message first, a stack below", () => {
    const fields = { url: "ws://x", againInMs: 5, err: new Error("lost"), stack: "at y" };
    expect(written(fields, "no connection")).toEqual([
      ["eddy: no connection (url=ws://x, againInMs=5, err=lost)"],
      ["at y"],
    ]);
  });
  it("gets a handler's lines as they are", () => {
    expect(written("total", { sum: 3 })).toEqual([["total", { sum: 3 }]]);
    expect(written("only words")).toEqual([["only words"]]);
  });
});
