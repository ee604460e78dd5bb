/**
 * kill -9 of the engine process in the middle of many runs, four times. The worker and the sender live on in this
 * process and come back by themselves. What must hold afterwards is what a user would check: every run ended exactly
 * once, no recorded step ran again (G5), nothing acknowledged is lost (G6), no purchase was reminded (G1).
 */
import { join } from "node:path";
import { connect, Eddy } from "@eddy/sdk";
import { expect, it } from "vitest";
import { APP, shopFunctions } from "./drills/flow.js";
import { judge } from "./drills/judge.js";
import { Ledger } from "./drills/ledger.js";
import { Processes, type EngineProcess } from "./drills/processes.js";
import { carts, isBuyer, Shop } from "./drills/shop.js";
import { until } from "./until.js";

/** 1,000 in `npm test`; 10,000 in `npm run test:kill`. */
const RUNS = Number(process.env["EDDY_KILL_RUNS"] ?? 1_000);
const BATCH = RUNS / 40;
const KILLS = 3;
const END_MS_MAX = 150_000;

async function killAndStart(engine: EngineProcess): Promise<void> {
  await engine.kill();
  await engine.start();
}

/** Sends all carts and the purchases of the even ones; kills the engine while requests are under way. */
async function serveAll(shop: Shop, engine: EngineProcess): Promise<void> {
  const batches = RUNS / BATCH;
  const killAt = new Set(Array.from({ length: KILLS }, (_, i) => Math.floor(((i + 1) * batches) / (KILLS + 1))));
  for (let batch = 0; batch < batches; batch++) {
    const served = shop.serve(carts(BATCH, batch * BATCH));
    if (killAt.has(batch)) await killAndStart(engine); // The answer may be lost; the repeat must be harmless.
    await served;
  }
}

const advance = (url: string): Promise<unknown> =>
  fetch(`${url}/dev/clock/advance`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ by: "24h" }),
  });

it(`survives kill -9 in the middle of ${RUNS} runs`, async () => {
  const processes = await Processes.open("kill");
  const ledger = new Ledger(join(processes.directory, "ledger"));
  const engine = await processes.embeddedEngine("engine");
  const client = new Eddy({ id: APP, baseUrl: engine.url });
  const shop = new Shop([client], [engine.url]);
  const all = carts(RUNS);
  let wentWell = false;
  await engine.start();
  const functions = shopFunctions(client, ledger, "24h");
  const worker = await connect({ apps: [{ client, functions }], handleShutdownSignals: false, slots: 200 });
  try {
    await serveAll(shop, engine);
    await shop.ended(all.filter(isBuyer), END_MS_MAX);
    await advance(engine.url);
    const reminders = (): number => ledger.read().filter(({ stepId }) => stepId === "remind").length;
    await until("some reminders are out", () => reminders() > RUNS / 20 || null);
    await killAndStart(engine);
    await shop.ended(all, END_MS_MAX, () => advance(engine.url));
    const timelines = await shop.timelines(END_MS_MAX);
    const notices = await shop.notices(END_MS_MAX);
    expect(judge({ carts: all, shop, timelines, notices, ledger: ledger.read(), timeoutMs: null })).toEqual([]);
    wentWell = true;
  } finally {
    await worker.close();
    await processes.close(wentWell);
  }
}, 400_000);
