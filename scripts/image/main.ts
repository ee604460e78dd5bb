/**
 * `npm run test:image`: builds the image of what is committed with buildah, where no Docker engine runs, and tries it on a
 * Kafka of its own. Needs root, buildah and debootstrap (apt). `-- --keep` leaves the image, localhost/eddy:test.
 */
import { spawnSync } from "node:child_process";
import { chownSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startKafka } from "../kafka/cluster.js";
import { baseImage } from "./base.js";
import { buildah, buildImage, command, Container } from "./container.js";
import { binaryProblems } from "./binaries.js";
import { EngineInImage } from "./engine-in-image.js";

const ROOT = join(import.meta.dirname, "../..");
const TAG = "localhost/eddy:test";
const NODE_MAJOR = 24;
const ADDED_MIB_MAX = 250;
const IMAGE_USER = 1_000;

let passed = 0;
let failed = 0;
function report(what: string, problems: readonly string[]): void {
  console.log(`${problems.length === 0 ? "passed" : "FAILED"}  ${what}`);
  for (const problem of problems) console.log(`        ${problem}`);
  if (problems.length === 0) passed += 1;
  else failed += 1;
}
const expectEqual = (what: string, found: unknown, wanted: unknown): void =>
  report(what, found === wanted ? [] : [`expected ${JSON.stringify(wanted)}, got ${JSON.stringify(found)}`]);

/** @throws Error that says what is missing */
function checkMachine(): void {
  const missing = ["buildah", "debootstrap"].filter((name) => spawnSync("which", [name]).status !== 0);
  if (missing.length > 0) throw new Error(`${missing.join(" and ")} needed: apt-get install buildah debootstrap`);
  if (process.getuid?.() !== 0) throw new Error("chroot isolation and debootstrap need root");
}

function build(base: string, folder: string): string {
  const revision = command("git", ["rev-parse", "HEAD"], ROOT);
  const archive = join(folder, "context.tar");
  const context = join(folder, "context");
  command("git", ["archive", "--prefix=context/", "--output", archive, "HEAD"], ROOT);
  command("tar", ["-C", folder, "-xf", archive]);
  buildImage(TAG, context, { NODE_IMAGE: base, REVISION: revision });
  return revision;
}

interface Config {
  readonly User: string;
  readonly StopSignal: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Healthcheck: { readonly Test: readonly string[] };
  readonly Volumes: Readonly<Record<string, unknown>>;
}

/** @returns the health check's command */
function checkConfig(revision: string): readonly string[] {
  const { Docker } = JSON.parse(buildah(["inspect", "--type", "image", TAG])) as {
    Docker: { config: Partial<Config> };
  };
  const { User, StopSignal, Labels, Healthcheck, Volumes } = Docker.config;
  expectEqual("its user is not root, by number", User, `${IMAGE_USER}:${IMAGE_USER}`);
  expectEqual("it is stopped by SIGTERM", StopSignal, "SIGTERM");
  expectEqual("a label says which commit it is", Labels?.["org.opencontainers.image.revision"], revision);
  expectEqual("a label has its version", Labels?.["org.opencontainers.image.version"], packageVersion());
  expectEqual("its data is a volume", Object.keys(Volumes ?? {}).join(), "/data");
  const [kind, ...test] = Healthcheck?.Test ?? [];
  expectEqual("it has a health check without a shell", kind, "CMD");
  return test;
}

const packageVersion = (): string =>
  (JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string }).version;

function checkFiles(base: string, container: Container): void {
  const before = new Container(base);
  const added = mebibytes(container.root) - mebibytes(before.root);
  before.remove();
  const isSmall = added > 0 && added < ADDED_MIB_MAX;
  report(`it adds less than ${ADDED_MIB_MAX} MiB to its base: ${added}`, isSmall ? [] : ["it does not"]);
  const app = join(container.root, "app");
  report("its binaries are there for x64 and arm64", binaryProblems(app, ROOT));
  const tools = ["typescript", "vitest", "eslint", "tsx"].filter(
    (name) => spawnSync("test", ["-e", join(app, "node_modules", name)]).status === 0,
  );
  report("it has dependencies of production alone", tools);
  const writable = command("find", [app, "!", "-type", "l", "-perm", "/022", "-o", "!", "-user", "0"]);
  report("its user may change none of its files", writable === "" ? [] : writable.split("\n").slice(0, 10));
}

const mebibytes = (folder: string): number => Number(command("du", ["-smx", folder]).split("\t")[0]);

/** What runs without them needs none. */
function removeShells({ root }: Container): void {
  for (const shell of ["sh", "bash", "dash"]) rmSync(join(root, "usr/bin", shell), { force: true });
  const left = spawnSync("chroot", [root, "/bin/sh", "-c", "true"]).status;
  report("it is tried without a shell", left === 0 ? ["a shell is left"] : []);
}

async function tryOut(container: Container, healthcheck: readonly string[], data: string): Promise<void> {
  const kafka = await startKafka({ nodes: 1, print: (line) => console.log(line) });
  const engine = new EngineInImage(container, { brokers: kafka.brokers, data });
  try {
    const marker = join(data, "started");
    command("touch", [marker]);
    report("`eddy topics` makes the topics", await engine.makeTopics());
    report("the engine gets ready", await engine.start());
    report("its health check passes", await engine.inside(healthcheck));
    const script = readFileSync(join(ROOT, "charts/eddy/files/test/run-ends.mjs"), "utf8");
    const helmTest = ["node", "--input-type=module", "--eval", script];
    report("`helm test` sees a run end", await engine.inside(helmTest));
    const ids = await engine.sendEvents(100);
    report("SIGTERM, with runs under way: it ends with 0", await engine.stop());
    report("it has left the group", await engine.groupProblems());
    report(
      "its health check fails once it is gone",
      (await engine.inside(healthcheck)).length > 0 ? [] : ["it passes"],
    );
    report("it starts again with the same data", await engine.start());
    report("nothing that was acknowledged is lost", await engine.lostRuns(ids));
    report("and ends with 0 again", await engine.stop());
    // buildah itself keeps hosts and resolv.conf up to date.
    const pruned = ["proc", "sys", "dev", "run", "data", "tmp", "etc/hosts", "etc/resolv.conf"].flatMap((name) => [
      "-path",
      `${container.root}/${name}`,
      "-o",
    ]);
    const changed = command("find", [
      container.root,
      "(",
      ...pruned.slice(0, -1),
      ")",
      "-prune",
      "-o",
      "-newer",
      marker,
      "-type",
      "f",
      "-print",
    ]);
    report("it has written to /data and /tmp alone", changed === "" ? [] : changed.split("\n"));
  } finally {
    await engine.kill();
    await kafka.stop();
  }
}

async function main(): Promise<void> {
  checkMachine();
  const folder = mkdtempSync(join(tmpdir(), "eddy-image-"));
  const base = baseImage(NODE_MAJOR, (line) => console.log(line));
  const revision = build(base, folder);
  const container = new Container(TAG);
  try {
    const data = mkdtempSync(join(folder, "data-"));
    chownSync(data, IMAGE_USER, IMAGE_USER);
    const healthcheck = checkConfig(revision);
    checkFiles(base, container);
    removeShells(container);
    await tryOut(container, healthcheck, data);
  } finally {
    container.remove();
    if (!process.argv.includes("--keep")) buildah(["rmi", TAG]);
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  report("the image can be tried", [error instanceof Error ? error.message : String(error)]);
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
