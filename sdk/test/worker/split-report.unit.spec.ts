import { describe, expect, it } from "vitest";
import { encodeInbox, LIMITS, type InvocationOutcome, type StepOp } from "@eddy/schemas";
import { REPORT_BYTES_MAX } from "../../src/step/outbox.js";
import { splitReport } from "../../src/worker/split-report.js";

const completed = (stepId: string, bytes: number): StepOp => ({
  kind: "stepCompleted",
  stepId,
  data: new Uint8Array(bytes),
});
const failed = (stepId: string, text: string): StepOp => ({
  kind: "stepFailed",
  stepId,
  error: { name: "Error", message: text, stack: text },
  retriable: true,
  retryAfter: null,
});
const SUSPENDED: InvocationOutcome = { kind: "suspended" };
const RUN = "0".repeat(29);

const sizes = (ops: readonly StepOp[], outcome: InvocationOutcome | null): number[] =>
  splitReport(ops, outcome).map(
    (part) => encodeInbox({ kind: "report", report: { runId: RUN, invocation: 1, ...part } }).length,
  );

describe("a report", () => {
  it("stays whole where it is small", () => {
    const ops = [completed("a", 10), failed("b", "no")];
    expect(splitReport(ops, SUSPENDED)).toEqual([{ ops, outcome: SUSPENDED }]);
    expect(splitReport([], null)).toEqual([{ ops: [], outcome: null }]);
  });

  it("is split in order, the outcome with the last part", () => {
    const ops = [1, 2, 3].map((no) => completed(`s${no}`, 2 * 1_048_576));
    expect(splitReport(ops, SUSPENDED).map(({ ops: part, outcome }) => [part.map((op) => op.stepId), outcome])).toEqual(
      [
        [["s1", "s2"], null],
        [["s3"], SUSPENDED],
      ],
    );
  });

  it("of eight results of the greatest size is eight, each of which a record holds", () => {
    const ops = Array.from({ length: 8 }, (_, no) => completed(`s${no}`, LIMITS.stepResultBytesMax));
    expect(splitReport(ops, SUSPENDED)).toHaveLength(8);
    for (const bytes of sizes(ops, SUSPENDED)) expect(bytes).toBeLessThan(LIMITS.recordBytesMax);
  });

  it("gives a large outcome a part of its own", () => {
    const returned: InvocationOutcome = { kind: "returned", data: new Uint8Array(LIMITS.stepResultBytesMax) };
    const ops = [completed("a", LIMITS.stepResultBytesMax)];
    expect(splitReport(ops, returned)).toEqual([
      { ops, outcome: null },
      { ops: [], outcome: returned },
    ]);
  });

  it.each([
    ["results", Array.from({ length: 9 }, (_, i) => completed(`s${i}`, 1_500_000)), SUSPENDED],
    ["errors in many bytes", Array.from({ length: 60 }, (_, i) => failed(`s${i}`, "€".repeat(65_536))), SUSPENDED],
    ["long names", Array.from({ length: 1_000 }, (_, i) => completed(`${i}${"€".repeat(250)}`, 9_000)), null],
  ])("never is larger than its bound as a record: %s", (_, ops, outcome) => {
    const all = sizes(ops, outcome);
    expect(all.length).toBeGreaterThan(1);
    expect(Math.max(...all)).toBeLessThanOrEqual(REPORT_BYTES_MAX + 1_024);
    expect(splitReport(ops, outcome).flatMap((part) => part.ops)).toEqual(ops);
  });
});
