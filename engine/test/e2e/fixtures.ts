/**
 * An engine in this process on memory or embedded, or two on Kafka, and workers that speak the protocol without the SDK.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import {
  decodeFrame,
  encodeFrame,
  functionConfig,
  PROTOCOL_VERSION,
  type FunctionConfig,
  type GatewayFrame,
  type RunSummary,
  type StepReport,
  type StepRequest,
  type TimelineLine,
  type WorkerFrame,
} from "@eddy/schemas";
import { inject } from "vitest";
import { readEngineConfig } from "../../src/config/engine-config.js";
import { readKafkaConfig } from "../../src/config/kafka-config.js";
import { startEngine, type Engine, type EngineParts } from "../../src/main.js";
import { LinesLogger } from "../gateway/fixtures.js";

export type Kind = "memory" | "embedded" | "kafka";
/** Those that need no broker. */
export const KINDS: readonly Kind[] = ["memory", "embedded"];

/** On Kafka: short, so that no test waits for what only has to be longer than a send takes. */
const SENDER_SETTLE_MS = 300;
/** Bound of one wait for a condition, in ms of real time: these tests run on real sockets and disks. */
const PATIENCE_MS = 25_000;

export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  patienceMs: number = PATIENCE_MS,
): Promise<Exclude<T, false | null | undefined>> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const found = await probe();
    if (found !== false && found !== null && found !== undefined) return found as Exclude<T, false | null | undefined>;
    if (performance.now() > end) throw new Error(`did not come true within ${patienceMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export class Host {
  readonly kind: Kind;
  readonly logger = new LinesLogger();
  readonly #dataDirs: readonly string[];
  readonly #namespace = `t${randomUUID().slice(0, 8)}`;
  readonly #workers: ScriptedWorker[] = [];
  #engines: readonly Engine[] = [];
  #turn = 0;

  private constructor(kind: Kind, dataDirs: readonly string[]) {
    this.kind = kind;
    this.#dataDirs = dataDirs;
  }

  static async start(kind: Kind, parts: Partial<EngineParts> = {}): Promise<Host> {
    const made = Array.from({ length: kind === "kafka" ? 2 : 1 }, () => mkdtemp(join(tmpdir(), "eddy-engine-")));
    const dataDirs = await Promise.all(made);
    const host = new Host(kind, dataDirs);
    host.#engines = await Promise.all(dataDirs.map((dataDir) => host.#open(dataDir, 0, parts)));
    return host;
  }

  #open(dataDir: string, port: number, parts: Partial<EngineParts> = {}): Promise<Engine> {
    const common = { port, dataDir };
    if (this.kind !== "kafka") {
      const config = readEngineConfig({ ...common, inMemory: this.kind === "memory" }, {});
      return startEngine(config, { logger: this.logger, ...parts });
    }
    const onKafka = { brokers: inject("kafkaBrokers"), namespace: this.#namespace, dev: true, host: "127.0.0.1" };
    const config = readKafkaConfig({
      options: { ...common, ...onKafka, senderSettle: SENDER_SETTLE_MS },
      environment: {},
    });
    return startEngine(config, { logger: this.logger, ...parts });
  }

  /** The one that the workers are connected to. */
  get engine(): Engine {
    return this.#engines[0] as Engine;
  }
  /** Of any engine. */
  get #url(): string {
    return (this.#engines[this.#turn++ % this.#engines.length] as Engine).url;
  }

  /** Not in memory: closes the engines and opens them on the same data and ports. */
  async restart(): Promise<void> {
    const ports = this.#engines.map(({ url }) => Number(new URL(url).port));
    await Promise.all(this.#engines.map((engine) => engine.close()));
    this.#engines = await Promise.all(this.#dataDirs.map((dataDir, i) => this.#open(dataDir, ports[i] as number)));
  }

  async worker(functions: readonly FunctionConfig[], script: Script, workerId = "w"): Promise<ScriptedWorker> {
    const worker = new ScriptedWorker(this.engine.url, functions, script, workerId);
    this.#workers.push(worker);
    await eventually("welcome", () => worker.isWelcome);
    return worker;
  }

  async post(path: string, body: unknown): Promise<Response> {
    const headers = { "content-type": "application/json" };
    return fetch(this.#url + path, { method: "POST", headers, body: JSON.stringify(body) });
  }
  get(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(this.#url + path, init);
  }
  async send(name: string, data: Record<string, unknown>, id?: string): Promise<string> {
    const reply = await this.post("/e/dev", { name, data, ...(id === undefined ? {} : { id }) });
    if (reply.status !== 200) throw new Error(`send: ${reply.status} ${await reply.text()}`);
    return ((await reply.json()) as { ids: string[] }).ids[0] as string;
  }
  async advance(by: string): Promise<void> {
    const reply = await this.post("/dev/clock/advance", { by });
    if (reply.status !== 200) throw new Error(`advance: ${reply.status} ${await reply.text()}`);
  }
  async runsOf(eventId: string): Promise<readonly RunSummary[]> {
    const reply = await fetch(`${this.#url}/v1/events/${encodeURIComponent(eventId)}/runs`);
    // Nobody can tell while a partition moves between engines.
    if (reply.status === 503 && this.kind === "kafka") return [];
    return ((await reply.json()) as { data: RunSummary[] }).data;
  }
  async timeline(runId: string): Promise<readonly TimelineLine[]> {
    const reply = await fetch(`${this.#url}/v1/runs/${runId}/timeline`);
    return reply.status === 404 || (reply.status === 503 && this.kind === "kafka")
      ? []
      : ((await reply.json()) as { data: TimelineLine[] }).data;
  }
  /** The one run of the event, once it has this status. */
  run(eventId: string, status: RunSummary["status"]): Promise<RunSummary> {
    return eventually(`the run of ${eventId} is ${status}`, async () =>
      (await this.runsOf(eventId)).find((run) => run.status === status),
    );
  }

  async close(): Promise<void> {
    for (const worker of this.#workers) worker.close();
    await Promise.all(this.#engines.map((engine) => engine.close()));
    await Promise.all(this.#dataDirs.map((dataDir) => rm(dataDir, { recursive: true, force: true })));
  }
}

export type Ops = Pick<StepReport, "ops" | "outcome">;
/** What a worker reports for a request; null: nothing, as if it hung. */
export type Script = (request: StepRequest) => Ops | null;

export const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
export const parse = (data: Uint8Array | null): unknown =>
  data === null ? null : (JSON.parse(new TextDecoder().decode(data)) as unknown);
export const fn = (config: Partial<FunctionConfig> & { id: string }): FunctionConfig =>
  functionConfig.parse({
    name: config.id,
    triggers: [{ event: "none" }],
    cancelOn: [],
    waits: [],
    retries: 4,
    ...config,
  });

export class ScriptedWorker {
  readonly requests: StepRequest[] = [];
  readonly aborted: string[] = [];
  readonly acks: number[] = [];
  isWelcome = false;
  closed: { readonly code: number; readonly reason: string } | null = null;
  readonly #socket: WebSocket;
  readonly #script: Script;
  #seq = 0;

  constructor(url: string, functions: readonly FunctionConfig[], script: Script, workerId: string) {
    this.#script = script;
    this.#socket = new WebSocket(`${url.replace("http", "ws")}/v1/connect`);
    this.#socket.on("open", () => {
      const config = { app: "shop", functions: [...functions] };
      this.send({ kind: "hello", protocol: PROTOCOL_VERSION, workerId, sdk: "test", slots: 50, config });
    });
    this.#socket.on("message", (data: Buffer) => this.#receive(decodeFrame(data) as GatewayFrame));
    this.#socket.on("close", (code, reason) => (this.closed = { code, reason: reason.toString() }));
    this.#socket.on("error", () => undefined);
  }

  send(frame: WorkerFrame): void {
    this.#socket.send(encodeFrame(frame));
  }
  report(request: StepRequest, { ops, outcome }: Ops): number {
    const { runId, invocation } = request;
    this.send({ kind: "report", seq: ++this.#seq, report: { runId, invocation, ops, outcome } });
    return this.#seq;
  }
  close(): void {
    this.#socket.terminate();
  }

  #receive(frame: GatewayFrame): void {
    if (frame.kind === "welcome") this.isWelcome = true;
    else if (frame.kind === "abort") this.aborted.push(frame.runId);
    else if (frame.kind === "ack") this.acks.push(frame.seq);
    else if (frame.kind === "request") {
      this.requests.push(frame.request);
      const answer = this.#script(frame.request);
      if (answer !== null) this.report(frame.request, answer);
    }
  }
}
