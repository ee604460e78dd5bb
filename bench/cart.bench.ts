/**
 * Cart events through the whole embedded engine: HTTP in, log, core, history, requests to a worker in this process.
 * `npm run bench:cart` prints one JSON line per round. Every event cancels the run before it on its cart and starts
 * another, which the worker suspends in its wait; so an event is a start, a cancel, a dispatch and a report.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readEngineConfig, startEngine } from "@eddy/engine";
import { connect, Eddy } from "@eddy/sdk";

const EVENTS = 20_000;
const CARTS = 2_000;
const REQUEST_EVENTS = 500;
const REQUESTS_AT_ONCE = 4;

async function statusOf(baseUrl: string, eventId: string): Promise<string | null> {
  const reply = await fetch(`${baseUrl}/v1/events/${eventId}/runs`);
  const { data } = (await reply.json()) as { data: { status: string }[] };
  return data[0]?.status ?? null;
}

async function round(inMemory: boolean): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), "eddy-bench-"));
  const engine = await startEngine(readEngineConfig({ port: 0, dataDir, inMemory, logLevel: "silent" }, {}));
  const client = new Eddy({ id: "shop", baseUrl: engine.url });
  const cart = client.createFunction(
    {
      id: "cart",
      triggers: [{ event: "cart/added" }],
      cancelOn: { event: "cart/added", timeout: "24h", match: "data.cart" },
    },
    async ({ step }) => {
      await step.waitForEvent("bought", { event: "cart/bought", timeout: "24h", match: "data.cart" });
    },
  );
  const apps = [{ client, functions: [cart] }];
  const options = { baseUrl: engine.url, handleShutdownSignals: false, maxWorkerConcurrency: 500 };
  const worker = await connect({ apps, ...options });
  const cpu = process.cpuUsage();
  const begin = performance.now();
  const ids: string[] = [];
  const send = async (lane: number): Promise<void> => {
    for (let at = lane * REQUEST_EVENTS; at < EVENTS; at += REQUESTS_AT_ONCE * REQUEST_EVENTS) {
      const numbers = Array.from({ length: REQUEST_EVENTS }, (_, i) => at + i);
      const events = numbers.map((n) => ({ name: "cart/added", data: { cart: `c${n % CARTS}`, n } }));
      const reply = await client.send(events);
      reply.ids.forEach((id, i) => (ids[at + i] = id));
    }
  };
  await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, (_, lane) => send(lane)));
  const sentMs = performance.now() - begin;
  const lastOnes = ids.slice(-CARTS);
  for (const id of lastOnes) while ((await statusOf(engine.url, id)) === null);
  const doneMs = performance.now() - begin;
  const { user, system } = process.cpuUsage(cpu);
  const line = {
    log: inMemory ? "memory" : "embedded",
    events: EVENTS,
    acknowledgedPerSecond: Math.round((EVENTS / sentMs) * 1_000),
    processedPerSecond: Math.round((EVENTS / doneMs) * 1_000),
    cpuMicrosPerEvent: Math.round((user + system) / EVENTS),
  };
  console.log(JSON.stringify(line));
  await worker.close();
  await engine.close();
  await rm(dataDir, { recursive: true, force: true });
}

for (let i = 0; i < 2; i++) for (const inMemory of [true, false]) await round(inMemory);
