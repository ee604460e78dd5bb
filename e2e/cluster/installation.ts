/** One release of the chart on a cluster, and what an operator does to it. */
import { join } from "node:path";
import { until } from "../until.js";
import { isReady, type Kube, type Pod } from "./kube.js";

const CHART = join(import.meta.dirname, "../../charts/eddy");
export const RELEASE = "eddy";
const STEP_MS_MAX = 300_000;
const WAIT = ["--wait", "--timeout", `${STEP_MS_MAX / 1_000}s`] as const;

export class Installation {
  readonly #kube: Kube;
  /** Engines that were killed, not asked to end. */
  readonly killed = new Set<string>();

  constructor(kube: Kube) {
    this.#kube = kube;
  }

  /** @param values as the chart has them */
  async install(values: object): Promise<void> {
    const given = Object.entries(values).flatMap(([key, value]) => ["--set-json", `${key}=${JSON.stringify(value)}`]);
    await this.#kube.helm(["install", RELEASE, CHART, ...given, ...WAIT]);
  }

  async test(): Promise<void> {
    await this.#kube.helm(["test", RELEASE, "--logs", "--timeout", `${STEP_MS_MAX / 1_000}s`]);
  }

  /** All else stays as it was. */
  async upgrade(values: Readonly<Record<string, unknown>>): Promise<void> {
    const given = Object.entries(values).flatMap(([key, value]) => ["--set-json", `${key}=${JSON.stringify(value)}`]);
    await this.#kube.helm(["upgrade", RELEASE, CHART, "--reuse-values", ...given, ...WAIT]);
  }

  /** To the revision before. */
  async rollback(): Promise<void> {
    await this.#kube.helm(["rollback", RELEASE, ...WAIT]);
  }

  async scale(replicas: number): Promise<void> {
    await this.upgrade({ replicas });
    await this.#engines(replicas);
  }

  /** As if its node had lost power; resolves when all engines are back. */
  async killOne(): Promise<void> {
    const before = await this.#kube.pods("engine");
    const victim = before[0]?.metadata.name ?? "";
    this.killed.add(victim);
    await this.#kube.kubectl(["delete", "pod", victim, "--grace-period=0", "--force"]);
    await this.#engines(before.length);
  }

  /** @returns what is wrong: there must be a node that is not the only one. */
  async drainNode(): Promise<readonly string[]> {
    const engines = await this.#kube.pods("engine");
    const nodes = (await this.#kube.kubectl(["get", "nodes", "-o", "name"])).trim().split("\n");
    const withKafka = await this.#kube.kubectl([
      "get",
      "pods",
      "-l",
      "app=kafka",
      "-o",
      "jsonpath={.items[*].spec.nodeName}",
    ]);
    const node = engines
      .map(({ spec }) => spec.nodeName)
      .find((name) => name !== undefined && name !== withKafka.trim());
    if (nodes.length < 2) return ["the cluster has one node: a drain needs a second one for the pods to go to"];
    if (node === undefined) return ["no engine is on a node of its own: the test's Kafka must not go, too"];
    try {
      const limits = ["--ignore-daemonsets", "--delete-emptydir-data", `--timeout=${STEP_MS_MAX / 1_000}s`];
      await this.#kube.kubectl(["drain", node, ...limits, "--pod-selector", "app.kubernetes.io/name=eddy"]);
    } finally {
      await this.#kube.kubectl(["uncordon", node]);
    }
    await this.#engines(engines.length);
    return [];
  }

  /** @returns what is left; the volumes go with the release. */
  async uninstall(): Promise<readonly string[]> {
    await this.#kube.helm(["uninstall", RELEASE, ...WAIT]);
    const problems: string[] = [];
    for (const kind of ["pods", "persistentvolumeclaims"]) {
      const isGone = async (): Promise<true | null> => (await this.#kube.isGone(kind)) || null;
      await until(`${kind} are gone`, isGone, STEP_MS_MAX).catch(() => problems.push(`${kind} are left`));
    }
    return problems;
  }

  async restarts(): Promise<readonly string[]> {
    const restarted = (await this.#kube.pods("engine")).filter((pod) => restartsOf(pod) > 0);
    return restarted.map((pod) => `${pod.metadata.name} was restarted ${restartsOf(pod)} times`);
  }

  async #engines(count: number): Promise<void> {
    const all = async (): Promise<true | null> => {
      const pods = await this.#kube.pods("engine").catch(() => []);
      return (pods.length === count && pods.every(isReady)) || null;
    };
    await until(`${count} engines are ready`, all, STEP_MS_MAX);
  }
}

const restartsOf = ({ status }: Pod): number =>
  (status.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0);
