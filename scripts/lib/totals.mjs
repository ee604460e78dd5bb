// How many tests passed and failed, told so that no crash, no empty run and no switched-off test looks like success.

/** @typedef {{ passed: number, failed: number, notes: string[] }} Totals */

/**
 * The part of vitest's JSON report that is read.
 * @typedef {object} VitestReport
 * @property {number} numPassedTests
 * @property {number} numFailedTests
 * @property {number} numPendingTests
 * @property {number} numTodoTests
 * @property {readonly { name: string, status: string, assertionResults: readonly { status: string }[] }[]} testResults
 */

/**
 * @param {unknown} report what the suite wrote; undefined when it wrote nothing readable
 * @param {number} exitCode
 * @returns {Totals}
 */
export function vitestTotals(report, exitCode) {
  if (report === undefined) return { passed: 0, failed: 1, notes: [`no report; exit code ${exitCode}`] };
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = /** @type {VitestReport} */ (
    report
  );
  const notes = [];
  let failed = numFailedTests;
  // A file that does not load has no tests to fail.
  for (const { name, status, assertionResults } of testResults) {
    if (status !== "failed" || assertionResults.some((test) => test.status === "failed")) continue;
    failed += 1;
    notes.push(`${name} failed outside its tests`);
  }
  const off = numPendingTests + numTodoTests;
  if (off > 0) {
    failed += off;
    notes.push(`${off} tests did not run: skipped tests count as failed`);
  }
  return settle({ passed: numPassedTests, failed, notes }, exitCode);
}

/**
 * @param {unknown} report
 * @param {number} exitCode
 * @returns {Totals}
 */
export function ownTotals(report, exitCode) {
  const { passed, failed } = /** @type {{ passed?: unknown, failed?: unknown }} */ (report ?? {});
  if (!Number.isInteger(passed) || !Number.isInteger(failed)) {
    return { passed: 0, failed: 1, notes: [`no report; exit code ${exitCode}`] };
  }
  return settle({ passed: Number(passed), failed: Number(failed), notes: [] }, exitCode);
}

/**
 * @param {number} exitCode
 * @returns {Totals}
 */
export function checkTotals(exitCode) {
  return exitCode === 0
    ? { passed: 1, failed: 0, notes: [] }
    : { passed: 0, failed: 1, notes: [`exit code ${exitCode}`] };
}

/**
 * @param {Totals} totals
 * @param {number} exitCode
 * @returns {Totals}
 */
function settle(totals, exitCode) {
  const { passed, failed, notes } = totals;
  if (failed > 0) return totals;
  if (passed === 0) return { passed, failed: 1, notes: [...notes, `no tests ran; exit code ${exitCode}`] };
  if (exitCode !== 0) return { passed, failed: 1, notes: [...notes, `all tests passed, yet exit code ${exitCode}`] };
  return totals;
}
