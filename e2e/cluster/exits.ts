/** How the engines' containers ended, seen while they did: of a pod that is gone nobody knows. */
import { createInterface } from "node:readline";
import type { ChildProcess } from "node:child_process";
import type { Kube } from "./kube.js";

const CODES = '{.metadata.name} {.status.containerStatuses[*].state.terminated.exitCode}{"\\n"}';

export class Exits {
  readonly #kube: Kube;
  /** Pod and code, each as it was seen. */
  readonly #seen: (readonly [pod: string, code: number])[] = [];
  #child: ChildProcess | null = null;
  #isClosed = false;

  constructor(kube: Kube) {
    this.#kube = kube;
    this.#watch();
  }

  /** @param killed: pods that were not asked to end. @returns one line for each that ended with anything but 0 */
  problems(killed: ReadonlySet<string>): readonly string[] {
    const bad = this.#seen.filter(([pod, code]) => code !== 0 && !killed.has(pod));
    return [...new Set(bad.map(([pod, code]) => `${pod} ended with ${code}, not 0`))];
  }

  close(): void {
    this.#isClosed = true;
    this.#child?.kill();
  }

  #watch(): void {
    const labels = "app.kubernetes.io/component=engine";
    const child = this.#kube.follow(["get", "pods", "-l", labels, "--watch", "--output", `jsonpath=${CODES}`]);
    this.#child = child;
    if (child.stdout !== null) createInterface({ input: child.stdout }).on("line", (line) => this.#take(line));
    // A watch ends by itself after a while.
    child.once("close", () => {
      if (!this.#isClosed) this.#watch();
    });
  }

  #take(line: string): void {
    const [pod, code] = line.trim().split(" ");
    if (pod !== undefined && code !== undefined) this.#seen.push([pod, Number(code)]);
  }
}
