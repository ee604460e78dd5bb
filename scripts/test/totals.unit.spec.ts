import { describe, expect, it } from "vitest";
import { checkTotals, ownTotals, vitestTotals } from "../lib/totals.mjs";

interface Counts {
  readonly passed?: number;
  readonly failed?: number;
  readonly skipped?: number;
  readonly todo?: number;
  readonly files?: readonly { name: string; status: string; assertionResults: { status: string }[] }[];
}

/** Vitest's JSON report, as far as it is read. */
const report = ({ passed = 3, failed = 0, skipped = 0, todo = 0, files = [] }: Counts): unknown => ({
  numPassedTests: passed,
  numFailedTests: failed,
  numPendingTests: skipped,
  numTodoTests: todo,
  testResults: files,
});
const counts = ({ passed, failed }: { passed: number; failed: number }): string => `${passed}/${failed}`;

describe("totals of a run", () => {
  const broken = { name: "a.spec.ts", status: "failed", assertionResults: [] };
  const red = { name: "b.spec.ts", status: "failed", assertionResults: [{ status: "failed" }] };

  it.each([
    ["all passed", report({}), 0, "3/0"],
    ["one failed", report({ passed: 2, failed: 1, files: [red] }), 1, "2/1"],
    ["a file that does not load", report({ files: [broken] }), 1, "3/1"],
    ["a file that does not load beside a red one", report({ failed: 1, files: [broken, red] }), 1, "3/2"],
    ["a skipped test", report({ skipped: 1 }), 0, "3/1"],
    ["a test still to write", report({ todo: 2 }), 0, "3/2"],
    ["no tests at all", report({ passed: 0 }), 0, "0/1"],
    ["a crash before the report", undefined, 139, "0/1"],
    ["no report, though it ended well", undefined, 0, "0/1"],
    ["an error outside the tests", report({}), 1, "3/1"],
  ])("vitest: %s", (_name, given, code, expected) => {
    expect(counts(vitestTotals(given, code))).toBe(expected);
  });

  it.each([
    ["all passed", { passed: 40, failed: 0 }, 0, "40/0"],
    ["some failed", { passed: 40, failed: 2 }, 1, "40/2"],
    ["a crash after the report", { passed: 40, failed: 0 }, 134, "40/1"],
    ["nothing ran", { passed: 0, failed: 0 }, 0, "0/1"],
    ["no report", undefined, 0, "0/1"],
    ["a report without counts", { passed: "40" }, 0, "0/1"],
  ])("a suite that counts itself: %s", (_name, given, code, expected) => {
    expect(counts(ownTotals(given, code))).toBe(expected);
  });

  it("a suite that does not count is one test", () => {
    expect([counts(checkTotals(0)), counts(checkTotals(2))]).toEqual(["1/0", "0/1"]);
  });
});
