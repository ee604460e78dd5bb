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

const cases = [
  { name: "data-kept", isWiped: false, workers: ["kafka", "kafka"] },
  { name: "data-deleted", isWiped: true, workers: ["kafka", "kafka"] },
  // That engine is the one that is stopped: its worker is cut off, with steps in its hands.
  { name: "gateway-worker", isWiped: false, workers: ["kafka", "gateway"] },
] as const;

it.each(cases)(
  `${RUNS} runs end as they should through every trouble: $name`,
  async ({ name, isWiped, workers }) => {
    const options = { name: `failover-${name}`, dev: false, engines: 2, workers, timeoutMs: 120_000 };
    const troubles = [killedEngine(0.08, isWiped), killedWorker(0.2), killedLeader(0.32, cluster), stoppedEngine(0.5)];
    const load = { runs: RUNS, lastsMs: 180_000 };
    expect(await failover({ ...options, brokers: cluster.brokers }, load, troubles)).toEqual([]);
  },
  1_200_000,
);
