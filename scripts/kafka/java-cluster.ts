/** Brokers as Java processes of this machine: on free loopback ports, ended by their pid, data in a temporary folder. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KAFKA_VERSION, SECURE_LISTENER, commonProperties } from "./cluster.js";
import type { ClusterOptions, KafkaCluster, KafkaNode } from "./cluster.js";
import { freePorts } from "./free-ports.js";
import { formatStorage, javaDistribution } from "./java-distribution.js";
import type { JavaDistribution } from "./java-distribution.js";
import { Reaper } from "./reaper.js";

const START_MS_MAX = 90_000;
const STARTED = /Kafka Server started/g;
const POLL_MS = 50;

/** @throws ProviderUnusable without Java or Maven; Error when a broker does not start. */
export async function startJavaCluster(options: ClusterOptions): Promise<KafkaCluster> {
  const distribution = await javaDistribution(options.print ?? (() => undefined));
  const ids = Array.from({ length: options.nodes }, (_, i) => i + 1);
  const ports = await freePorts(3 * ids.length);
  const portOf = (id: number, kind: 0 | 1 | 2): number => ports[3 * (id - 1) + kind] ?? 0;
  const voters = ids.map((id) => `${id}@127.0.0.1:${portOf(id, 1)}`).join(",");
  const directory = await mkdtemp(join(tmpdir(), "eddy-kafka-"));
  const reaper = new Reaper(directory);
  const nodes = ids.map((id) => {
    const [port, controllerPort, securePort] = [portOf(id, 0), portOf(id, 1), portOf(id, 2)];
    const heapMb = ids.length === 1 ? 256 : 160;
    const place = { id, port, controllerPort, securePort, voters, heapMb, directory: join(directory, `node-${id}`) };
    return new JavaNode(distribution, reaper, place, commonProperties(ids.length));
  });
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.kill()));
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    reaper.dismiss();
  };
  try {
    for (const node of nodes) await node.prepare();
    await Promise.all(nodes.map((node) => node.start()));
  } catch (error) {
    await stop();
    throw error;
  }
  const brokers = nodes.map(({ address }) => address);
  const secureBrokers = ids.map((id) => `127.0.0.1:${portOf(id, 2)}`);
  return { origin: `Apache Kafka ${KAFKA_VERSION} on the local Java`, brokers, secureBrokers, nodes, stop };
}

interface Place {
  readonly id: number;
  readonly port: number;
  readonly controllerPort: number;
  readonly securePort: number;
  readonly voters: string;
  readonly heapMb: number;
  readonly directory: string;
}

class JavaNode implements KafkaNode {
  readonly id: number;
  readonly address: string;
  readonly #distribution: JavaDistribution;
  readonly #reaper: Reaper;
  readonly #place: Place;
  readonly #common: Readonly<Record<string, string>>;
  #process: ChildProcess | null = null;
  #starts = 0;

  constructor(distribution: JavaDistribution, reaper: Reaper, place: Place, common: Readonly<Record<string, string>>) {
    this.id = place.id;
    this.address = `127.0.0.1:${place.port}`;
    this.#distribution = distribution;
    this.#reaper = reaper;
    this.#place = place;
    this.#common = common;
  }

  async prepare(): Promise<void> {
    const { id, port, controllerPort, securePort, voters, directory } = this.#place;
    const outside = `PLAINTEXT://127.0.0.1:${port},${SECURE_LISTENER}://127.0.0.1:${securePort}`;
    await mkdir(directory, { recursive: true });
    const storage = join(directory, "storage");
    await formatStorage(this.#distribution.template, storage, id);
    const properties = {
      ...this.#common,
      "node.id": String(id),
      "controller.quorum.voters": voters,
      listeners: `${outside},CONTROLLER://127.0.0.1:${controllerPort}`,
      "advertised.listeners": outside,
      "listener.security.protocol.map": `PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,${SECURE_LISTENER}:SASL_PLAINTEXT`,
      "controller.listener.names": "CONTROLLER",
      "log.dirs": storage,
    };
    const lines = Object.entries(properties).map(([key, value]) => `${key}=${value}`);
    await writeFile(join(directory, "server.properties"), lines.join("\n"));
  }

  async start(): Promise<void> {
    if (this.#process !== null) throw new Error(`broker ${this.id} runs already`);
    const { heapMb, directory } = this.#place;
    const { java, classPath, log4jConfig } = this.#distribution;
    const jvm = [`-Xmx${heapMb}m`, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];
    const log4j = `-Dlog4j2.configurationFile=${log4jConfig}`;
    const args = [...jvm, log4j, "-cp", classPath, "kafka.Kafka", join(directory, "server.properties")];
    this.#starts += 1;
    const output = openSync(this.#logFile, "a");
    const child = spawn(java, args, { cwd: directory, stdio: ["ignore", output, output] });
    closeSync(output);
    this.#process = child;
    this.#reaper.started(child);
    let ended = "";
    child.once("error", (error) => (ended = error.message));
    child.once("exit", (code, signal) => {
      ended = `it ended with ${signal ?? code}`;
      this.#reaper.ended(child);
      if (this.#process === child) this.#process = null;
    });
    const giveUpAtMs = Date.now() + START_MS_MAX;
    while (!(await this.#hasStarted())) {
      if (ended === "" && Date.now() < giveUpAtMs) {
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        continue;
      }
      const why = ended === "" ? `not within ${START_MS_MAX} ms` : ended;
      throw new Error(`Kafka broker ${this.id} did not start: ${why}\n${await this.#lastLines()}`);
    }
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (child === null) return;
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill("SIGKILL");
    await gone;
    this.#process = null;
  }

  async pause(): Promise<void> {
    this.#signal("SIGSTOP");
  }

  async resume(): Promise<void> {
    this.#signal("SIGCONT");
  }

  get #logFile(): string {
    return join(this.#place.directory, "output.log");
  }

  async #hasStarted(): Promise<boolean> {
    return ((await readFile(this.#logFile, "utf8")).match(STARTED)?.length ?? 0) >= this.#starts;
  }

  async #lastLines(): Promise<string> {
    return (await readFile(this.#logFile, "utf8")).trim().split("\n").slice(-20).join("\n");
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#process?.kill(signal) !== true) throw new Error(`broker ${this.id} does not run`);
  }
}
