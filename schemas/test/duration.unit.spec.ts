import { describe, expect, it } from "vitest";
import { LIMITS, parseDuration, parseTimeout } from "@eddy/schemas";

const DAY_MS = 86_400_000;

describe("parseDuration", () => {
  it.each([
    ["24h", DAY_MS],
    ["48h", 2 * DAY_MS],
    ["3 days", 3 * DAY_MS],
    ["1w", 7 * DAY_MS],
    ["1 week", 7 * DAY_MS],
    ["90m", 5_400_000],
    ["30s", 30_000],
    ["1.5h", 5_400_000],
    ["250ms", 250],
    ["250", 250],
    ["0", 0],
    [0, 0],
    [1, 1],
    [1.4, 1],
    ["366d", LIMITS.timeoutMsMax],
    [LIMITS.timeoutMsMax, LIMITS.timeoutMsMax],
    [LIMITS.timeoutMsMax - 1, LIMITS.timeoutMsMax - 1],
  ])("reads %j as %i ms", (given, expected) => {
    expect(parseDuration(given)).toBe(expected);
  });

  it.each([
    [LIMITS.timeoutMsMax + 1],
    ["367d"],
    ["1.1y"],
    [-1],
    ["-1h"],
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [""],
    ["   "],
    ["soon"],
    ["24 hrs and more"],
    ["1h 30m"],
    ["PT24H"],
    ["h"],
    ["9".repeat(101)],
    [`${"9".repeat(400)}h`],
  ])("refuses %j with a RangeError that says what was given", (given) => {
    expect(() => parseDuration(given)).toThrow(RangeError);
    expect(() => parseDuration(given)).toThrow(typeof given === "string" ? JSON.stringify(given) : String(given));
  });

  it.each([[null], [undefined], [{}], [["24h"]], [true], [24n]])(
    "refuses what no type allows, such as %s, with a RangeError",
    (given) => {
      expect(() => parseDuration(given as never)).toThrow(RangeError);
    },
  );
});

describe("parseTimeout", () => {
  it("gives a length for a duration, a point in time for a Date", () => {
    expect(parseTimeout("24h")).toEqual({ ms: DAY_MS });
    expect(parseTimeout(1500)).toEqual({ ms: 1500 });
    expect(parseTimeout(new Date(1_700_000_000_000))).toEqual({ atMs: 1_700_000_000_000 });
    expect(parseTimeout(new Date(0))).toEqual({ atMs: 0 });
  });
  it.each([[new Date(Number.NaN)], [new Date(-1)]])("refuses %s", (given) => {
    expect(() => parseTimeout(given)).toThrow(RangeError);
  });
});
