/** The whole judgement of one seed, partition by partition. */
import { kindOf } from "../../src/core/index.js";
import type { Cluster } from "../cluster.js";
import { CALM } from "../faults.js";
import { Verdict } from "../model/verdict.js";
import { judgeAnswers } from "./answers.js";
import { compareAborts, compareHistory, compareMemos, compareRequests, judgeExecutions, modelOf } from "./compare.js";
import { evidenceOf, shardPartition, type Evidence } from "./evidence.js";
import { judgeAcknowledged, judgeLateness, judgePromises } from "./promises.js";
import { judgeDisk, judgeState } from "./state.js";

/** @param stuck what never came to its end, if anything. */
export async function judge(cluster: Cluster, stuck: string | null): Promise<Verdict> {
  const verdict = new Verdict();
  const { facts, scripts, topics, log } = cluster;
  const { partitions, apps } = cluster.scenario;
  const { journal } = log;
  if (stuck !== null) verdict.add("liveness", stuck);
  for (const failure of facts.failures) verdict.add("internal", failure);
  const all: Evidence[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    const evidence = evidenceOf({ journal, topics, apps, partitions }, partition, verdict);
    all.push(evidence);
    judgePromises({ evidence, scripts, verdict });
    if (cluster.scenario.faults === CALM) judgeLateness({ evidence, verdict });
    const model = modelOf({ evidence, partitions, verdict });
    compareHistory(model, evidence, verdict);
    compareRequests(model, evidence, verdict);
    compareAborts(model, evidence, verdict);
    compareMemos(model, { facts, scripts }, verdict);
    const executions = facts.executions.filter(({ runId }) => shardPartition(runId, partitions) === partition);
    judgeExecutions(executions, evidence, model);
    const answers = facts.answers.filter(({ runId }) => shardPartition(runId, partitions) === partition);
    judgeAnswers(model, answers, verdict);
    const replay = judgeState({ core: cluster.replayCore, journal, topics, partitions, evidence, verdict });
    if (stuck !== null) continue;
    for (const key of replay.rows.rows.keys()) {
      const kind = kindOf(key);
      if (kind === "partition" || kind === "functions") continue;
      verdict.add("liveness", `row ${key} is left when all is over`, { partition });
    }
  }
  judgeAcknowledged(facts, all, verdict);
  for (const snapshot of [...cluster.snapshots, ...(await cluster.lastSnapshots())]) {
    judgeDisk({ journal, topics, partitions, verdict, compacted: facts.counts.has("compaction") }, snapshot);
  }
  return verdict;
}
