/** The command `eddy` as a process: pipes that end early, completion in real shells. Needs the build. */
import { spawn, spawnSync } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { EXIT } from "../../src/cli/exit-codes.js";
import { CliProcess } from "../e2e/cli-process.js";
import { Host, fn } from "../e2e/fixtures.js";
import { on } from "../partition/builders.js";

const CLI = fileURLToPath(new URL("../../dist/cli/eddy.js", import.meta.url));
/** Without the start-up files of whoever runs this. */
const BARE = ["--norc", "--noprofile", "-c"];
let host: Host;
let bin: string;
beforeAll(async () => {
  host = await Host.start("memory");
  await host.worker([fn({ id: "slow", triggers: [on("slow/asked")] })], () => null);
  bin = await mkdtemp(join(tmpdir(), "eddy-bin-"));
  await writeFile(join(bin, "eddy"), `#!/bin/sh\nexec "${process.execPath}" "${CLI}" "$@"\n`);
  await chmod(join(bin, "eddy"), 0o755);
});
afterAll(async () => {
  await host.close();
  await rm(bin, { recursive: true, force: true });
});

it("ends quietly with 0 when what it is piped into has had enough", async () => {
  const events = Array.from({ length: 2_000 }, (_, n) => ({ name: "slow/asked", data: { n } }));
  expect((await host.post("/e/dev", events)).status).toBe(200);
  const command = `eddy runs --all --url ${host.engine.url} | head -n 3; echo "ended: \${PIPESTATUS[0]}"`;
  const child = spawn("bash", [...BARE, command], { env: { PATH: `${bin}:${process.env["PATH"]}` } });
  let out = "";
  let err = "";
  child.stdout.on("data", (data: Buffer) => (out += data.toString()));
  child.stderr.on("data", (data: Buffer) => (err += data.toString()));
  await new Promise((resolve) => child.on("close", resolve));
  const lines = out.split("\n");
  expect(lines[0]).toMatch(/^RUN +STATUS/);
  expect([lines[3], err]).toEqual(["ended: 0", ""]);
});

it("takes its exit code and its one line along to the shell", async () => {
  const one = new CliProcess(["run", "nope", "--url", host.engine.url]);
  expect(await one.end()).toBe(EXIT.refused);
  expect([one.out, one.err]).toEqual(["", "eddy: there is no run nope (404 RUN_NOT_FOUND)\n"]);
  const sent = new CliProcess(["send", "a/b"], { EDDY_BASE_URL: host.engine.url });
  expect(await sent.end()).toBe(EXIT.ok);
  expect([sent.out, sent.err]).toEqual([expect.stringMatching(/^[0-9A-Z]{26}\n$/), ""]);
});

it.each(["bash", "zsh", "fish"])("prints a completion script for %s", async (shell) => {
  const one = new CliProcess(["completion", shell]);
  expect(await one.end()).toBe(EXIT.ok);
  expect(one.out).toContain(`${shell} completion for eddy`);
  expect(one.err).toBe("");
});

it("refuses a shell that it does not know", async () => {
  const one = new CliProcess(["completion", "tcsh"]);
  expect(await one.end()).toBe(EXIT.config);
  expect(one.err).toMatch(/^eddy: .*tcsh.*\n$/);
});

it.each([
  ["eddy ru", ["run", "runs"]],
  ["eddy clock adv", ["advance"]],
  ["eddy runs --status ", ["Cancelled", "Completed", "Failed", "Running"]],
  ["eddy run x --fol", ["--follow"]],
])("completes %j in bash", (line, wanted) => {
  const words = line.split(" ");
  // What the script takes from the package bash-completion, and what only an interactive bash has.
  const script = `
    _get_comp_words_by_ref() { cur=\${COMP_WORDS[COMP_CWORD]}; prev=\${COMP_WORDS[COMP_CWORD-1]}; \
      words=("\${COMP_WORDS[@]}"); cword=$COMP_CWORD; }
    compopt() { :; }
    source <(eddy completion bash)
    COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})
    COMP_CWORD=${words.length - 1} COMP_LINE='${line}' COMP_POINT=${line.length}
    $(complete -p eddy | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync("bash", [...BARE, script], {
    env: { PATH: `${bin}:${process.env["PATH"]}` },
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  const found = stdout.split("\n").flatMap((reply) => (reply === "" ? [] : [reply.trim().split(/[\s(]/)[0]]));
  expect(found.sort()).toEqual(wanted);
});
