/**
 * A real schema registry for tests, Apicurio in memory: the one named by SCHEMA_REGISTRY_URL, else by Maven on the local
 * Java. Its archive is 109 MB, fetched once into .cache/apicurio; it starts in about ten seconds, for which only those
 * tests wait that need it.
 */
import { spawn } from "node:child_process";
import type { ChildProcess, StdioOptions } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "./free-ports.js";
import { findJava, MAVEN_MS_MAX, moveInto, runToEnd, tail } from "./java-distribution.js";
import { Reaper } from "./reaper.js";

export interface Registry {
  /** Of the API as Confluent's registry has it. */
  readonly url: string;
  /** Ends it and removes its data. Idempotent. */
  stop(): Promise<void>;
}

const APICURIO_VERSION = "3.0.9";
const ARTIFACT = `io.apicurio:apicurio-registry-app:${APICURIO_VERSION}:tar.gz:all`;
const API = "/apis/ccompat/v7";
const UNPACK_MS_MAX = 120_000;
const START_MS_MAX = 90_000;
const POLL_MS = 100;

/** Resolves when the process runs; it does not answer yet. @throws Error where none can be had, with what to do */
export async function startRegistry(print: (line: string) => void): Promise<Registry> {
  const given = process.env["SCHEMA_REGISTRY_URL"];
  if (given !== undefined && given !== "") return { url: given, stop: () => Promise.resolve() };
  const java = await findJava();
  const home = await distribution(print);
  const [port = 0] = await freePorts(1);
  const directory = await mkdtemp(join(tmpdir(), "eddy-registry-"));
  const reaper = new Reaper(directory);
  const child = run(java, await runnerIn(home), { port, directory });
  reaper.started(child);
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  let stopping: Promise<void> | null = null;
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await gone;
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    reaper.dismiss();
  };
  return { url: `http://127.0.0.1:${port}${API}`, stop: () => (stopping ??= stop()) };
}

const MISSING = "missing:";

/** What stands for a registry that could not be had: whoever needs it is told why. */
export function missingRegistry(reason: unknown): Registry {
  const message = reason instanceof Error ? reason.message : String(reason);
  return { url: MISSING + message, stop: () => Promise.resolve() };
}

/** Resolves once the registry answers. @throws Error when it does not */
export async function registryReady(url: string): Promise<string> {
  if (url.startsWith(MISSING)) throw new Error(`there is no schema registry: ${url.slice(MISSING.length)}`);
  const giveUpAtMs = Date.now() + START_MS_MAX;
  for (;;) {
    try {
      if ((await fetch(`${url}/subjects`)).ok) return url;
    } catch (error) {
      if (Date.now() > giveUpAtMs) throw new Error(`no schema registry answers at ${url}`, { cause: error });
    }
    if (Date.now() > giveUpAtMs) throw new Error(`the schema registry at ${url} is not ready`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** @returns its folder */
async function distribution(print: (line: string) => void): Promise<string> {
  const cache = join(import.meta.dirname, "../../.cache/apicurio");
  const home = join(cache, APICURIO_VERSION);
  if (existsSync(home)) return home;
  print(`resolving Apicurio Registry ${APICURIO_VERSION} with Maven, once (109 MB)`);
  const scratch = `${home}.${process.pid}`;
  await mkdir(scratch, { recursive: true });
  try {
    // Newer versions of the plugin read the POM of its parent first, which Maven Central does not have.
    const goal = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy";
    const args = ["-B", "-q", goal, `-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${scratch}`];
    await succeed("mvn", args, MAVEN_MS_MAX);
    const archive = join(scratch, `apicurio-registry-app-${APICURIO_VERSION}-all.tar.gz`);
    await succeed("tar", ["xzf", archive, "-C", scratch], UNPACK_MS_MAX);
    await rm(archive);
    await moveInto(scratch, home);
  } catch (error) {
    await rm(scratch, { recursive: true, force: true });
    throw error;
  }
  return home;
}

async function succeed(command: string, args: readonly string[], msMax: number): Promise<void> {
  const { code, output } = await runToEnd(command, args, msMax);
  if (code === 0) return;
  const advice = "set SCHEMA_REGISTRY_URL to one that runs, or install Java 17 and Maven";
  throw new Error(`no schema registry: ${command} ended with ${code}: ${tail(output)}\n${advice}`);
}

async function runnerIn(home: string): Promise<string> {
  const jar = (await readdir(home)).find((name) => name.endsWith("-runner.jar"));
  if (jar === undefined) throw new Error(`${home} holds no runner: remove it, and it is fetched again`);
  return join(home, jar);
}

function run(java: string, jar: string, at: { readonly port: number; readonly directory: string }): ChildProcess {
  const jvm = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];
  const settings = ["-Dquarkus.http.host=127.0.0.1", `-Dquarkus.http.port=${at.port}`, "-Dquarkus.log.level=WARN"];
  const output = openSync(join(at.directory, "output.log"), "a");
  const stdio: StdioOptions = ["ignore", output, output];
  const child = spawn(java, [...jvm, ...settings, "-jar", jar], { cwd: at.directory, stdio });
  closeSync(output);
  child.once("error", () => undefined); // Whoever needs it learns that it does not answer.
  return child;
}
