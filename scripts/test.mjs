// `npm test`: installs, builds and tests, from a clean clone on. `npm run verify` adds format and lint (--static).
// Writes .cache/test/totals.txt ("N passed, N failed"), which .ci/run ends with.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { install, nodeProblem } from "./lib/install.mjs";
import { heading, run, runAside, seconds } from "./lib/run.mjs";
import { SUITES } from "./lib/suites.mjs";
import { checkTotals, ownTotals, vitestTotals } from "./lib/totals.mjs";

const root = join(import.meta.dirname, "..");
const reports = join(root, ".cache/test");

/**
 * Tests of one process run on the sources, so a build error fails the run but does not hide what the tests say.
 * @type {Suite}
 */
const BUILD = { name: "build", command: ["node_modules/typescript/bin/tsc", "-b"], report: "none", aside: true };

/** @typedef {import("./lib/suites.mjs").Suite} Suite */
/** @typedef {{ name: string, totals: import("./lib/totals.mjs").Totals, took: string }} Result */

/** @param {readonly string[]} args */
function readArguments(args) {
  const unknown = args.filter((arg) => arg !== "--static");
  if (unknown.length === 0) return { withStatic: args.includes("--static") };
  console.error(`unknown: ${unknown.join(" ")}. To run some tests alone: npx vitest run <part of a file's path>`);
  process.exit(2);
}

/**
 * @param {Suite} suite
 * @returns {Promise<Result>}
 */
async function runSuite(suite) {
  const since = Date.now();
  const file = join(reports, `${suite.name.replaceAll(" ", "-")}.json`);
  const notesFile = `${file}.notes`;
  const extra = suite.report === "vitest" ? ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`] : [];
  const env = { ...process.env, EDDY_TEST_REPORT: file, EDDY_TEST_NOTES: notesFile };
  const code = await runCommand(suite, [...suite.command, ...extra], { cwd: root, env });
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
 * @param {Suite} suite
 * @param {readonly string[]} args
 * @param {{ cwd: string, env: NodeJS.ProcessEnv }} options
 * @returns {Promise<number>} its exit code
 */
async function runCommand(suite, args, options) {
  if (suite.aside !== true) {
    heading(suite.name);
    return run(process.execPath, args, options);
  }
  const { code, output } = await runAside(process.execPath, args, options);
  heading(suite.name);
  process.stdout.write(output);
  return code;
}

/**
 * Runs suites that may run beside each other.
 * @param {readonly Suite[]} suites
 * @returns {Promise<Result[]>} in the order of the suites
 */
async function runAtOnce(suites) {
  /** @type {Result[]} */
  const results = [];
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < suites.length; i = next++) {
      const suite = suites[i];
      if (suite !== undefined) results[i] = await runSuite(suite);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
  return results;
}

/**
 * @param {readonly Suite[]} suites
 * @returns {Promise<Result[]>}
 */
async function runAll(suites) {
  /** @type {Result[]} */
  const results = [];
  for (let i = 0; i < suites.length;) {
    const alone = suites.findIndex((suite, j) => j >= i && suite.aside !== true);
    const end = alone === i ? i + 1 : alone === -1 ? suites.length : alone;
    results.push(...(await runAtOnce(suites.slice(i, end))));
    i = end;
  }
  return results;
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
  const problem = nodeProblem();
  if (problem !== null) console.error(problem);
  if (problem !== null || !(await install(root))) {
    summarise([{ name: "install", totals: checkTotals(1), took: seconds(since) }]);
    return;
  }
  summarise(await runAll([BUILD, ...SUITES].filter(({ staticOnly }) => staticOnly !== true || withStatic)));
}

await main();
