// What `npm test` runs, in order. A suite is a command that exits 0 when all is well. One that counts its own tests
// writes {"passed": n, "failed": n} to the file named by EDDY_TEST_REPORT; without a report it counts as one test.
// What it writes to the file named by EDDY_TEST_NOTES is shown beside its totals: why it could not run at all.

/**
 * @typedef {object} Suite
 * @property {string} name
 * @property {readonly string[]} command arguments for Node
 * @property {"vitest" | "own" | "none"} report how it counts
 * @property {boolean} [aside] waits for nothing and nothing waits for it: runs beside its neighbours in the list that
 *   are so too, one for each core; what it prints is shown when it has ended
 * @property {boolean} [staticOnly] runs with --static alone: `npm run verify`, and .ci/run
 */

/** @type {readonly Suite[]} */
export const SUITES = [
  // The longest first.
  { name: "lint", command: ["node_modules/eslint/bin/eslint.js", "."], report: "none", aside: true, staticOnly: true },
  {
    name: "types",
    command: ["node_modules/typescript/bin/tsc", "-p", "tsconfig.check.json"],
    report: "none",
    aside: true,
  },
  {
    name: "format",
    command: ["node_modules/prettier/bin/prettier.cjs", "--check", "--log-level=warn", "."],
    report: "none",
    aside: true,
    staticOnly: true,
  },
  { name: "tidy", command: ["--import", "tsx", "scripts/tidy/main.ts"], report: "none", aside: true },
  {
    name: "generated files",
    command: ["node_modules/tsx/dist/cli.mjs", "--tsconfig", "tsconfig.check.json", "scripts/gen/main.ts", "--check"],
    report: "none",
    aside: true,
  },
  {
    name: "tests",
    command: ["node_modules/vitest/vitest.mjs", "run", "--exclude", "**/*.e2e.spec.ts"],
    report: "vitest",
  },
  {
    // Whole processes: one file more at a time than cores (two, mostly), because the first one mostly waits, for a lease
    // that a killed engine took with it.
    name: "processes",
    command: ["node_modules/vitest/vitest.mjs", "run", ".e2e.spec.", "--maxWorkers=3"],
    report: "vitest",
  },
  {
    // Provides a broker by itself, once: KAFKA_BROKERS, else Docker, else Java and Maven. Fails where there is none.
    name: "kafka",
    command: ["node_modules/vitest/vitest.mjs", "run", "--config", "vitest.kafka.config.ts"],
    report: "vitest",
  },
];
