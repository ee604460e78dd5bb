// `npm test`: installs, builds and tests, from a clean clone on. `npm run verify` adds format and lint (--static).
// Writes .cache/test/totals.txt ("N passed, N failed"), which .ci/run ends with.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, install, nodeProblem } from "./lib/install.mjs";
import { heading, run, seconds } from "./lib/run.mjs";
import { SUITES } from "./lib/suites.mjs";
import { checkTotals, ownTotals, vitestTotals } from "./lib/totals.mjs";

const root = join(import.meta.dirname, "..");
const reports = join(root, ".cache/test");

/** @typedef {{ name: string, totals: import("./lib/totals.mjs").Totals, took: string }} Result */

/** @param {readonly string[]} args */
function readArguments(args) {
  const unknown = args.filter((arg) => arg !== "--static");
  if (unknown.length === 0) return { withStatic: args.includes("--static") };
  console.error(`unknown: ${unknown.join(" ")}. To run some tests alone: npx vitest run <part of a file's path>`);
  process.exit(2);
}

/**
 * @param {import("./lib/suites.mjs").Suite} suite
 * @returns {Promise<Result>}
 */
async function runSuite(suite) {
  heading(suite.name);
  const since = Date.now();
  const file = join(reports, `${suite.name.replaceAll(" ", "-")}.json`);
  const notesFile = `${file}.notes`;
  const extra = suite.report === "vitest" ? ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`] : [];
  const code = await run(process.execPath, [...suite.command, ...extra], {
    cwd: root,
    env: { ...process.env, EDDY_TEST_REPORT: file, EDDY_TEST_NOTES: notesFile },
  });
  const totals =
    suite.report === "vitest"
      ? vitestTotals(readReport(file), code)
      : suite.report === "own"
        ? ownTotals(readReport(file), code)
        : checkTotals(code);
  const notes = [...totals.notes, ...readNotes(notesFile)];
  return { name: suite.name, totals: { ...totals, notes }, took: seconds(since) };
}

/**
 * @param {string} file
 * @returns {unknown} undefined when there is no whole report
 */
function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined; // Missing or cut short: the suite crashed, which counts as a failure.
  }
}

/**
 * @param {string} file
 * @returns {readonly string[]} lines
 */
function readNotes(file) {
  return existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n") : [];
}

/** @param {readonly Result[]} results */
function summarise(results) {
  let passed = 0;
  let failed = 0;
  heading("totals");
  for (const { name, totals, took } of results) {
    passed += totals.passed;
    failed += totals.failed;
    console.log(`${name.padEnd(16)} ${totals.passed} passed, ${totals.failed} failed  (${took})`);
    for (const note of totals.notes) console.log(`${" ".repeat(17)}${note}`);
  }
  const line = `${passed} passed, ${failed} failed`;
  writeFileSync(join(reports, "totals.txt"), `${line}\n`);
  console.log(line);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

async function main() {
  const { withStatic } = readArguments(process.argv.slice(2));
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports, { recursive: true });
  const since = Date.now();
  /** @type {Result[]} */
  const results = [];
  /** @param {string} name @param {boolean} ok */
  const add = (name, ok) => results.push({ name, totals: checkTotals(ok ? 0 : 1), took: seconds(since) });

  const problem = nodeProblem();
  if (problem !== null) console.error(problem);
  if (problem !== null || !(await install(root))) {
    add("install", false);
    summarise(results);
    return;
  }
  // Tests run on the sources, so a build error fails the run but does not hide what the tests say.
  add("build", await build(root));
  for (const suite of SUITES) {
    if (suite.staticOnly === true && !withStatic) continue;
    results.push(await runSuite(suite));
  }
  summarise(results);
}

await main();
