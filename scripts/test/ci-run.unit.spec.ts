import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";

const made: string[] = [];
afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
});

interface Parts {
  /** What `npm test` does. */
  readonly tests: string;
  /** What `npm run test:chart` does. */
  readonly chart: string;
}

/** Runs .ci/run in a repository whose `npm` does what it is told. */
function ciRun({ tests, chart }: Parts): { readonly lastLine: string; readonly code: number | null } {
  const root = mkdtempSync(join(tmpdir(), "eddy-ci-"));
  made.push(root);
  mkdirSync(join(root, "bin"));
  mkdirSync(join(root, ".cache/test"), { recursive: true });
  // Left over from an earlier run: must not be believed.
  for (const file of [TESTS, CHART]) writeFileSync(join(root, file), "99 passed, 0 failed\n");
  cpSync(join(import.meta.dirname, "../../.ci"), join(root, ".ci"), { recursive: true });
  const npm = `case "$*" in\n"test -- --static") ${tests} ;;\n"run --silent test:chart") ${chart} ;;\nesac`;
  writeFileSync(join(root, "bin/npm"), `#!/bin/sh\n${npm}\n`);
  chmodSync(join(root, "bin/npm"), 0o755);
  const path = `${join(root, "bin")}${delimiter}${process.env["PATH"] ?? ""}`;
  const { stdout, status } = spawnSync(join(root, ".ci/run"), {
    encoding: "utf8",
    env: { ...process.env, PATH: path },
  });
  return { lastLine: stdout.trimEnd().split("\n").at(-1) ?? "", code: status };
}

const TESTS = ".cache/test/totals.txt";
const CHART = ".cache/test/chart-totals.txt";
const says = (line: string, file = TESTS): string => `echo output; echo "${line}" > ${file}`;

describe(".ci/run", () => {
  const chart = says("5 passed, 0 failed", CHART);
  it.each([
    ["all passed", says("12 passed, 0 failed"), "17 passed, 0 failed", 0],
    ["some failed", `${says("11 passed, 1 failed")}; exit 1`, "16 passed, 1 failed", 1],
    ["some failed, exit code lost", says("11 passed, 1 failed"), "16 passed, 1 failed", 1],
    ["no tests", says("0 passed, 0 failed"), "5 passed, 0 failed", 1],
    ["a crash before counting", "exit 137", "5 passed, 1 failed", 137],
    ["silence", "exit 0", "5 passed, 1 failed", 1],
    ["a crash after counting", `${says("12 passed, 0 failed")}; exit 9`, "17 passed, 1 failed", 9],
    ["a broken total", says("lots passed"), "5 passed, 1 failed", 1],
    ["a runner that reads its input", `cat; ${says("1 passed, 0 failed")}`, "6 passed, 0 failed", 0],
  ])("tests: %s", (_name, tests, lastLine, code) => {
    expect(ciRun({ tests, chart })).toEqual({ lastLine, code });
  });
  it.each([
    ["some failed", `${says("4 passed, 1 failed", CHART)}; exit 1`, "16 passed, 1 failed", 1],
    ["Go is missing", `${says("0 passed, 1 failed", CHART)}; exit 1`, "12 passed, 1 failed", 1],
    ["a crash before counting", "exit 137", "12 passed, 1 failed", 137],
    ["nothing checked", says("0 passed, 0 failed", CHART), "12 passed, 0 failed", 1],
  ])("chart: %s", (_name, given, lastLine, code) => {
    expect(ciRun({ tests: says("12 passed, 0 failed"), chart: given })).toEqual({ lastLine, code });
  });
  it("ends as the part that failed first", () => {
    const both = { tests: "exit 3", chart: "exit 4" };
    expect(ciRun(both)).toEqual({ lastLine: "0 passed, 2 failed", code: 3 });
  });
});
