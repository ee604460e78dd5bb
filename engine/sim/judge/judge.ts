/** The whole judgement of one seed: each partition by itself, then all together. */
import { BROKER_SKEW_MS } from "@eddy/schemas";
import { kindOf } from "../../src/core/index.js";
import type { Cluster } from "../cluster.js";
import { CALM } from "../faults.js";
import type { PartitionModel } from "../model/partition-model.js";
import { Verdict } from "../model/verdict.js";
import { CLOCK_AHEAD_MS_MAX } from "../ports/sim-log.js";
import { judgeAnswers } from "./answers.js";
import { judgeCancels } from "./cancels.js";
import { compareAborts, compareHistory, compareMemos, compareRequests, judgeExecutions, modelOf } from "./compare.js";
import { evidenceOf, shardPartition, type Evidence } from "./evidence.js";
import { judgeLateness, judgePromises } from "./promises.js";
import { compareSent } from "./sent.js";
import { judgeAcknowledged, judgeStarts } from "./starts.js";
import { judgeDisk, judgeState } from "./state.js";
import { judgeWaits } from "./waits.js";
import { World } from "./world.js";

/** @param stuck what never came to its end, if anything. */
export async function judge(cluster: Cluster, stuck: string | null): Promise<Verdict> {
  const verdict = new Verdict();
  const { facts, topics, log } = cluster;
  const { partitions, apps } = cluster.scenario;
  const { journal } = log;
  if (stuck !== null) verdict.add("liveness", stuck);
  for (const failure of facts.failures) verdict.add("internal", failure);
  const all: Evidence[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    all.push(evidenceOf({ journal, topics, apps, partitions }, partition, verdict));
  }
  judgeWorld(cluster, all, verdict);
  for (const evidence of all) {
    const model = modelOf({ evidence, partitions, verdict });
    judgePartition({ cluster, evidence, model, verdict });
    compareSent(model, all, verdict);
    const replay = judgeState({ core: cluster.replayCore, journal, topics, partitions, evidence, verdict });
    if (stuck !== null) continue;
    for (const key of replay.rows.rows.keys()) {
      const kind = kindOf(key);
      if (kind === "partition" || kind === "functions" || kind === "mark") continue;
      verdict.add("liveness", `row ${key} is left when all is over`, { partition: evidence.partition });
    }
  }
  for (const snapshot of [...cluster.snapshots, ...(await cluster.lastSnapshots())]) {
    judgeDisk({ journal, topics, partitions, verdict, compacted: facts.counts.has("compaction") }, snapshot);
  }
  return verdict;
}

interface PartitionCase {
  readonly cluster: Cluster;
  readonly evidence: Evidence;
  readonly model: PartitionModel;
  readonly verdict: Verdict;
}

/** What left one partition, against what the model says. */
function judgePartition({ cluster, evidence, model, verdict }: PartitionCase): void {
  const { facts, scripts } = cluster;
  const { partitions } = cluster.scenario;
  compareHistory(model, evidence, verdict);
  compareRequests(model, evidence, verdict);
  compareAborts(model, evidence, verdict);
  compareMemos(model, { facts, scripts }, verdict);
  const isOurs = ({ runId }: { readonly runId: string }): boolean =>
    shardPartition(runId, partitions) === evidence.partition;
  judgeExecutions(facts.executions.filter(isOurs), evidence, model);
  judgeAnswers(model, facts.answers.filter(isOurs), verdict);
}

/** Promises, by logs and histories of all partitions alone. */
function judgeWorld({ facts, scripts, scenario }: Cluster, all: readonly Evidence[], verdict: Verdict): void {
  const world = new World({
    evidences: all,
    acknowledged: new Set(facts.acknowledged.map(({ eventId }) => eventId)),
    skewMs: BROKER_SKEW_MS + (facts.counts.has("broker clock") ? CLOCK_AHEAD_MS_MAX : 0),
  });
  for (const evidence of all) {
    judgePromises({ evidence, verdict }, world);
    if (scenario.faults === CALM) judgeLateness({ evidence, verdict }, scenario.settleMs);
  }
  judgeWaits(world, verdict);
  judgeCancels(world, verdict);
  judgeStarts(world, [...scripts.keys()], verdict);
  judgeAcknowledged(world, facts.acknowledged, verdict);
}
