/** An engine in this process, on either world, with a worker beside it: what the promise tests play on. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readEngineConfig, startEngine, type Engine } from "@eddy/engine";
import type { RunSummary } from "@eddy/schemas";
import { connect, Eddy, type ConnectOptions } from "@eddy/sdk";

export type WorldKind = "memory" | "embedded";
export const WORLDS: readonly WorldKind[] = ["memory", "embedded"];

type Functions = ConnectOptions["apps"][number]["functions"];
type Worker = Awaited<ReturnType<typeof connect>>;

/** How long a condition may take before the test fails, in ms of real time. */
const PATIENCE_MS = 20_000;

/** Waits for a condition, never for a time. @throws Error naming what did not come true. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | null> | T | null,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const end = Date.now() + patienceMs;
  for (;;) {
    const found = await probe();
    if (found !== null && found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`did not come true within ${patienceMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export interface TimelineEntry {
  readonly kind: string;
  readonly stepId?: string;
  readonly eventId?: string;
}

export class World {
  private constructor(
    readonly kind: WorldKind,
    readonly dataDir: string,
    public engine: Engine,
    readonly client: Eddy,
  ) {}
  #workers: Worker[] = [];

  static async start(kind: WorldKind, more: Record<string, unknown> = {}): Promise<World> {
    const dataDir = await mkdtemp(join(tmpdir(), "eddy-e2e-"));
    const engine = await World.#engine(kind, dataDir, 0, more);
    return new World(kind, dataDir, engine, new Eddy({ id: "shop", baseUrl: engine.url }));
  }
  static #engine(kind: WorldKind, dataDir: string, port: number, more: Record<string, unknown>): Promise<Engine> {
    const options = { port, partitions: 4, dataDir, inMemory: kind === "memory", logLevel: "silent", ...more };
    return startEngine(readEngineConfig(options, {}));
  }

  async work(functions: Functions, more: Partial<ConnectOptions> = {}): Promise<Worker> {
    const apps = [{ client: this.client, functions }];
    const worker = await connect({ apps, baseUrl: this.engine.url, handleShutdownSignals: false, ...more });
    this.#workers.push(worker);
    return worker;
  }

  /** Embedded only: closes the engine and opens it again on its data, at the same port. */
  async restart(): Promise<void> {
    const port = Number(new URL(this.engine.url).port);
    await this.engine.close();
    this.engine = await World.#engine(this.kind, this.dataDir, port, {});
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(this.engine.url + path);
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }
  async post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    const options = { method: "POST", headers: { "content-type": "application/json", ...headers } };
    return fetch(this.engine.url + path, { ...options, body: typeof body === "string" ? body : JSON.stringify(body) });
  }
  async advance(by: string): Promise<void> {
    const response = await this.post("/dev/clock/advance", { by });
    if (!response.ok) throw new Error(`advance: ${response.status} ${await response.text()}`);
  }
  async send(name: string, data: Record<string, unknown>, id?: string): Promise<string> {
    const { ids } = await this.client.send({ name, data, ...(id === undefined ? {} : { id }) });
    return ids[0] as string;
  }
  async runsOf(eventId: string): Promise<RunSummary[]> {
    return (await this.get<{ data: RunSummary[] }>(`/v1/events/${encodeURIComponent(eventId)}/runs`)).data;
  }
  /** The one run that the event started, once it has ended. */
  ended(eventId: string, patienceMs?: number): Promise<RunSummary> {
    const probe = async (): Promise<RunSummary | null> => {
      const [run] = await this.runsOf(eventId);
      return run !== undefined && run.status !== "Running" ? run : null;
    };
    return until(`the run of event ${eventId} ends`, probe, patienceMs);
  }
  async timeline(runId: string): Promise<TimelineEntry[]> {
    return (await this.get<{ data: TimelineEntry[] }>(`/v1/runs/${runId}/timeline`)).data;
  }
  /** The run of the event, once its timeline has an entry of this kind. */
  reached(eventId: string, kind: string, times = 1): Promise<string> {
    return until(`the run of event ${eventId} has ${times} ${kind}`, async () => {
      const [run] = await this.runsOf(eventId);
      if (run === undefined) return null;
      const found = (await this.timeline(run.run_id)).filter((entry) => entry.kind === kind);
      return found.length >= times ? run.run_id : null;
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close()));
    await this.engine.close();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}
