/** `eddy topics`, in this process, on a broker. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, inject, it } from "vitest";
import { EXIT } from "../../src/cli/exit-codes.js";
import { eddy, linesOf } from "../cli/command-line.js";

let folder: string;
let namespace: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "eddy-topics-"));
  namespace = `t${randomUUID().slice(0, 8)}`;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function topics(partitions: number, ...more: string[]) {
  const path = join(folder, `${randomUUID()}.yaml`);
  const lines = { brokers: inject("kafkaBrokers"), namespace, dev: true, partitions, logLevel: "silent" };
  await writeFile(path, JSON.stringify(lines)); // JSON is YAML
  return eddy(["topics", "--config", path, ...more]);
}

it("makes the topics of a namespace and of the apps that it is told, and leaves them as they are", async () => {
  const first = await topics(2, "--app", "shop");
  const names = ["inbox", "changelog", "history", "dlq", "registry", "steps.shop", "signals.shop"];
  expect(first).toEqual({ code: EXIT.ok, out: first.out, err: "" });
  expect(linesOf(first.out)).toEqual(names.map((name) => `eddy.${namespace}.${name}`));
  expect(await topics(2, "--app", "shop")).toEqual(first);
});

it("refuses topics that are there with other partitions", async () => {
  await topics(2);
  const { code, out, err } = await topics(3);
  expect({ code, out }).toEqual({ code: EXIT.config, out: "" });
  expect(err).toContain(`eddy.${namespace}.inbox`);
  expect(linesOf(err)).toHaveLength(1);
});

it("refuses an app that cannot be one before it asks anyone", async () => {
  const { code, err } = await topics(2, "--app", "no/app");
  expect(code).toBe(EXIT.config);
  expect(err).toContain('--app: expected an app\'s id, got "no/app"');
});
