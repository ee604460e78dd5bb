/**
 * Engines and workers as processes of a drill. They are started and ended by their pids; what is left when this process
 * ends, however it ends, is ended too. What they print is in files beside their data until the drill has gone well.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { freePorts } from "../../scripts/kafka/free-ports.js";
import { Reaper } from "../../scripts/kafka/reaper.js";
import { until } from "../until.js";
import type { WorkerPlan } from "./worker-process.js";

const ROOT = join(import.meta.dirname, "../..");
const CLI = join(ROOT, "engine/dist/cli/eddy.js");
export const PARTITIONS = 4;
const START_MS_MAX = 60_000;
const DRAIN_MS_MAX = 30_000;

export class Processes {
  readonly directory: string;
  readonly #reaper: Reaper;
  readonly #made: DrillProcess[] = [];

  private constructor(directory: string) {
    this.directory = directory;
    this.#reaper = new Reaper(join(directory, "data"));
  }

  /** @param name of the drill; its folder under .cache is made anew */
  static async open(name: string): Promise<Processes> {
    const directory = join(ROOT, ".cache/drills", name);
    await rm(directory, { recursive: true, force: true });
    await mkdir(join(directory, "data"), { recursive: true });
    return new Processes(directory);
  }

  /** `eddy start`, on a free port of the loopback interface; not started yet. */
  engine(name: string, onKafka: { brokers: readonly string[]; namespace: string; dev: boolean }) {
    return this.#engine(name, "start", (url) => ({
      EDDY_ADVERTISED_URL: url,
      EDDY_BROKERS: onKafka.brokers.join(","),
      EDDY_NAMESPACE: onKafka.namespace,
      EDDY_DEV: String(onKafka.dev),
    }));
  }
  /** `eddy dev`, likewise. */
  embeddedEngine(name: string): Promise<EngineProcess> {
    return this.#engine(name, "dev", () => ({}));
  }
  async #engine(name: string, command: string, more: (url: string) => Readonly<Record<string, string>>) {
    const [port] = await freePorts(1);
    const url = `http://127.0.0.1:${port}`;
    const dataDir = join(this.directory, "data", name);
    const environment = {
      EDDY_HOST: "127.0.0.1",
      EDDY_PORT: String(port),
      EDDY_DATA_DIR: dataDir,
      EDDY_PARTITIONS: String(PARTITIONS),
      EDDY_LOG_LEVEL: "info",
      ...more(url),
    };
    const isReady = (): Promise<boolean> =>
      fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(1_000) }).then(
        (response) => response.ok,
        () => false,
      );
    const engine = new EngineProcess(this.#place({ name, args: [CLI, command], environment, isReady }), {
      url,
      dataDir,
    });
    this.#made.push(engine);
    return engine;
  }

  worker(name: string, plan: WorkerPlan): DrillProcess {
    const script = join(import.meta.dirname, "worker-process.ts");
    const args = ["--import", "tsx", script, JSON.stringify(plan)];
    const environment = { TSX_TSCONFIG_PATH: join(ROOT, "tsconfig.check.json") };
    const isReady = (printed: string): boolean => /^ready$/m.test(printed);
    const worker = new DrillProcess(this.#place({ name, args, environment, isReady }));
    this.#made.push(worker);
    return worker;
  }

  #place(place: Omit<Place, "logFile" | "reaper">): Place {
    return { ...place, logFile: join(this.directory, `${place.name}.log`), reaper: this.#reaper };
  }

  /** Kills whatever still runs. @param wentWell: the folder is not needed any more. */
  async close(wentWell: boolean): Promise<void> {
    await Promise.all(this.#made.map((one) => one.kill()));
    await rm(join(this.directory, "data"), { recursive: true, force: true, maxRetries: 5 });
    if (wentWell) await rm(this.directory, { recursive: true, force: true });
    this.#reaper.dismiss();
  }
}

interface Place {
  readonly name: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** @param printed by this start of the process */
  readonly isReady: (printed: string) => Promise<boolean> | boolean;
  readonly logFile: string;
  readonly reaper: Reaper;
}

export class DrillProcess {
  readonly name: string;
  readonly #place: Place;
  #child: ChildProcess | null = null;

  constructor(place: Place) {
    this.name = place.name;
    this.#place = place;
  }

  /** Resolves when it is ready. @throws Error with its last lines when it ends or is late */
  async start(): Promise<void> {
    const { args, environment, isReady, logFile, reaper } = this.#place;
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      // Nothing of this machine's own configuration.
      env: { PATH: process.env["PATH"], ...environment },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child = child;
    reaper.started(child);
    child.once("exit", () => reaper.ended(child));
    const log = createWriteStream(logFile, { flags: "a" });
    log.write(`-- ${new Date().toISOString()} started as process ${child.pid}\n`);
    let printed = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (data: Buffer) => {
        log.write(data);
        if (printed.length < 10_000) printed += data.toString();
      });
    }
    const ready = async (): Promise<true | null> => {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`${this.name} ended with ${child.signalCode ?? child.exitCode}:\n${this.#lastLines()}`);
      }
      return (await isReady(printed)) || null;
    };
    await until(`${this.name} is ready (see ${logFile})`, ready, START_MS_MAX);
  }

  /** kill -9; resolves when it is gone. Nothing to do where it does not run. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL", START_MS_MAX);
  }

  /** SIGTERM: it finishes what is under way. @throws Error when it does not end, or not with 0 */
  async stop(): Promise<void> {
    const code = await this.#end("SIGTERM", DRAIN_MS_MAX);
    if (code !== 0) throw new Error(`${this.name} ended with ${code}:\n${this.#lastLines()}`);
  }

  /** SIGSTOP: connections stay, nothing is answered. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }
  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  async #end(signal: "SIGKILL" | "SIGTERM", msMax: number): Promise<number | string | null> {
    const child = this.#child;
    if (child === null) return null;
    this.#child = null;
    if (child.exitCode !== null || child.signalCode !== null) return child.signalCode ?? child.exitCode;
    const gone = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
    child.kill(signal);
    const late = setTimeout(() => child.kill("SIGKILL"), msMax);
    const [code, by] = await gone;
    clearTimeout(late);
    return by ?? code;
  }

  #lastLines(): string {
    return readFileSync(this.#place.logFile, "utf8").trim().split("\n").slice(-20).join("\n");
  }
}

export class EngineProcess extends DrillProcess {
  readonly url: string;
  readonly dataDir: string;

  constructor(place: Place, { url, dataDir }: { readonly url: string; readonly dataDir: string }) {
    super(place);
    this.url = url;
    this.dataDir = dataDir;
  }

  /** Deletes its local data. Not while it runs. */
  async wipe(): Promise<void> {
    await rm(this.dataDir, { recursive: true, force: true, maxRetries: 5 });
  }
}
