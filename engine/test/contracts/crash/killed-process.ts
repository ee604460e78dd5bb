/** Runs one of the child scripts and kills it with SIGKILL in the middle of its work. */
import { spawn } from "node:child_process";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const ROOT = resolve(import.meta.dirname, "../../../..");

/**
 * @param acksBeforeKill how many acknowledgements to hear before the kill; those that were on the way count too.
 * @returns every acknowledgement that the process made, parsed.
 * @throws Error with its stderr when the process ends by itself.
 */
export async function killedAfter(
  acksBeforeKill: number,
  script: string,
  args: readonly string[],
): Promise<readonly Record<string, number>[]> {
  const child = spawn(process.execPath, ["--import", "tsx", join(import.meta.dirname, script), ...args], {
    cwd: ROOT,
    env: { ...process.env, TSX_TSCONFIG_PATH: join(ROOT, "tsconfig.check.json") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<NodeJS.Signals | null>((done) => child.on("exit", (_, signal) => done(signal)));
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const acks: Record<string, number>[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    // A line that the kill cut in two is no acknowledgement.
    if (line.endsWith("}")) acks.push(JSON.parse(line) as Record<string, number>);
    if (acks.length === acksBeforeKill) child.kill("SIGKILL");
  }
  const signal = await ended;
  if (signal !== "SIGKILL") throw new Error(`${script} ended by itself after ${acks.length} acks: ${errors}`);
  return acks;
}
