import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

/** @returns the modules of Kafka's client that a process has loaded that runs this script. */
async function loadedBy(script: string): Promise<string[]> {
  const env = { ...process.env, TSX_TSCONFIG_PATH: root("tsconfig.check.json") };
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", root(script)], { env });
  return JSON.parse(stdout) as string[];
}

it("who uses the gateway never loads a Kafka client; who names brokers does", { timeout: 60_000 }, async () => {
  expect(await loadedBy("sdk/test/worker/gateway-user.ts")).toEqual([]);
  expect(await loadedBy("sdk/test/worker/kafka-user.ts")).not.toEqual([]);
});
