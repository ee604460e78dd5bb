/** `npm run test:failover`: three brokers, two engine and two worker processes, and all kinds of trouble. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { startKafka, type KafkaCluster } from "../../scripts/kafka/cluster.js";
import { failover, killedEngine, killedLeader, killedWorker, stoppedEngine } from "./failover.js";

const RUNS = Number(process.env["EDDY_FAILOVER_RUNS"] ?? 10_000);

let cluster: KafkaCluster;
beforeAll(async () => {
  cluster = await startKafka({ nodes: 3, ownNodes: true, print: (line) => console.log(line) });
}, 180_000);
afterAll(() => cluster.stop());

it.each(["kept", "deleted"])(
  `${RUNS} runs end as they should through every trouble, the killed engine's data is %s`,
  async (data) => {
    const options = { name: `failover-${data}`, dev: false, engines: 2, workers: 2, timeoutMs: 120_000 };
    const troubles = [
      killedEngine(0.08, data === "deleted"),
      killedWorker(0.2),
      killedLeader(0.32, cluster),
      stoppedEngine(0.5),
    ];
    const load = { runs: RUNS, lastsMs: 180_000 };
    expect(await failover({ ...options, brokers: cluster.brokers }, load, troubles)).toEqual([]);
  },
  1_200_000,
);
