/**
 * A shop in trouble: processes and brokers are killed with -9 and stopped while it serves, and nobody notices. Shared by
 * the small drill of `npm test` and the long one of `npm run test:failover`.
 */
import { Kafka, logLevel } from "kafkajs";
import { topicsOf } from "@eddy/clients";
import type { KafkaCluster, KafkaNode } from "../../scripts/kafka/cluster.js";
import { Company, passed, type CompanyOptions, type Load, type Trouble } from "./company.js";

/** How long what was killed stays away, in ms. */
const AWAY_MS = 2_000;
const STOPPED_MS = 60_000;

/** @param wiped: its local data is deleted before it is started again */
export const killedEngine = (at: number, wiped: boolean): Trouble => ({
  at,
  what: `an engine is killed${wiped ? ", its data is deleted" : ""}`,
  make: async ({ engines: [engine] }) => {
    await engine?.kill();
    if (wiped) await engine?.wipe();
    await passed(AWAY_MS);
    await engine?.start();
  },
});

export const killedWorker = (at: number): Trouble => ({
  at,
  what: "a worker is killed",
  make: async ({ workers: [worker] }) => {
    await worker?.kill();
    await passed(AWAY_MS);
    await worker?.start();
  },
});

export const killedLeader = (at: number, cluster: KafkaCluster): Trouble => ({
  at,
  what: "the leader of inbox 0 is killed",
  make: async ({ namespace }) => {
    const leader = await leaderOf(cluster, topicsOf(namespace).inbox);
    await leader.kill();
    await passed(5 * AWAY_MS);
    await leader.start();
  },
});

export const stoppedEngine = (at: number): Trouble => ({
  at,
  what: "an engine is stopped and goes on",
  make: async ({ engines: [, engine] }) => {
    engine?.pause();
    await passed(STOPPED_MS);
    engine?.resume();
  },
});

async function leaderOf({ brokers, nodes }: KafkaCluster, topic: string): Promise<KafkaNode> {
  const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  await admin.disconnect();
  const leader = topics[0]?.partitions.find(({ partitionId }) => partitionId === 0)?.leader;
  const node = nodes.find(({ id }) => id === leader);
  if (node === undefined) throw new Error(`partition 0 of ${topic} has no leader`);
  return node;
}

/** @returns what is wrong; empty when all is well. What its processes printed stays in .cache/drills where it is not. */
export async function failover(
  options: CompanyOptions,
  load: Load,
  troubles: readonly Trouble[],
): Promise<readonly string[]> {
  const company = await Company.open(options);
  let problems: readonly string[] | null = null;
  try {
    await Promise.all(company.engines.map((engine) => engine.start()));
    await Promise.all(company.workers.map((worker) => worker.start()));
    await company.serve(load, troubles);
    // A step that its worker took to the grave is given to another when its lease is over, a minute later.
    problems = await company.verdict(load.runs, options.timeoutMs + 150_000);
    return problems;
  } finally {
    await company.close(problems?.length === 0);
  }
}
