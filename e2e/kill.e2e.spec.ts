/**
 * kill -9 of the engine process in the middle of 10,000 runs, three times. The worker and the sender live on in this
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

const RUNS = 10_000;
const BATCH = 100;
const KILLS = 3;
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

it("survives kill -9 in the middle of 10,000 runs", async () => {
  const [port, dataDir] = [await freePort(), await mkdtemp(join(tmpdir(), "eddy-kill-"))];
  const baseUrl = `http://127.0.0.1:${port}`;
  let engine = await startEngine(port, dataDir);
  const client = new Eddy({ id: "shop", baseUrl });
  const recorded = new Set<string>();
  const repeated: string[] = [];
  const reminders: number[] = [];
  const flow = client.createFunction({ id: "flow", triggers: [{ event: "added" }] }, async ({ event, step, runId }) => {
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
  });
  const apps = [{ client, functions: [flow] }];
  const worker = await connect({ apps, baseUrl, handleShutdownSignals: false, maxWorkerConcurrency: 200 });
  try {
    const ids: string[] = [];
    /** The SDK tries for seconds; an engine that is away for longer is the sender's to wait for: his ids make it safe. */
    const send = (events: { name: string; id: string; data: { n: number } }[]): Promise<{ ids: string[] }> =>
      until("the events are acknowledged", () => client.send(events).catch(() => null), 60_000);
    const batches = RUNS / BATCH;
    const killAfter = new Set(Array.from({ length: KILLS }, (_, i) => Math.floor(((i + 1) * batches) / (KILLS + 1))));
    for (let batch = 0; batch < batches; batch++) {
      const numbers = Array.from({ length: BATCH }, (_, i) => batch * BATCH + i);
      const added = send(numbers.map((n) => ({ name: "added", id: `added-${n}`, data: { n } })));
      if (killAfter.has(batch)) {
        await kill(engine); // While the request is under way: its answer may be lost, its retry must be harmless.
        engine = await startEngine(port, dataDir);
      }
      ids.push(...(await added).ids);
      const buyers = numbers.filter((n) => n % 2 === 0);
      await send(buyers.map((n) => ({ name: "bought", id: `bought-${n}`, data: { n } })));
    }
    const runs = new Map<string, RunSummary>();
    const open = (): string[] => ids.filter((id) => !runs.has(id));
    const collect = async (): Promise<void> => {
      for (const id of open()) {
        const reply = await fetch(`${baseUrl}/v1/events/${id}/runs`);
        const { data } = (await reply.json()) as { data: RunSummary[] };
        expect(data.length).toBeLessThanOrEqual(1);
        if (data[0] !== undefined && data[0].status !== "Running") runs.set(id, data[0]);
      }
    };
    await until(
      "all buyers' runs have ended",
      async () => {
        await collect();
        return runs.size >= RUNS / 2 || null;
      },
      150_000,
    );
    await until(
      "every run has ended",
      async () => {
        await fetch(`${baseUrl}/dev/clock/advance`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ by: "24h" }),
        });
        await collect();
        return runs.size === RUNS || null;
      },
      150_000,
    );
    const outputs = ids.map((id) => runs.get(id)?.output);
    expect(outputs.filter((output, n) => output !== (n % 2 === 0 ? "bought" : "reminded"))).toEqual([]);
    expect(repeated).toEqual([]);
    expect(reminders.filter((n) => n % 2 === 0)).toEqual([]);
    expect(new Set(reminders).size).toBe(RUNS / 2);
  } finally {
    await worker.close();
    await kill(engine);
    await rm(dataDir, { recursive: true, force: true });
  }
}, 400_000);
