/**
 * What the promise tests play on: engines in this process, and workers and senders beside them. On memory and embedded
 * it is one of each; on Kafka two engines, a worker over Kafka and one over the second engine's gateway, and senders by
 * every way, in a namespace of its own. Whatever a test sends or asks goes round them.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readEngineConfig, readKafkaConfig, startEngine, type Engine } from "@eddy/engine";
import type { RunSummary } from "@eddy/schemas";
import { connect, Eddy, type ConnectOptions } from "@eddy/sdk";
import { inject } from "vitest";
import { PATIENCE_MS, until } from "./until.js";

export type WorldKind = "memory" | "embedded" | "kafka";
/** Those that need no broker. */
export const LOCAL_WORLDS: readonly WorldKind[] = ["memory", "embedded"];

type Functions = ConnectOptions["apps"][number]["functions"];
type Worker = Awaited<ReturnType<typeof connect>>;
type EventToSend = Parameters<Eddy["send"]>[0];

/** Of every world. */
export const PARTITIONS = 4;
/** Two engines and two workers share this process with their test, and a busy machine with the brokers. In ms. */
const KAFKA_PATIENCE_MS = 45_000;
/** Short, so that no test waits for what only has to be longer than a send takes. */
const SENDER_SETTLE_MS = 300;
export const APP = "shop";
const LOOK_UPS_AT_ONCE = 50;

export interface TimelineEntry {
  readonly kind: string;
  readonly stepId?: string;
  readonly eventId?: string;
}

/** An engine's place: it keeps its data and its port over a restart. */
interface Site {
  readonly dataDir: string;
  engine: Engine;
}

/** Gives the items one after the other, from the first one again after the last. */
function round<T>(items: readonly T[]): () => T {
  let next = 0;
  return () => items[next++ % items.length] as T;
}

/** How everybody of a world on Kafka finds it. */
interface OnKafka {
  readonly brokers: readonly string[];
  readonly namespace: string;
}

export class World {
  /** Defines functions. */
  readonly client: Eddy;
  readonly #sites: readonly Site[];
  readonly #kafka: OnKafka | null;
  readonly #more: Record<string, unknown>;
  readonly #senders: readonly Eddy[];
  readonly #nextSender: () => Eddy;
  readonly #nextSite: () => Site;
  readonly #nextWay: () => WorkersWay;
  readonly #workers: Worker[] = [];

  private constructor(
    readonly kind: WorldKind,
    sites: readonly Site[],
    kafka: OnKafka | null,
    more: Record<string, unknown>,
  ) {
    this.#sites = sites;
    this.#kafka = kafka;
    this.#more = more;
    this.#senders = sites.map(({ engine }) => new Eddy({ id: APP, baseUrl: engine.url }));
    if (kafka !== null) this.#senders = [...this.#senders, new Eddy({ id: APP, kafka })];
    this.client = this.#senders[0] as Eddy;
    this.#nextSender = round(this.#senders);
    this.#nextSite = round(sites);
    this.#nextWay = round(this.ways());
  }

  /**
   * @param more engine options
   * @param engines on Kafka; elsewhere there is one
   */
  static async start(kind: WorldKind, more: Record<string, unknown> = {}, engines = 2): Promise<World> {
    const kafka = kind === "kafka" ? { brokers: inject("kafkaBrokers"), namespace: uniqueNamespace() } : null;
    const sites = Array.from({ length: kafka === null ? 1 : engines }, async () => {
      const dataDir = await mkdtemp(join(tmpdir(), "eddy-e2e-"));
      return { dataDir, engine: await openEngine(kind, { dataDir, port: 0, kafka }, more) };
    });
    return new World(kind, await Promise.all(sites), kafka, more);
  }

