/** scripts/test.mjs in a made-up repository, with suites that end in every way. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const scripts = join(import.meta.dirname, "..");
let root = "";

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "eddy-runner-"));
  cpSync(join(scripts, "test.mjs"), join(root, "scripts/test.mjs"));
  cpSync(join(scripts, "lib"), join(root, "scripts/lib"), { recursive: true });
  write("package-lock.json", JSON.stringify({ packages: {} }));
  write("node_modules/.package-lock.json", JSON.stringify({ packages: {} }));
  compiler(0);
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function write(path: string, text: string): void {
  mkdirSync(join(root, path, ".."), { recursive: true });
  writeFileSync(join(root, path), text);
}
const compiler = (code: number): void => {
  write("node_modules/typescript/bin/tsc", `process.exit(${code});`);
};

interface Suite {
  readonly name: string;
  /** Module code. `report` is the path that the runner reads. */
  readonly code: string;
  readonly report: "vitest" | "own" | "none";
  readonly staticOnly?: boolean;
  readonly aside?: boolean;
}

function run(suites: readonly Suite[], ...args: readonly string[]) {
  const list = suites.map(({ code, ...suite }, i) => {
    write(`suite-${i}.mjs`, code);
    return { ...suite, command: [`suite-${i}.mjs`] };
  });
  write("scripts/lib/suites.mjs", `export const SUITES = ${JSON.stringify(list)};`);
  const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/test.mjs", ...args], {
    cwd: root,
    encoding: "utf8",
  });
  const totals = (): string => readFileSync(join(root, ".cache/test/totals.txt"), "utf8").trimEnd();
  return { status, last: stdout.trimEnd().split("\n").at(-1), totals, output: stdout + stderr };
}

const own = (passed: number, failed: number, code: number): string =>
  `import { writeFileSync } from "node:fs";
   writeFileSync(process.env.EDDY_TEST_REPORT, JSON.stringify({ passed: ${passed}, failed: ${failed} }));
   process.exit(${code});`;
const vitest = (passed: number, code: number): string =>
  `import { writeFileSync } from "node:fs";
   const file = process.argv.find((arg) => arg.startsWith("--outputFile.json=")).slice(18);
   const counts = { numPassedTests: ${passed}, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 };
   writeFileSync(file, JSON.stringify({ ...counts, testResults: [] }));
   process.exit(${code});`;
const suite = (code: string, report: Suite["report"]): Suite => ({ name: "a suite", code, report });

describe("npm test", () => {
  it("adds up what the suites say, and the build", () => {
    const { status, last, totals } = run([suite(vitest(7, 0), "vitest"), suite(own(30, 0, 0), "own")]);
    expect([status, last, totals()]).toEqual([0, "38 passed, 0 failed", "38 passed, 0 failed"]);
  });

  it.each([
    ["a failed test", suite(own(5, 2, 1), "own"), "6 passed, 2 failed"],
    ["a failed check", suite("process.exit(3)", "none"), "1 passed, 1 failed"],
    ["a crash after the report", suite(vitest(7, 1), "vitest"), "8 passed, 1 failed"],
    ["a crash before the report", suite("process.abort()", "vitest"), "1 passed, 1 failed"],
    ["a suite that is killed", suite('process.kill(process.pid, "SIGKILL")', "own"), "1 passed, 1 failed"],
    ["half a report", suite(own(5, 0, 0).replace("JSON.stringify({", '"{" + ({'), "own"), "1 passed, 1 failed"],
    ["a suite without tests", suite(vitest(0, 0), "vitest"), "1 passed, 1 failed"],
  ])("fails for %s", (_name, broken, line) => {
    const { status, last, totals } = run([broken]);
    expect([status, last, totals()]).toEqual([1, line, line]);
  });

  it("shows beside the totals why a suite could not run", () => {
    const code = `import { writeFileSync } from "node:fs";
      writeFileSync(process.env.EDDY_TEST_NOTES, "no broker:\\n  no Java\\n");
      process.exit(1);`;
    const { status, output } = run([suite(code, "vitest")]);
    expect(status).toBe(1);
    expect(output).toMatch(/a suite +0 passed, 1 failed .*\n +no report; exit code 1\n +no broker:\n +no Java\n/);
  });

  it("goes on after a suite that failed, and fails in the end", () => {
    const { status, last } = run([suite("process.abort()", "none"), suite(own(5, 0, 0), "own")]);
    expect([status, last]).toEqual([1, "6 passed, 1 failed"]);
  });

  it("does not believe the report of an earlier run", () => {
    run([suite(own(5, 0, 0), "own")]);
    expect(run([suite("process.exit(0)", "own")]).last).toBe("1 passed, 1 failed");
  });

  it("runs the tests in spite of a build error, which counts", () => {
    compiler(2);
    expect(run([suite(own(5, 0, 0), "own")])).toMatchObject({ status: 1, last: "5 passed, 1 failed" });
  });

  it("runs static suites when it is told to", () => {
    const lint = { ...suite("process.exit(0)", "none"), staticOnly: true };
    const tests = suite(own(5, 0, 0), "own");
    expect([run([lint, tests]).last, run([lint, tests], "--static").last]).toEqual([
      "6 passed, 0 failed",
      "7 passed, 0 failed",
    ]);
  });

  it("shows what suites print that run beside each other one after the other; others wait for them", () => {
    const prints = (name: string): Suite => {
      const code = `import { writeFileSync } from "node:fs";
        for (let i = 0; i < 1_000; i += 1) console.log("${name} " + i);
        writeFileSync("${name}.txt", "");`;
      return { ...suite(code, "none"), name, aside: true };
    };
    const code = `import { existsSync } from "node:fs";
      process.exit(existsSync("a.txt") && existsSync("b.txt") ? 0 : 1);`;
    const { output, last } = run([prints("a"), prints("b"), suite(code, "none"), prints("c")]);
    expect(last).toBe("5 passed, 0 failed");
    const shown = output.split("\n").flatMap((line) => /^([abc]) \d+$/.exec(line)?.[1] ?? []);
    expect(shown).toHaveLength(3_000);
    expect(shown.filter((name, i) => name !== shown[i - 1])).toHaveLength(3);
    expect(output).toMatch(/\nbuild .*\na .*\nb .*\na suite .*\nc /);
  });

  it("shows what a suite beside others printed when it fails", () => {
    const failing = { ...suite('console.error("line 7"); process.exit(1)', "none"), aside: true };
    const { output, last } = run([failing]);
    expect([last, output.includes("line 7")]).toEqual(["1 passed, 1 failed", true]);
  });

  it("refuses what it does not know", () => {
    expect(run([], "--fast")).toMatchObject({ status: 2 });
  });
});
