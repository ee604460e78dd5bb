/** The small one of `npm run test:leftovers`, on the embedded log. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SystemClock, topicsOf } from "@eddy/clients";
import { readEngineConfig, startEngine } from "@eddy/engine";
import { connect, Eddy } from "@eddy/sdk";
import { expect, it } from "vitest";
import { EmbeddedLog } from "../engine/src/adapters/embedded/index.js";
import { RocksDbStoreFactory } from "../engine/src/adapters/rocksdb/index.js";
import { APP } from "./drills/flow.js";
import { Changelogs, countHistory, countStore, isClean, isCleanButForDelivery, told } from "./drills/leftovers.js";
import { MixedLoad } from "./drills/mixed-load.js";
import { PARTITIONS } from "./drills/processes.js";
import { SILENT } from "./drills/progress.js";
import { until } from "./until.js";

const RUNS = 2_000;
/** User-given ids are remembered for 24 h, in buckets of one. */
const FORGOTTEN_AFTER = "26h";
/** Leases go by real time: this one lets two minutes pass at once. */
const LEASES_MS = 120_000;

class LeapingClock extends SystemClock {
  aheadMs = 0;
  override nowMs(): number {
    return super.nowMs() + this.aheadMs;
  }
}

it(`of ${RUNS} runs nothing is left once their ids are forgotten`, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "eddy-leftovers-"));
  const clock = new LeapingClock();
  const log = await EmbeddedLog.open(join(dataDir, "log"), { clock, logger: SILENT, fsync: false });
  const stores = new RocksDbStoreFactory(join(dataDir, "stores"));
  const config = readEngineConfig({ port: 0, partitions: PARTITIONS, logLevel: "silent", senderSettle: 300 }, {});
  const engine = await startEngine(config, { log, stores, clock });
  const topics = topicsOf("dev");
  const client = new Eddy({ id: APP, baseUrl: engine.url });
  const load = new MixedLoad(client);
  try {
    const apps = [{ client, functions: load.functions() }];
    const worker = await connect({ apps, handleShutdownSignals: false, slots: 1_000 });
    await load.serve(RUNS);
    await worker.close();
    expect(load.problems).toEqual([]);
    clock.aheadMs += LEASES_MS;
    const moved = await fetch(`${engine.url}/dev/clock/advance`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ by: FORGOTTEN_AFTER }),
    });
    expect(moved.status).toBe(200);
    const changelogs = new Changelogs(log, topics.changelog);
    const isEmpty = async (): Promise<true | null> => {
      await changelogs.refresh();
      return changelogs.counts.every(isClean) || null;
    };
    await until("the changelogs are empty", isEmpty).catch((cause: unknown) => {
      const counts = changelogs.counts.map(told).join(" / ");
      throw new Error(`the changelogs hold ${counts}: ${changelogs.left(20).join(", ")}`, { cause });
    });
    await engine.close();
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const store = await stores.open(`state-${partition}`);
      const counts = await countStore(store);
      await store.close();
      expect(isCleanButForDelivery(counts), `store ${partition} holds ${told(counts)}`).toBe(true);
    }
    const history = await countHistory(log, topics);
    expect(history.get("runStarted")).toBe(RUNS);
    expect((history.get("runCompleted") ?? 0) + (history.get("runCancelled") ?? 0)).toBe(RUNS);
  } finally {
    await engine.close();
    await log.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}, 200_000);
