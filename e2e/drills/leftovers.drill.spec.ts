/** `npm run test:leftovers`: 100,000 runs of all sorts on one broker; when their ids are forgotten, nothing is left of them. */
import { join } from "node:path";
import { topicsOf } from "@eddy/clients";
import { connect, Eddy } from "@eddy/sdk";
import { afterAll, beforeAll, expect, it } from "vitest";
import { RocksDbStoreFactory } from "../../engine/src/adapters/rocksdb/index.js";
import { startKafka, type KafkaCluster } from "../../scripts/kafka/cluster.js";
import { until } from "../until.js";
import { uniqueNamespace } from "../world.js";
import { APP } from "./flow.js";
import { Changelogs, countHistory, countStore, isClean, told } from "./leftovers.js";
import { MixedLoad } from "./mixed-load.js";
import { PARTITIONS, Processes } from "./processes.js";
import { openLog } from "./progress.js";

const RUNS = Number(process.env["EDDY_LEFTOVERS_RUNS"] ?? 100_000);
/** User-given ids are remembered for 24 h, in buckets of one. */
const FORGOTTEN_AFTER = "26h";
/** Leases of the last requests go by real time: a minute, and what it takes to see it. */
const CLEAN_MS_MAX = 180_000;

let cluster: KafkaCluster;
beforeAll(async () => {
  cluster = await startKafka({ nodes: 1, print: (line) => console.log(line) });
}, 180_000);
afterAll(() => cluster.stop());

const seconds = (sinceMs: number): string => ((Date.now() - sinceMs) / 1_000).toFixed(1);

it(`of ${RUNS} runs nothing is left once their ids are forgotten`, async () => {
  const onKafka = { brokers: cluster.brokers, namespace: uniqueNamespace() };
  const topics = topicsOf(onKafka.namespace);
  const processes = await Processes.open("leftovers");
  const engine = await processes.engine("engine", { ...onKafka, dev: true });
  const client = new Eddy({ id: APP, kafka: onKafka });
  const load = new MixedLoad(client);
  const log = await openLog(onKafka.brokers);
  let wentWell = false;
  try {
    await engine.start();
    const apps = [{ client, functions: load.functions() }];
    const worker = await connect({ apps, kafka: onKafka, handleShutdownSignals: false, slots: 1_000 });
    const began = Date.now();
    await load.serve(RUNS);
    console.log(`${RUNS} runs in ${seconds(began)} s: ${Math.round((RUNS * 1_000) / (Date.now() - began))} a second`);
    await worker.close();
    expect(load.problems).toEqual([]);
    const moved = await fetch(`${engine.url}/dev/clock/advance`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ by: FORGOTTEN_AFTER }),
    });
    expect(moved.status).toBe(200);
    const changelogs = new Changelogs(log, topics.changelog);
    const movedAt = Date.now();
    const isEmpty = async (): Promise<true | null> => {
      await changelogs.refresh();
      return changelogs.counts.every(isClean) || null;
    };
    await until("the changelogs are empty", isEmpty, CLEAN_MS_MAX).catch((cause: unknown) => {
      const counts = changelogs.counts.map(told).join(" / ");
      throw new Error(`the changelogs hold ${counts}: ${changelogs.left(20).join(", ")}`, { cause });
    });
    console.log(`changelogs: ${changelogs.records} records; ${seconds(movedAt)} s after the clock was moved they hold`);
    for (const [partition, counts] of changelogs.counts.entries()) console.log(`  ${partition}: ${told(counts)}`);
    await engine.stop();
    const stores = new RocksDbStoreFactory(join(engine.dataDir, "stores", onKafka.namespace));
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const store = await stores.open(`state-${partition}`);
      const counts = await countStore(store);
      await store.close();
      console.log(`store ${partition}: ${told(counts)}`);
      expect(isClean(counts), `store ${partition} holds ${told(counts)}`).toBe(true);
    }
    const history = await countHistory(log, topics);
    console.log(`history: ${[...history].map(([kind, count]) => `${kind} ${count}`).join(", ")}`);
    expect(history.get("runStarted")).toBe(RUNS);
    expect((history.get("runCompleted") ?? 0) + (history.get("runCancelled") ?? 0)).toBe(RUNS);
    wentWell = true;
  } finally {
    await log.close();
    await client.close();
    await processes.close(wentWell);
  }
}, 3_600_000);
