/** What commands print for people. */
import type { HistoryEntry, RunSummary, TimelineLine } from "@eddy/schemas";
import pc from "picocolors";
import { describe, expect, it } from "vitest";
import { runHead, runState } from "../../src/cli/client/run-text.js";
import { Table } from "../../src/cli/client/table.js";
import { cut, durationShown, jsonShown, shown, timeShown } from "../../src/cli/client/text.js";
import { isEnd, timelineText } from "../../src/cli/client/timeline-text.js";
import { linesOf } from "./command-line.js";

const plain = { columns: null, colors: pc.createColors(false) };
const terminal = (columns: number) => ({ columns, colors: pc.createColors(true) });

describe("text", () => {
  it.each([
    ["\u001b[2J\u001b]0;title\u0007", "\\u{1b}[2J\\u{1b}]0;title\\u{7}"],
    ["a\nb\tc\rd", "a\\nb\\tc\\rd"],
    ["\u009b31m", "\\u{9b}31m"],
    ["abc\u202edef\u2028", "abc\\u{202e}def\\u{2028}"],
    ["\ud800", "\\u{d800}"],
    ["Grüße 👩 日本", "Grüße 👩 日本"],
  ])("shows %j without moving a terminal", (given, wanted) => {
    expect(shown(given)).toBe(wanted);
  });

  it("shows JSON on one line, with nothing that JSON leaves as it is", () => {
    expect(jsonShown({ a: "\u009b\n" })).toBe('{"a":"\\u{9b}\\n"}');
    expect(jsonShown(undefined)).toBe("");
  });

  it.each([
    [0, "0ms"],
    [999, "999ms"],
    [1_000, "1s"],
    [1_250, "1.25s"],
    [59_990, "59.99s"],
    [60_000, "1m"],
    [65_000, "1m 5s"],
    [3_600_000, "1h"],
    [3_660_000, "1h 1m"],
    [86_399_999, "23h 59m"],
    [86_400_000, "1d"],
    [100_800_000, "1d 4h"],
    [-2_000, "-2s"],
  ])("shows %i ms as %s", (ms, wanted) => {
    expect(durationShown(ms)).toBe(wanted);
  });

  it("cuts by characters and says so", () => {
    expect(cut("abcdef", 4)).toBe("abc…");
    expect(cut("abcd", 4)).toBe("abcd");
    expect(cut("👩👩👩", 2)).toBe("👩…");
    expect(cut("abc", null)).toBe("abc");
  });

  it("shows times to the second", () => {
    expect(timeShown("2026-01-31T12:00:00.123Z")).toBe("2026-01-31T12:00:00Z");
  });
});

