/** kubectl and helm on the cluster that KUBECONFIG names, in one namespace. Nothing here blocks: the load goes on meanwhile. */
import { spawn, type ChildProcess } from "node:child_process";

export interface Ended {
  /** null: ended by a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @throws Error where it cannot be started */
export function run(file: string, args: readonly string[], input = ""): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
    child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
    child.once("error", (error) => reject(new Error(`${file} cannot be run: ${error.message}`)));
    child.once("close", (code) => resolve({ code, stdout, stderr }));
    child.stdin.end(input);
  });
}

export interface Pod {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly phase: string;
    readonly containerStatuses?: readonly { readonly ready: boolean; readonly restartCount: number }[];
  };
}

export class Kube {
  constructor(
    readonly namespace: string,
    private readonly helmPath: string,
  ) {}

  /** @returns what it printed. @throws Error with what it said where it fails */
  async kubectl(args: readonly string[], input = ""): Promise<string> {
    return told("kubectl", args, await run("kubectl", ["--namespace", this.namespace, ...args], input));
  }

  /** As `kubectl`. */
  async helm(args: readonly string[]): Promise<string> {
    return told("helm", args, await run(this.helmPath, ["--namespace", this.namespace, ...args]));
  }

  /** Runs on until it ends or is killed: `logs --follow`, `port-forward`. */
  follow(args: readonly string[]): ChildProcess {
    return spawn("kubectl", ["--namespace", this.namespace, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  }

  /** @param manifests of any kind */
  async apply(manifests: readonly object[]): Promise<void> {
    await this.kubectl(["apply", "--filename", "-"], manifests.map((each) => JSON.stringify(each)).join("\n---\n"));
  }

  async pods(component: "engine" | "worker"): Promise<readonly Pod[]> {
    const labels = `app.kubernetes.io/component=${component}`;
    const { items } = JSON.parse(await this.kubectl(["get", "pods", "-l", labels, "-o", "json"])) as { items: Pod[] };
    return items;
  }

  async isGone(kind: string): Promise<boolean> {
    const labels = "app.kubernetes.io/component=engine";
    return (await this.kubectl(["get", kind, "-l", labels, "-o", "name"])).trim() === "";
  }
}

export const isReady = ({ status }: Pod): boolean => status.containerStatuses?.every(({ ready }) => ready) ?? false;

function told(name: string, args: readonly string[], { code, stdout, stderr }: Ended): string {
  if (code === 0) return stdout;
  throw new Error(`${name} ${args.join(" ")} ended with ${code}:\n${stdout}${stderr}`.trim());
}
