import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";

const made: string[] = [];
afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** Runs .ci/run in a repository whose `npm` does what `script` says. */
function ciRun(script: string): { readonly lastLine: string; readonly code: number | null } {
  const root = mkdtempSync(join(tmpdir(), "eddy-ci-"));
  made.push(root);
  mkdirSync(join(root, "bin"));
  mkdirSync(join(root, ".cache/test"), { recursive: true });
  // Left over from an earlier run: must not be believed.
  writeFileSync(join(root, ".cache/test/totals.txt"), "99 passed, 0 failed\n");
  cpSync(join(import.meta.dirname, "../../.ci"), join(root, ".ci"), { recursive: true });
  writeFileSync(join(root, "bin/npm"), `#!/bin/sh\n${script}\n`);
  chmodSync(join(root, "bin/npm"), 0o755);
  const path = `${join(root, "bin")}${delimiter}${process.env["PATH"] ?? ""}`;
  const { stdout, status } = spawnSync(join(root, ".ci/run"), {
    encoding: "utf8",
    env: { ...process.env, PATH: path },
  });
  return { lastLine: stdout.trimEnd().split("\n").at(-1) ?? "", code: status };
}

const says = (line: string): string => `echo output; echo "${line}" > .cache/test/totals.txt`;

describe(".ci/run", () => {
  it.each([
    ["all passed", says("12 passed, 0 failed"), "12 passed, 0 failed", 0],
    ["some failed", `${says("11 passed, 1 failed")}; exit 1`, "11 passed, 1 failed", 1],
    ["some failed, exit code lost", says("11 passed, 1 failed"), "11 passed, 1 failed", 1],
    ["no tests", says("0 passed, 0 failed"), "0 passed, 0 failed", 1],
    ["a crash before counting", "exit 137", "0 passed, 1 failed", 137],
    ["silence", "exit 0", "0 passed, 1 failed", 1],
    ["a crash after counting", `${says("12 passed, 0 failed")}; exit 9`, "12 passed, 1 failed", 9],
    ["a broken total", says("lots passed"), "0 passed, 1 failed", 1],
    ["a runner that reads its input", `cat; ${says("1 passed, 0 failed")}`, "1 passed, 0 failed", 0],
  ])("%s", (_name, script, lastLine, code) => {
    expect(ciRun(script)).toEqual({ lastLine, code });
  });
});
