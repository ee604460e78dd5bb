/** A Prometheus of the machine (`apt-get install prometheus`), as a process on a free port of the loopback. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePorts } from "../../scripts/kafka/free-ports.js";
import { pause } from "./pause.js";

const READY_MS_MAX = 20_000;

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}
export interface RuleState {
  readonly name: string;
  readonly query: string;
  readonly health: string;
  readonly lastError?: string;
}

/** @returns which of the programs are not there. */
export function missing(programs: readonly string[]): readonly string[] {
  return programs.filter((program) => spawnSync(program, ["--version"]).error !== undefined);
}

export class Prometheus {
  readonly #url: string;
  readonly #process: ChildProcess;
  #said = "";

  private constructor(url: string, process: ChildProcess) {
    this.#url = url;
    this.#process = process;
    onExit(process);
    process.stderr?.on("data", (data: Buffer) => (this.#said = (this.#said + data.toString()).slice(-4_000)));
  }

  /** Resolves when it answers. @param target host:port of the engine. @param rules a file */
  static async start(folder: string, target: string, rules: string): Promise<Prometheus> {
    const config = {
      global: { scrape_interval: "1s", evaluation_interval: "2s" },
      rule_files: [rules],
      scrape_configs: [{ job_name: "eddy", static_configs: [{ targets: [target], labels: { namespace: "test" } }] }],
    };
    const file = join(folder, "prometheus.yml");
    await writeFile(file, JSON.stringify(config)); // JSON is YAML.
    const [port] = await freePorts(1);
    const args = [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder, "tsdb")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ];
    const child = spawn("prometheus", args, { stdio: ["ignore", "ignore", "pipe"] });
    const prometheus = new Prometheus(`http://127.0.0.1:${port}`, child);
    await prometheus.#ready();
    return prometheus;
  }

  /** An instant query, now. @throws with Prometheus's words for an expression that it does not understand */
  async query(expr: string): Promise<readonly Sample[]> {
    const { result } = await this.#ask<{ result: { metric: Record<string, string>; value: [number, string] }[] }>(
      `/api/v1/query?query=${encodeURIComponent(expr)}`,
    );
    return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
  }

  async rules(): Promise<readonly RuleState[]> {
    const { groups } = await this.#ask<{ groups: { rules: RuleState[] }[] }>("/api/v1/rules");
    return groups.flatMap(({ rules }) => rules);
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGTERM");
    await ended;
  }

  async #ask<T>(path: string): Promise<T> {
    const reply = await fetch(this.#url + path);
    const { status, data, error } = (await reply.json()) as { status: string; data: T; error?: string };
    if (status !== "success") throw new Error(`${error ?? reply.status}`);
    return data;
  }

  async #ready(): Promise<void> {
    const until = Date.now() + READY_MS_MAX;
    for (;;) {
      if (this.#process.exitCode !== null || Date.now() > until) {
        await this.stop();
        throw new Error(`prometheus does not become ready: ${this.#said}`);
      }
      const isReady = await fetch(`${this.#url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (isReady) return;
      await pause(100);
    }
  }
}

/** It must not outlive this process. */
function onExit(child: ChildProcess): void {
  process.once("exit", () => child.kill("SIGKILL"));
}
