/** An engine that runs from the image, on a Kafka of this machine; what is wrong is told as a list. */
import { randomUUID } from "node:crypto";
import { Kafka, logLevel } from "kafkajs";
import { freePorts } from "../kafka/free-ports.js";
import type { Container, ContainerProcess } from "./container.js";

const CLI = ["node", "engine/dist/cli/eddy.js"] as const;
const READY_MS_MAX = 60_000;
/** The engine's own limit for a drain is 30 s. */
const DRAIN_MS_MAX = 35_000;
const LOOK_UP_MS_MAX = 60_000;
const ANSWER_MS_MAX = 10_000;
const PAUSE_MS = 100;
const EVENT = "helm-test/asked";

export interface EngineOptions {
  readonly brokers: readonly string[];
  /** Folder of this machine that belongs to the image's user. */
  readonly data: string;
}

export class EngineInImage {
  readonly #container: Container;
  readonly #options: EngineOptions;
  readonly #namespace = `image-${randomUUID().slice(0, 8)}`;
  #port = 0;
  #process: ContainerProcess | null = null;

  constructor(container: Container, options: EngineOptions) {
    this.#container = container;
    this.#options = options;
  }

  get #url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get #environment(): Readonly<Record<string, string>> {
    return {
      EDDY_BROKERS: this.#options.brokers.join(","),
      EDDY_NAMESPACE: this.#namespace,
      EDDY_DEV: "true",
      EDDY_SENDER_SETTLE: "1s",
      // Not beyond this machine, whose network it shares.
      EDDY_HOST: "127.0.0.1",
      EDDY_PORT: String(this.#port),
      EDDY_BASE_URL: this.#url,
    };
  }

  /** By a container of its own. */
  makeTopics(): Promise<readonly string[]> {
    return this.inside([...CLI, "topics", "--app", "helm-test"]);
  }

  async start(): Promise<readonly string[]> {
    const [port] = await freePorts(1);
    this.#port = port ?? 0;
    const { data } = this.#options;
    const engine = this.#container.run([...CLI, "start"], { environment: this.#environment, data });
    this.#process = engine;
    const isReady = await until(
      READY_MS_MAX,
      async () => !engine.isRunning || (await this.#get("/health/ready")) !== null,
    );
    return isReady && engine.isRunning ? [] : lastLines(engine);
  }

  /** Runs a command in the image until it ends. */
  async inside(args: readonly string[]): Promise<readonly string[]> {
    const process = this.#container.run(args, { environment: this.#environment });
    const code = await process.ended;
    return code === 0 ? [] : [`it ended with ${code}`, ...lastLines(process)];
  }

  /** @returns their ids. @throws Error unless all are acknowledged */
  async sendEvents(count: number): Promise<readonly string[]> {
    const events = Array.from({ length: count }, (_, i) => ({ name: EVENT, data: { nonce: String(i) } }));
    const reply = await fetch(`${this.#url}/e/dev`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(events),
    });
    const body = (await reply.json()) as { ids: readonly string[] };
    if (!reply.ok) throw new Error(`POST /e/dev: ${reply.status} ${JSON.stringify(body)}`);
    return body.ids;
  }

  async stop(): Promise<readonly string[]> {
    const engine = this.#process;
    if (engine === null || !engine.isRunning) return ["it does not run"];
    engine.signal("SIGTERM");
    const inTime = await until(DRAIN_MS_MAX, () => Promise.resolve(!engine.isRunning));
    if (!inTime) return [`it still runs after ${DRAIN_MS_MAX} ms`, ...lastLines(engine)];
    const code = await engine.ended;
    return code === 0 ? [] : [`it ended with ${code}`, ...lastLines(engine)];
  }

  async kill(): Promise<void> {
    this.#process?.signal("SIGKILL");
    await this.#process?.ended;
  }

  async groupProblems(): Promise<readonly string[]> {
    const admin = new Kafka({ brokers: [...this.#options.brokers], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    const { groups } = await admin.describeGroups([`eddy.${this.#namespace}.engine`]);
    await admin.disconnect();
    return groups.flatMap(({ members }) => members.map(({ memberId }) => `${memberId} is still a member`));
  }

  /** Each of these events has started one run. */
  async lostRuns(ids: readonly string[]): Promise<readonly string[]> {
    let open: readonly (readonly [id: string, reply: unknown])[] = ids.map((id) => [id, null]);
    const look = async (): Promise<boolean> => {
      const found = await Promise.all(
        open.map(async ([id]) => [id, await this.#get(`/v1/events/${id}/runs`)] as const),
      );
      open = found.filter(([, reply]) => (reply as { data: readonly unknown[] } | null)?.data.length !== 1);
      return open.length === 0;
    };
    await until(LOOK_UP_MS_MAX, look);
    return open.map(([id, reply]) => `the event ${id} has not one run: ${JSON.stringify(reply)}`);
  }

  /** null: not now. */
  async #get(path: string): Promise<unknown> {
    const reply = await fetch(this.#url + path, { signal: AbortSignal.timeout(ANSWER_MS_MAX) }).catch(() => null);
    return reply?.ok === true ? reply.json() : null;
  }
}

const lastLines = ({ printed }: ContainerProcess): readonly string[] => printed.trimEnd().split("\n").slice(-15);

/** @returns whether it came true in time */
async function until(msMax: number, probe: () => Promise<boolean>): Promise<boolean> {
  const endAtMs = Date.now() + msMax;
  while (Date.now() < endAtMs) {
    if (await probe()) return true;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return false;
}
