/**
 * `npm run test:chart`: lints, renders, validates and unit-tests the chart, and looks for drift of what is generated.
 * Writes .cache/test/chart-totals.txt ("N passed, N failed"), which .ci/run adds to its own. `--docs` writes the README.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checksOf } from "./checks.js";
import { ROOT, Tools } from "./tools.js";

const REPORTS = join(ROOT, ".cache/test");
const TOTALS = join(REPORTS, "chart-totals.txt");

interface Totals {
  readonly passed: number;
  readonly failed: number;
}

function runChecks(tools: Tools): Totals {
  let failed = 0;
  const checks = checksOf(tools);
  for (const { name, run } of checks) {
    const problems = run();
    console.log(`${problems.length === 0 ? "passed" : "FAILED"}  ${name}`);
    for (const problem of problems) console.log(`        ${problem}`);
    if (problems.length > 0) failed += 1;
  }
  return { passed: checks.length - failed, failed };
}

/** @returns what helm-unittest counts; one failure more where it fails without counting any. */
function runUnitTests(tools: Tools): Totals {
  const folder = mkdtempSync(join(tmpdir(), "eddy-chart-"));
  try {
    const report = join(folder, "report.xml");
    const { code, stdout } = tools.run("helm-unittest", [
      ...["charts/eddy", "--output-type", "JUnit", "--output-file", report],
    ]);
    console.log(stdout.trimEnd());
    const [tests, failures] = ["tests", "failures"].map((what) => sumOf(readFileSync(report, "utf8"), what)) as [
      number,
      number,
    ];
    const failed = code === 0 && tests > 0 ? failures : Math.max(1, failures);
    return { passed: Math.max(0, tests - failures), failed };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Over the suites of a JUnit report. */
function sumOf(xml: string, attribute: string): number {
  const suites = [...xml.matchAll(/<testsuite (?:[^>]*\s)?/g)].map(({ 0: tag }) => tag);
  return suites.reduce((sum, tag) => sum + Number(new RegExp(`\\b${attribute}="(\\d+)"`).exec(tag)?.[1] ?? 0), 0);
}

function main(): void {
  rmSync(TOTALS, { force: true });
  mkdirSync(REPORTS, { recursive: true });
  const since = Date.now();
  let totals: Totals[];
  try {
    const tools = Tools.ready((line) => console.log(line));
    if (process.argv.includes("--docs")) {
      process.exitCode = tools.run("helm-docs", ["--chart-search-root", "charts/eddy"]).code ?? 1;
      return;
    }
    totals = [runChecks(tools), runUnitTests(tools)];
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    totals = [{ passed: 0, failed: 1 }];
  }
  const passed = totals.reduce((sum, one) => sum + one.passed, 0);
  const failed = totals.reduce((sum, one) => sum + one.failed, 0);
  const line = `${passed} passed, ${failed} failed`;
  writeFileSync(TOTALS, `${line}\n`);
  console.log(`${line}  (${((Date.now() - since) / 1_000).toFixed(1)} s)`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

main();