  /** Connects a worker by each way that this world has. */
  async work(functions: Functions, more: Partial<ConnectOptions> = {}): Promise<void> {
    await this.#connectAll(this.ways().map((way) => ({ ...way, app: APP, functions, more })));
  }
  /** Connects all of these at the same time, each by the next way. The apps may be the same. */
  async workAtOnce(workers: readonly { readonly app: string; readonly functions: Functions }[]): Promise<void> {
    await this.#connectAll(workers.map((worker) => ({ ...this.#nextWay(), ...worker, more: {} })));
  }
  async #connectAll(wanted: readonly (WorkersWay & WantedWorker)[]): Promise<void> {
    const connecting = wanted.map(async ({ sends, connects, app, functions, more }) => {
      const client = new Eddy({ id: app, ...sends });
      const worker = await connect({
        apps: [{ client, functions }],
        handleShutdownSignals: false,
        ...connects,
        ...more,
      });
      this.#workers.push(worker);
    });
    for (const connected of await Promise.allSettled(connecting)) {
      if (connected.status === "rejected") throw connected.reason as Error;
    }
  }
  /**
   * How a worker may be connected: by a gateway, and on Kafka without one. What its steps send goes the same way as its
   * work, but past another engine.
   */
  ways(): readonly WorkersWay[] {
    const [first, last] = [this.#sites[0], this.#sites.at(-1)] as [Site, Site];
    const byGateway = { sends: { baseUrl: first.engine.url }, connects: { baseUrl: last.engine.url } };
    return this.#kafka === null
      ? [byGateway]
      : [byGateway, { sends: { kafka: this.#kafka }, connects: { kafka: this.#kafka } }];
  }

  /**
   * Not in memory: closes all engines and opens them again at their ports.
   * @param wiped the first engine's data is deleted in between; on Kafka alone, where it is not the only copy
   */
  async restart({ wiped = false } = {}): Promise<void> {
    const ports = this.#sites.map(({ engine }) => Number(new URL(engine.url).port));
    await Promise.all(this.#sites.map(({ engine }) => engine.close()));
    if (wiped) await rm((this.#sites[0] as Site).dataDir, { recursive: true });
    const opening = this.#sites.map(async (site, i) => {
      const place = { dataDir: site.dataDir, port: ports[i] as number, kafka: this.#kafka };
      site.engine = await openEngine(this.kind, place, this.#more);
    });
    await Promise.all(opening);
  }

  /** null where it is not on Kafka. */
  get kafka(): OnKafka | null {
    return this.#kafka;
  }
  /** Waits for a condition as long as this world deserves. */
  until<T>(what: string, probe: () => Promise<T | null> | T | null): Promise<T> {
    return until(what, probe, this.kind === "kafka" ? KAFKA_PATIENCE_MS : PATIENCE_MS);
  }
  get url(): string {
    return this.#nextSite().engine.url;
  }
  async get<T>(path: string): Promise<T> {
    const response = await this.#ask(path);
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }
  /** While a partition moves from one engine to another, nobody can answer for it; whoever asks is told to come back. */
  #ask(path: string): Promise<Response> {
    if (this.#sites.length === 1) return fetch(this.url + path);
    return this.until(`there is an answer to GET ${path}`, async () => {
      const response = await fetch(this.url + path);
      return response.status === 503 && response.headers.has("retry-after") ? null : response;
    });
  }
  async post(path: string, body: unknown): Promise<Response> {
    const options = { method: "POST", headers: { "content-type": "application/json" } };
    return fetch(this.url + path, { ...options, body: typeof body === "string" ? body : JSON.stringify(body) });
  }
  async advance(by: string): Promise<void> {
    const response = await this.post("/dev/clock/advance", { by });
    if (!response.ok) throw new Error(`advance: ${response.status} ${await response.text()}`);
  }

  /** Each call by the next of this world's senders. @returns the ids */
  async sendAll(events: EventToSend): Promise<readonly string[]> {
    return (await this.#nextSender().send(events)).ids;
  }
  async send(name: string, data: Record<string, unknown>, id?: string): Promise<string> {
    const [sent] = await this.sendAll({ name, data, ...(id === undefined ? {} : { id }) });
    return sent as string;
  }

  async runsOf(eventId: string): Promise<RunSummary[]> {
    return (await this.get<{ data: RunSummary[] }>(`/v1/events/${encodeURIComponent(eventId)}/runs`)).data;
  }
  /** The one run that the event started, once it has ended. */
  ended(eventId: string): Promise<RunSummary> {
    const probe = async (): Promise<RunSummary | null> => {
      const [run] = await this.runsOf(eventId);
      return run !== undefined && run.status !== "Running" ? run : null;
    };
    return this.until(`the run of event ${eventId} ends`, probe);
  }
  /**
   * The runs that these events started, one each, once all have ended.
   * @param everyRound before each look at those that have not
   */
  async allEnded(eventIds: readonly string[], everyRound?: () => Promise<unknown>): Promise<Map<string, RunSummary>> {
    const ended = new Map<string, RunSummary>();
    const open = (): string[] => eventIds.filter((id) => !ended.has(id));
    const look = async (id: string): Promise<void> => {
      const runs = await this.runsOf(id);
      if (runs.length > 1) throw new Error(`the event ${id} started ${runs.length} runs`);
      if (runs[0] !== undefined && runs[0].status !== "Running") ended.set(id, runs[0]);
    };
    const probe = async (): Promise<true | null> => {
      await everyRound?.();
      const ids = open();
      for (let i = 0; i < ids.length; i += LOOK_UPS_AT_ONCE) {
        await Promise.all(ids.slice(i, i + LOOK_UPS_AT_ONCE).map(look));
      }
      return open().length === 0 || null;
    };
    await this.until("all runs have ended", probe).catch((cause: unknown) => {
      throw new Error(`these events' runs have not ended: ${open().slice(0, 20).join(" ")}`, { cause });
    });
    return ended;
  }
  async timeline(runId: string): Promise<TimelineEntry[]> {
    return (await this.get<{ data: TimelineEntry[] }>(`/v1/runs/${runId}/timeline`)).data;
  }
  /** The run of the event, once its timeline has an entry of this kind. */
  reached(eventId: string, kind: string, times = 1): Promise<string> {
    return this.until(`the run of event ${eventId} has ${times} ${kind}`, async () => {
      const [run] = await this.runsOf(eventId);
      if (run === undefined) return null;
      const found = (await this.timeline(run.run_id)).filter((entry) => entry.kind === kind);
      return found.length >= times ? run.run_id : null;
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close()));
    await Promise.all(this.#senders.map((sender) => sender.close()));
    await Promise.all(this.#sites.map(({ engine }) => engine.close()));
    await Promise.all(this.#sites.map(({ dataDir }) => rm(dataDir, { recursive: true, force: true })));
  }
}

/** No other test has it, so that they share brokers without seeing each other. */
export function uniqueNamespace(): string {
  return `t${randomUUID().slice(0, 8)}`;
}

type Way = Pick<ConnectOptions, "baseUrl" | "kafka">;
export interface WorkersWay {
  readonly sends: Way;
  readonly connects: Way;
}
interface WantedWorker {
  readonly app: string;
  readonly functions: Functions;
  readonly more: Partial<ConnectOptions>;
}

interface Place {
  readonly dataDir: string;
  readonly port: number;
  readonly kafka: OnKafka | null;
}

function openEngine(kind: WorldKind, place: Place, more: Record<string, unknown>): Promise<Engine> {
  const { dataDir, port, kafka } = place;
  const own = { port, partitions: PARTITIONS, dataDir, logLevel: "silent", senderSettle: SENDER_SETTLE_MS };
  const options = { ...own, ...more };
  if (kafka === null) return startEngine(readEngineConfig({ ...options, inMemory: kind === "memory" }, {}));
  const onKafka = { ...options, ...kafka, dev: true, host: "127.0.0.1" };
  return startEngine(readKafkaConfig({ options: onKafka, environment: {} }));
}
