/** Engines and workers in processes of their own, ended with the test. */
import { randomUUID } from "node:crypto";
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const MS_MAX = 60_000;

export class Child {
  readonly lines: string[] = [];
  readonly #process: ChildProcess;
  readonly #exited: Promise<number | null>;

  constructor(file: string, args: readonly string[]) {
    const env = { ...process.env, TSX_TSCONFIG_PATH: root("tsconfig.check.json") };
    this.#process = spawn(process.execPath, ["--import", "tsx", root(file), ...args], {
      cwd: root("."),
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on("line", (line) => this.lines.push(line));
    }
    this.#exited = new Promise((resolve) => this.#process.once("exit", resolve));
  }

  /** What a worker said of this kind: the words after it. */
  said(kind: string): readonly string[][] {
    const words = this.lines.filter((line) => line.startsWith("[")).map((line) => JSON.parse(line) as string[]);
    return words.filter(([first]) => first === kind).map(([, ...rest]) => rest);
  }
  /** Stops the process where it is, or lets it go on. */
  freeze(isFrozen: boolean): void {
    this.#process.kill(isFrozen ? "SIGSTOP" : "SIGCONT");
  }
  /** @returns the exit code; null after a signal. */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
    this.#process.kill(signal);
    return this.#exited;
  }
}

/** Children of one test, with a namespace of their own. */
export class Children {
  readonly namespace = `t${randomUUID().slice(0, 8)}`;
  readonly #brokers: string;
  readonly #children: Child[] = [];
  #dataDir: string | null = null;

  constructor(brokers: readonly string[]) {
    this.#brokers = brokers.join(",");
  }

  async engine(): Promise<Child> {
    this.#dataDir ??= await mkdtemp(join(tmpdir(), "eddy-sdk-"));
    const place = ["--host", "127.0.0.1", "--port", "0"];
    const args = ["start", "--brokers", this.#brokers, "--namespace", this.namespace, "--dev", ...place];
    return this.#start("engine/src/cli/eddy.ts", [...args, "--data-dir", this.#dataDir]);
  }
  worker(name: string): Child {
    return this.#start("sdk/test/kafka/worker-child.ts", [this.#brokers, this.namespace, name]);
  }
  async close(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.end("SIGKILL")));
    if (this.#dataDir !== null) await rm(this.#dataDir, { recursive: true, force: true });
  }
  /** What they all said, to be shown where a test fails. */
  transcript(): string {
    return this.#children.map(({ lines }, i) => `--- child ${i}\n${lines.slice(-20).join("\n")}`).join("\n");
  }

  #start(file: string, args: readonly string[]): Child {
    const child = new Child(file, args);
    this.#children.push(child);
    return child;
  }

  /** Resolves when the condition holds. @throws after 60 s, with what the children said. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const sinceMs = performance.now();
    while (!condition()) {
      if (performance.now() - sinceMs > MS_MAX) throw new Error(`not reached: ${what}\n${this.transcript()}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
