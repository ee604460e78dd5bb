/**
 * `npm run test:cluster`: the chart on the cluster that KUBECONFIG names, in a namespace of its own: install, helm test, and
 * under load upgrade, 1 -> 3 engines, a killed pod, a drained node, 3 -> 1, rollback; the judge of the fault tests says
 * whether anything was lost or doubled; then uninstall. How to run it with kind: docs/operate/cluster-test.md.
 */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { Eddy } from "@eddy/sdk";
import { Tools } from "../../scripts/chart/tools.js";
import { APP } from "../drills/flow.js";
import { judge } from "../drills/judge.js";
import { SILENT } from "../drills/progress.js";
import { carts, Shop } from "../drills/shop.js";
import { Exits } from "./exits.js";
import { Installation, RELEASE } from "./installation.js";
import { Kube, run } from "./kube.js";
import * as manifests from "./manifests.js";
import { PodLedger } from "./pod-ledger.js";
import { PortForward } from "./port-forward.js";

const { KUBECONFIG, EDDY_CLUSTER_IMAGE, EDDY_CLUSTER_BROKERS, EDDY_CLUSTER_KEEP } = process.env;
const PARTITIONS = 8;
const TIMEOUT_MS = 60_000;
/** How long runs may take after the last event: the wait, and the lease of a step whose worker is gone. */
const PATIENCE_MS = TIMEOUT_MS + 240_000;
const CARTS_PER_BATCH = 5;
const BATCH_MS = 500;
const ROLLOUT = "--timeout=300s";

let passed = 0;
let failed = 0;

/** @returns whether it went well */
async function step(what: string, work: () => Promise<readonly string[] | void>): Promise<boolean> {
  const since = Date.now();
  let problems: readonly string[];
  try {
    problems = (await work()) ?? [];
  } catch (error) {
    problems = (error instanceof Error ? error.message : String(error)).split("\n");
  }
  const took = `${((Date.now() - since) / 1_000).toFixed(1)} s`;
  console.log(`${problems.length === 0 ? "passed" : "FAILED"}  ${what}  (${took})`);
  for (const problem of problems) console.log(`        ${problem}`);
  if (problems.length === 0) passed += 1;
  else failed += 1;
  return problems.length === 0;
}

async function preflight(): Promise<readonly string[]> {
  if (KUBECONFIG === undefined || KUBECONFIG === "") return ["KUBECONFIG names no cluster: set it to the file of one"];
  const missing = KUBECONFIG.split(":").filter((path) => path !== "" && !existsSync(path));
  if (missing.length > 0) return missing.map((path) => `KUBECONFIG: there is no file ${path}`);
  if (EDDY_CLUSTER_IMAGE === undefined) return ["EDDY_CLUSTER_IMAGE: name an image that the nodes have or can pull"];
  const { code, stderr } = await run("kubectl", ["get", "--raw", "/version", "--request-timeout=10s"]);
  return code === 0 ? [] : [`the cluster of ${KUBECONFIG} does not answer: ${stderr.trim()}`];
}

function valuesOf(brokers: readonly string[]): object {
  const [, repository, tag] = /^(.+):([^:/]+)$/.exec(EDDY_CLUSTER_IMAGE ?? "") ?? [null, EDDY_CLUSTER_IMAGE, "latest"];
  const isOurs = EDDY_CLUSTER_BROKERS === undefined;
  return {
    image: { repository, tag },
    kafka: { brokers },
    // A namespace to try things in is content with one broker.
    config: { namespace: `cluster-${randomUUID().slice(0, 8)}`, partitions: PARTITIONS, dev: isOurs },
    replicas: 1,
    persistence: { size: "1Gi" },
    resources: { requests: { cpu: "100m", memory: "256Mi" }, limits: { memory: "1Gi" } },
    worker: manifests.workerValues(TIMEOUT_MS),
  };
}

async function makeKafka(kube: Kube): Promise<void> {
  await kube.apply(manifests.kafkaManifests(kube.namespace));
  await kube.kubectl(["rollout", "status", manifests.KAFKA_ROLLOUT, ROLLOUT]);
}

/** Sends carts at a steady rate until `work` has ended. @returns how many */
async function underLoad(shop: Shop, work: () => Promise<void>): Promise<number> {
  let isOver = false;
  const working = work().finally(() => (isOver = true));
  const served: Promise<void>[] = [];
  let count = 0;
  while (!isOver) {
    served.push(shop.serve(carts(CARTS_PER_BATCH, count)));
    count += CARTS_PER_BATCH;
    await new Promise((resolve) => setTimeout(resolve, BATCH_MS));
  }
  await working;
  await Promise.all(served);
  return count;
}

async function operate(installation: Installation): Promise<void> {
  await step("upgrade, with another configuration", () => installation.upgrade({ "config.cacheMib": 192 }));
  await step("scale from 1 to 3", () => installation.scale(3));
  await step("a pod is killed", () => installation.killOne());
  await step("a node is drained", () => installation.drainNode());
  await step("scale from 3 to 1", () => installation.scale(1));
  await step("upgrade, to have something to go back from", () => installation.upgrade({ "config.cacheMib": 64 }));
  await step("rollback", () => installation.rollback());
}

async function verdict(shop: Shop, count: number, ledger: PodLedger): Promise<readonly string[]> {
  const all = carts(count);
  await shop.ended(all, PATIENCE_MS);
  const timelines = await shop.timelines(PATIENCE_MS);
  const notices = await shop.notices(PATIENCE_MS);
  return judge({ carts: all, shop, timelines, notices, ledger: ledger.read(), timeoutMs: TIMEOUT_MS });
}

async function tryRelease(kube: Kube): Promise<void> {
  const installation = new Installation(kube);
  const brokers = EDDY_CLUSTER_BROKERS?.split(",") ?? [manifests.brokerAddress(kube.namespace)];
  if (EDDY_CLUSTER_BROKERS === undefined && !(await step("a Kafka of one broker", () => makeKafka(kube)))) return;
  await kube.apply([manifests.workerConfigMap()]);
  if (!(await step("install", () => installation.install(valuesOf(brokers))))) return;
  await step("helm test", () => installation.test());

  const [ledger, exits, way] = [new PodLedger(kube), new Exits(kube), await PortForward.open(kube, RELEASE)];
  const client = new Eddy({ id: APP, baseUrl: way.url, logger: SILENT });
  try {
    const shop = new Shop([client], [way.url]);
    const count = await underLoad(shop, () => operate(installation));
    await step(`nothing is lost or doubled: ${count} carts`, () => verdict(shop, count, ledger));
    await step("no engine was restarted by Kubernetes", () => installation.restarts());
    await step("uninstall leaves nothing behind", () => installation.uninstall());
    await step("engines that were asked to end did with 0", () => Promise.resolve(exits.problems(installation.killed)));
  } finally {
    ledger.close();
    exits.close();
    await client.close();
    await way.close();
  }
}

async function main(): Promise<void> {
  if (!(await step("there is a cluster", preflight))) return;
  const tools = Tools.ready((line) => console.log(line));
  const kube = new Kube(`eddy-test-${randomUUID().slice(0, 8)}`, tools.pathOf("helm"));
  await kube.kubectl(["create", "namespace", kube.namespace]);
  try {
    await tryRelease(kube);
  } finally {
    if (EDDY_CLUSTER_KEEP === "1") console.log(`kept: namespace ${kube.namespace}`);
    else await kube.kubectl(["delete", "namespace", kube.namespace, "--wait=false"]);
  }
}

await main().catch((error: unknown) => {
  console.error(error);
  failed += 1;
});
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
