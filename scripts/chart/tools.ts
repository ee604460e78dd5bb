/**
 * The tools that check the chart, built from their Go modules as scripts/chart/tools/go.mod pins them, into a folder of
 * .cache that is named for what is pinned: what is there is right, and a change of versions builds them anew.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "../..");
const MODULE = join(import.meta.dirname, "tools");
const NAMES = ["helm", "helm-docs", "helm-unittest", "kubeconform"] as const;
const DIGEST_CHARS = 12;

export type ToolName = (typeof NAMES)[number];

export interface Outcome {
  /** null: ended by a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Tools {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Builds what is missing. @throws Error that says what to do, where Go is missing or a build fails. */
  static ready(print: (line: string) => void): Tools {
    const pinned = ["go.mod", "go.sum"].map((name) => readFileSync(join(MODULE, name)));
    const digest = createHash("sha256").update(Buffer.concat(pinned)).digest("hex").slice(0, DIGEST_CHARS);
    const folder = join(ROOT, ".cache/tools", `chart-${digest}`);
    if (!existsSync(folder)) build(folder, print);
    return new Tools(folder);
  }

  pathOf(name: ToolName): string {
    return join(this.#folder, name);
  }

  run(name: ToolName, args: readonly string[], input?: string): Outcome {
    const { status, stdout, stderr, error } = spawnSync(this.pathOf(name), args, {
      cwd: ROOT,
      encoding: "utf8",
      maxBuffer: 64 * 1_048_576,
      // Nothing of this machine's own repositories, plugins and clusters.
      env: { PATH: process.env["PATH"], HOME: this.#folder, HELM_DATA_HOME: this.#folder },
      ...(input === undefined ? {} : { input }),
    });
    if (error !== undefined) throw error;
    return { code: status, stdout, stderr };
  }
}

/** Under a name of its own first: a build that is cut short leaves nothing that looks whole. */
function build(folder: string, print: (line: string) => void): void {
  const { status } = spawnSync("go", ["version"], { stdio: "ignore" });
  if (status !== 0) {
    throw new Error("Go is needed to build helm, helm-unittest, helm-docs and kubeconform: install Go 1.26 or newer");
  }
  print(`building ${NAMES.join(", ")}`);
  const unfinished = `${folder}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  const { status: built } = spawnSync("go", ["build", "-trimpath", "-ldflags=-s -w", "-o", `${unfinished}/`, "tool"], {
    cwd: MODULE,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (built !== 0) {
    rmSync(unfinished, { recursive: true, force: true });
    throw new Error("the chart's tools could not be built; Go has said why above");
  }
  renameSync(unfinished, folder);
}