describe("a table", () => {
  const columns = [{ title: "ID" }, { title: "NAME", mayBeCut: true }, { title: "N" }];
  const long = "n".repeat(50);

  it("has its columns in line, no spaces at the ends, and nothing cut beyond a terminal", () => {
    const text = new Table(columns, plain).render([
      ["1", long, "5"],
      ["22", "日本", "6"],
    ]);
    const gap = " ".repeat(46);
    expect(linesOf(text)).toEqual([`ID  NAME${gap}  N`, `1   ${long}  5`, `22  日本${gap}  6`]);
  });

  it("fits the terminal: what may be cut is, an id never", () => {
    const id = "i".repeat(20);
    const rows = [[id, pc.createColors(true).red(long), "5"]];
    const text = new Table(columns, terminal(40)).render(rows);
    const [, row = ""] = linesOf(text).map((line) => line.replace(/\u001b\[\d+m/g, ""));
    expect(row).toHaveLength(40);
    expect(row).toMatch(/^i{20} {2}n{14}… {2}5$/);
    expect(linesOf(new Table(columns, terminal(10)).render(rows))[1]).toContain(id);
  });

  it("names its columns once, and keeps their widths on a terminal", () => {
    const table = new Table(columns, terminal(40));
    table.render([["1", "short", "5"]]);
    const [row = "", ...more] = linesOf(table.render([["2", "rather long", "6"]]));
    expect(more).toEqual([]);
    expect(row).toBe("2   rath…  6");
    expect(table.render([])).toBe("");
  });

  it("cuts nothing in later parts beyond a terminal", () => {
    const table = new Table(columns, plain);
    table.render([["1", "short", "5"]]);
    expect(table.render([["2", long, "6"]])).toContain(long);
  });
});

const at = "2026-01-01T00:00:05.000Z";
const start = "2026-01-01T00:00:00.000Z";
const atMs = Date.parse(at);
const error = { name: "Error", message: "no\nmail", stack: null };

const LINES: Record<HistoryEntry["kind"], readonly [Record<string, unknown>, string]> = {
  runStarted: [
    { eventName: "cart/added", dueAtMs: atMs + 60_000 },
    "started                    by cart/added, due in 1m",
  ],
  runDispatched: [{ invocation: 2, reason: "retry" }, "sent to a worker           it tries again, invocation 2"],
  stepCompleted: [{ stepId: "mail", data: { ok: true } }, 'step mail                  {"ok":true}'],
  stepFailed: [
    { stepId: "mail", error, attempt: 1, retryAtMs: atMs + 2_000 },
    "step mail failed           Error: no\\nmail (attempt 1, next in 2s)",
  ],
  sleepStarted: [{ stepId: "nap", untilMs: atMs }, "sleep nap                  until 2026-01-01T00:00:05Z"],
  sleepEnded: [{ stepId: "nap" }, "sleep nap is over"],
  waitStarted: [
    { stepId: "w", eventName: "paid", untilMs: atMs },
    "wait w                     for paid until 2026-01-01T00:00:05Z",
  ],
  waitResolved: [
    { stepId: "w", eventId: "e1", fromLookback: true },
    "wait w resolved            by event e1, which had come before",
  ],
  waitTimedOut: [{ stepId: "w" }, "wait w timed out"],
  stepWithdrawn: [{ stepId: "w" }, "w withdrawn                it lost a race"],
  attemptFailed: [
    { error, attempt: 5, retryAtMs: null },
    "handler failed             Error: no\\nmail (attempt 5, the last one)",
  ],
  runCompleted: [{ data: 7 }, "completed                  7"],
  runFailed: [{ error }, "failed                     Error: no\\nmail"],
  runCancelled: [{ eventId: "e2", reason: "cancelOn" }, "cancelled by event e2      cancelOn"],
};

describe("a timeline", () => {
  it.each(Object.entries(LINES))("tells %s", (kind, [more, wanted]) => {
    expect(timelineText({ kind, at, ...more }, start, plain)).toBe(`+5s         ${wanted}\n`);
  });

  it.each(Object.keys(LINES))("knows whether %s is the end", (kind) => {
    expect(isEnd({ kind, at })).toBe(["runCompleted", "runFailed", "runCancelled"].includes(kind));
  });

  it("tells what it does not know, and times that no date can hold", () => {
    const line: TimelineLine = { kind: "toString", at, n: 1 };
    expect(timelineText(line, start, plain)).toBe('+5s         toString                   {"n":1}\n');
    const never = { kind: "sleepStarted", at, stepId: "s", untilMs: 9e18 };
    expect(timelineText(never, start, plain)).toContain("until 9000000000000000000");
  });

  it("fits the terminal", () => {
    const line = { kind: "stepCompleted", at, stepId: "mail", data: "x".repeat(200) };
    const [text = ""] = linesOf(timelineText(line, start, terminal(60)).replace(/\u001b\[\d+m/g, ""));
    expect(text).toHaveLength(60);
    expect(text.endsWith("…")).toBe(true);
  });
});

describe("a run", () => {
  const run: RunSummary = {
    run_id: "r1",
    function_id: "shop/cart",
    event_id: "e1",
    event_name: "cart/added",
    status: "Running",
    run_started_at: start,
    ended_at: null,
    output: null,
    error: null,
  };

  it("has its names in line", () => {
    const text = runHead(run, plain) + runState(run, plain);
    expect(linesOf(text)).toEqual([
      "run       r1",
      "function  shop/cart",
      "event     cart/added e1",
      "started   2026-01-01T00:00:00Z",
      "status    Running",
    ]);
  });

  it("says what came of it", () => {
    const completed: RunSummary = { ...run, status: "Completed", ended_at: at, output: { n: 1 } };
    expect(linesOf(runState(completed, plain))).toEqual(["status    Completed after 5s", 'output    {"n":1}']);
    const failed: RunSummary = { ...run, status: "Failed", ended_at: at, error };
    expect(linesOf(runState(failed, plain))).toEqual(["status    Failed after 5s", "error     Error: no\\nmail"]);
    expect(runHead({ ...run, event_id: "", event_name: "" }, plain)).toContain("no longer known");
  });
});
