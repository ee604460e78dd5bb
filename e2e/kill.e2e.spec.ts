/**
 * kill -9 of the engine process in the middle of many runs, four times. The worker and the sender live on in this
 * process and come back by themselves. What must hold afterwards is what a user would check: every run ended exactly
 * once, no recorded step ran again (G5), nothing acknowledged is lost (G6), no purchase was reminded (G1).
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RunSummary } from "@eddy/schemas";
import { connect, Eddy } from "@eddy/sdk";
import { expect, it } from "vitest";
import { until } from "./world.js";

/** 1,000 in `npm test`; 10,000 in `npm run test:kill`. */
const RUNS = Number(process.env["EDDY_KILL_RUNS"] ?? 1_000);
const BATCH = RUNS / 100;
const KILLS = 3;
const LOOK_UPS_AT_ONCE = 50;
const CLI = fileURLToPath(new URL("../engine/dist/cli/eddy.js", import.meta.url));

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function startEngine(port: number, dataDir: string): Promise<ChildProcess> {
  const args = [CLI, "dev", "--port", String(port), "--data-dir", dataDir, "--log-level", "error"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
  await until("the engine is ready", async () => {
    if (child.exitCode !== null) throw new Error(`the engine exited with ${child.exitCode}`);
    return fetch(`http://127.0.0.1:${port}/health/ready`).then(
      (r) => r.ok || null,
      () => null,
    );
  });
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

/** An engine process that is killed and started again, and what its users saw. */
class Shop {
  readonly client: Eddy;
  readonly runs = new Map<string, RunSummary>();
  /** `runId/stepId` of steps whose result was acknowledged. */
  readonly recorded = new Set<string>();
  readonly repeated: string[] = [];
  readonly reminders: number[] = [];
  #engine: ChildProcess | null = null;

  constructor(
    readonly port: number,
    readonly dataDir: string,
  ) {
    this.client = new Eddy({ id: "shop", baseUrl: this.url });
  }
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    this.#engine = await startEngine(this.port, this.dataDir);
  }
  async kill(): Promise<void> {
    if (this.#engine !== null) await kill(this.#engine);
  }
  async killAndStart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  flow() {
    const { recorded, repeated, reminders } = this;
    return this.client.createFunction(
      { id: "flow", triggers: [{ event: "added" }] },
      async ({ event, step, runId }) => {
        const once = async (stepId: string, body: () => unknown): Promise<void> => {
          await step.run(stepId, () => {
            if (recorded.has(`${runId}/${stepId}`)) repeated.push(`${runId}/${stepId}`);
            body();
          });
          recorded.add(`${runId}/${stepId}`);
        };
        await once("look-up", () => undefined);
        const bought = await step.waitForEvent("bought", { event: "bought", match: "data.n", timeout: "24h" });
        if (bought === null) await once("remind", () => reminders.push(event.data.n as number));
        return bought === null ? "reminded" : "bought";
      },
    );
  }

  /** The SDK tries for seconds; an engine that is away for longer is the sender's to wait for: his ids make it safe. */
  async send(name: string, numbers: readonly number[]): Promise<void> {
    const events = numbers.map((n) => ({ name, id: `${name}-${n}`, data: { n } }));
    await until("the events are acknowledged", () => this.client.send(events).catch(() => null), 60_000);
  }

  async advance(): Promise<void> {
    const headers = { "content-type": "application/json" };
    await fetch(`${this.url}/dev/clock/advance`, { method: "POST", headers, body: JSON.stringify({ by: "24h" }) });
  }

  /** Looks up the runs of these carts, until all have ended. */
  async ended(numbers: readonly number[], everyRound: () => Promise<void>): Promise<void> {
    const probe = async (): Promise<true | null> => {
      await everyRound();
      const open = numbers.filter((n) => !this.runs.has(`added-${n}`));
      for (let i = 0; i < open.length; i += LOOK_UPS_AT_ONCE) {
        await Promise.all(open.slice(i, i + LOOK_UPS_AT_ONCE).map((n) => this.#lookUp(`added-${n}`)));
      }
      return numbers.every((n) => this.runs.has(`added-${n}`)) || null;
    };
    await until("the runs have ended", probe, 150_000);
  }
  async #lookUp(eventId: string): Promise<void> {
    const reply = await fetch(`${this.url}/v1/events/${eventId}/runs`);
    const { data } = (await reply.json()) as { data: RunSummary[] };
    expect(data.length).toBeLessThanOrEqual(1);
    const [run] = data;
    if (run !== undefined && run.status !== "Running") this.runs.set(eventId, run);
  }
}

/** Sends all carts and the purchases of the even ones; kills the engine while requests are under way. */
async function sendAll(shop: Shop): Promise<void> {
  const batches = RUNS / BATCH;
  const killAt = new Set(Array.from({ length: KILLS }, (_, i) => Math.floor(((i + 1) * batches) / (KILLS + 1))));
  for (let batch = 0; batch < batches; batch++) {
    const numbers = Array.from({ length: BATCH }, (_, i) => batch * BATCH + i);
    const added = shop.send("added", numbers);
    if (killAt.has(batch)) await shop.killAndStart(); // The answer may be lost; the repeat must be harmless.
    await added;
    await shop.send("bought", numbers.filter(isBuyer));
  }
}

const isBuyer = (n: number): boolean => n % 2 === 0;

it(`survives kill -9 in the middle of ${RUNS} runs`, async () => {
  const shop = new Shop(await freePort(), await mkdtemp(join(tmpdir(), "eddy-kill-")));
  await shop.start();
  const apps = [{ client: shop.client, functions: [shop.flow()] }];
  const options = { baseUrl: shop.url, handleShutdownSignals: false, maxWorkerConcurrency: 200 };
  const worker = await connect({ apps, ...options });
  try {
    await sendAll(shop);
    const all = Array.from({ length: RUNS }, (_, n) => n);
    await shop.ended(all.filter(isBuyer), () => Promise.resolve());
    await shop.advance();
    await until("some reminders are out", () => shop.reminders.length > RUNS / 20 || null);
    await shop.killAndStart();
    await shop.ended(all, () => shop.advance());
    const wrong = all.filter((n) => shop.runs.get(`added-${n}`)?.output !== (isBuyer(n) ? "bought" : "reminded"));
    expect(wrong).toEqual([]);
    expect(shop.repeated).toEqual([]);
    expect(shop.reminders.filter(isBuyer)).toEqual([]);
    expect(new Set(shop.reminders).size).toBe(RUNS / 2);
  } finally {
    await worker.close();
    await shop.kill();
    await rm(shop.dataDir, { recursive: true, force: true });
  }
}, 400_000);
