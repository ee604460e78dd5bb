/** `npm run test:scale`: engine processes 1 -> 2 -> 1 under load; partitions move, and nothing is lost or doubled. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { startKafka, type KafkaCluster } from "../../scripts/kafka/cluster.js";
import { Company, passed, type Trouble } from "./company.js";

const RUNS = Number(process.env["EDDY_SCALE_RUNS"] ?? 3_000);
const SETTLE_MS = 10_000;
/** A partition that moves in an orderly way stands still for no longer than this. */
const PAUSE_MS_MAX = 10_000;

let cluster: KafkaCluster;
beforeAll(async () => {
  cluster = await startKafka({ nodes: 1, print: (line) => console.log(line) });
}, 180_000);
afterAll(() => cluster.stop());

const moves: readonly Trouble[] = [
  { at: 0.1, what: "nothing happens", make: () => passed(SETTLE_MS) },
  {
    at: 0.3,
    what: "a second engine comes",
    make: async ({ engines: [, second] }) => {
      await second?.start();
      await passed(SETTLE_MS);
    },
  },
  {
    at: 0.65,
    what: "the first engine goes",
    make: async ({ engines: [first] }) => {
      await first?.stop();
      await passed(SETTLE_MS);
    },
  },
];

it(`${RUNS} runs end as they should while engines come and go`, async () => {
  const options = { name: "scale", dev: true, engines: 2, workers: ["kafka", "kafka"] as const, timeoutMs: 30_000 };
  const company = await Company.open({ ...options, brokers: cluster.brokers });
  let problems: readonly string[] | null = null;
  try {
    await company.engines[0]?.start();
    await Promise.all(company.workers.map((worker) => worker.start()));
    await company.serve({ runs: RUNS, lastsMs: 80_000 }, moves);
    problems = await company.verdict(RUNS, 180_000);
    expect(problems).toEqual([]);
    for (const pauses of company.pauses.values()) expect(Math.max(...pauses)).toBeLessThan(PAUSE_MS_MAX);
  } finally {
    await company.close(problems?.length === 0);
  }
}, 600_000);
