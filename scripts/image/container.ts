/**
 * Containers without a container engine: buildah with chroot isolation, as root. A process in one is a process of this
 * machine, in its network. Signals go to the process itself, because buildah does not pass them on.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";

const ISOLATION = ["--isolation", "chroot"] as const;

/** @returns what it printed. @throws Error with what it printed when it fails */
export function buildah(args: readonly string[], cwd = process.cwd()): string {
  return command("buildah", args, cwd);
}

/** As `buildah`. */
export function command(name: string, args: readonly string[], cwd = process.cwd()): string {
  const { status, stdout, stderr, error } = spawnSync(name, args, { cwd, encoding: "utf8", maxBuffer: 64 * 1_048_576 });
  if (error !== undefined) throw new Error(`${name} cannot be run: ${error.message}`);
  if (status !== 0) throw new Error(`${name} ${args.join(" ")} ended with ${status}:\n${stdout}${stderr}`);
  return stdout.trim();
}

/** With what it prints on the terminal. */
export function buildImage(tag: string, context: string, buildArguments: Readonly<Record<string, string>>): void {
  const given = Object.entries(buildArguments).flatMap(([key, value]) => ["--build-arg", `${key}=${value}`]);
  // OCI's own format has no HEALTHCHECK.
  const args = ["bud", ...ISOLATION, "--format", "docker", ...given, "--tag", tag, context];
  const { status } = spawnSync("buildah", args, { stdio: ["ignore", "inherit", "inherit"] });
  if (status !== 0) throw new Error(`buildah ${args.join(" ")} ended with ${status}`);
}

export interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** Folder of this machine, mounted at /data. */
  readonly data?: string;
}

export class Container {
  /** Its file system, on this machine. */
  readonly root: string;
  readonly #id: string;

  constructor(image: string) {
    this.#id = buildah(["from", image]);
    this.root = buildah(["mount", this.#id]);
  }

  run(args: readonly string[], { environment = {}, data }: RunOptions = {}): ContainerProcess {
    const given = Object.entries(environment).flatMap(([key, value]) => ["--env", `${key}=${value}`]);
    const volumes = data === undefined ? [] : ["--volume", `${data}:/data`];
    return new ContainerProcess(["run", ...ISOLATION, ...given, ...volumes, this.#id, "--", ...args]);
  }

  remove(): void {
    buildah(["rm", this.#id]);
  }
}

export class ContainerProcess {
  printed = "";
  readonly ended: Promise<number | null>;
  readonly #buildah: ChildProcess;

  constructor(args: readonly string[]) {
    this.#buildah = spawn("buildah", args, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#buildah.stdout, this.#buildah.stderr]) {
      stream?.on("data", (data: Buffer) => (this.printed += data.toString()));
    }
    this.ended = (once(this.#buildah, "close") as Promise<[number | null]>).then(([code]) => code);
  }

  get isRunning(): boolean {
    return this.#buildah.exitCode === null && this.#buildah.signalCode === null;
  }

  /** To the container's own first process; nothing where it has ended. */
  signal(signal: "SIGTERM" | "SIGKILL"): void {
    const pid = this.isRunning ? lastDescendant(this.#buildah.pid ?? 0) : null;
    if (pid !== null) process.kill(pid, signal);
  }
}

/** buildah starts itself again, twice, before it starts what was asked for. */
function lastDescendant(pid: number): number | null {
  const children = childrenOf(pid);
  if (children.length === 0) return null;
  return children.map((child) => lastDescendant(child) ?? child)[0] ?? null;
}

function childrenOf(pid: number): readonly number[] {
  const tasks = spawnSync("ls", [`/proc/${pid}/task`], { encoding: "utf8" })
    .stdout.trim()
    .split("\n");
  const children = tasks.map((task) => {
    try {
      return readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim();
    } catch {
      return ""; // The thread has ended meanwhile.
    }
  });
  return children.flatMap((line) => line.split(" ").filter((each) => each !== "")).map(Number);
}
