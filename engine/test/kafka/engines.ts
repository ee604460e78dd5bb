/** Engines on a real Kafka, in a namespace that no other test has. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunSummary } from "@eddy/schemas";
import { readKafkaConfig } from "../../src/config/kafka-config.js";
import { openEngine, type Engine } from "../../src/main.js";
import { eventually } from "../e2e/fixtures.js";
import { LinesLogger } from "../gateway/fixtures.js";

export const PARTITIONS = 4;

export interface Started {
  readonly engine: Engine;
  readonly logger: LinesLogger;
}

export class Engines {
  readonly namespace = `t${randomUUID().slice(0, 8)}`;
  readonly #brokers: readonly string[];
  readonly #open: Engine[] = [];
  readonly #folders: string[] = [];

  constructor(brokers: readonly string[]) {
    this.#brokers = brokers;
  }

  /** A new one, removed at the end. */
  async folder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "eddy-kafka-"));
    this.#folders.push(folder);
    return folder;
  }

  /** Listens; may still be starting. */
  async open(more: Record<string, unknown> = {}): Promise<Started> {
    const own = { brokers: [...this.#brokers], namespace: this.namespace, dataDir: await this.folder() };
    const options = {
      ...own,
      host: "127.0.0.1",
      port: 0,
      dev: true,
      partitions: PARTITIONS,
      senderSettle: 300,
      ...more,
    };
    const logger = new LinesLogger();
    const engine = await openEngine(readKafkaConfig({ options, environment: {} }), { logger });
    this.#open.push(engine);
    return { engine, logger };
  }

  async start(more: Record<string, unknown> = {}): Promise<Started> {
    const started = await this.open(more);
    await started.engine.started;
    return started;
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((engine) => engine.close()));
    await Promise.all(this.#folders.map((folder) => rm(folder, { recursive: true, force: true })));
  }
}

export function post({ url }: Engine, path: string, body: unknown): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
}

/** @returns the event's id */
export async function send(engine: Engine, name: string, data: Record<string, unknown>): Promise<string> {
  const reply = await post(engine, "/e/dev", { name, data });
  if (reply.status !== 200) throw new Error(`send: ${reply.status} ${await reply.text()}`);
  return ((await reply.json()) as { ids: string[] }).ids[0] as string;
}

export async function advance(engine: Engine, by: string): Promise<number> {
  const reply = await post(engine, "/dev/clock/advance", { by });
  if (reply.status !== 200) throw new Error(`advance: ${reply.status} ${await reply.text()}`);
  return ((await reply.json()) as { advancedMs: number }).advancedMs;
}

/** null: it cannot be told at this moment. */
export async function runsOf({ url }: Engine, eventId: string): Promise<readonly RunSummary[] | null> {
  const reply = await fetch(`${url}/v1/events/${eventId}/runs`);
  if (reply.status === 503) return null;
  return ((await reply.json()) as { data: RunSummary[] }).data;
}

/** The run of the event, once it has this status, as this engine tells it. */
export function run(engine: Engine, eventId: string, status: RunSummary["status"]): Promise<RunSummary> {
  return eventually(`the run of ${eventId} is ${status}`, async () =>
    (await runsOf(engine, eventId))?.find((each) => each.status === status),
  );
}

/** Inbox partitions that the engine works on, and has caught up with. @param token where it asks for one */
export async function partitionsOf({ url }: Engine, namespace: string, token = ""): Promise<readonly number[]> {
  const headers = { "x-eddy-forwarded": namespace, authorization: `Bearer ${token}` };
  const reply = await fetch(`${url}/internal/partitions`, { headers });
  if (reply.status !== 200) return [];
  const { data } = (await reply.json()) as { data: { partition: number; status: string }[] };
  return data.filter(({ status }) => status === "running").map(({ partition }) => partition);
}
