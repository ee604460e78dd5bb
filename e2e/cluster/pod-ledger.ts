/**
 * What the workers of a cluster did, read from their logs while they run: a pod that is gone has no log any more. Lines
 * are ordered by the clocks of their nodes, which should agree.
 */
import { createInterface } from "node:readline";
import type { ChildProcess } from "node:child_process";
import type { Entry } from "../drills/ledger.js";
import type { Kube } from "./kube.js";

const LOOK_MS = 1_000;

export class PodLedger {
  readonly #kube: Kube;
  /** By their text: a log that breaks off is read again from its start. */
  readonly #entries = new Map<string, Entry>();
  readonly #following = new Map<string, ChildProcess>();
  readonly #looking: NodeJS.Timeout;
  #isClosed = false;

  constructor(kube: Kube) {
    this.#kube = kube;
    this.#looking = setInterval(() => void this.#look(), LOOK_MS);
  }

  /** In the order of time. */
  read(): readonly Entry[] {
    return [...this.#entries.values()].sort((a, b) => a.atMs - b.atMs);
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#looking);
    for (const child of this.#following.values()) child.kill();
  }

  async #look(): Promise<void> {
    // The API server may be away for a moment; the next look comes soon.
    const pods = await this.#kube.pods("worker").catch(() => []);
    for (const { metadata, status } of pods) {
      if (this.#isClosed || status.phase === "Pending" || this.#following.has(metadata.name)) continue;
      this.#follow(metadata.name);
    }
  }

  #follow(pod: string): void {
    const child = this.#kube.follow(["logs", "--follow", pod]);
    this.#following.set(pod, child);
    if (child.stdout !== null) createInterface({ input: child.stdout }).on("line", (line) => this.#take(line));
    child.once("error", () => this.#following.delete(pod));
    child.once("close", () => this.#following.delete(pod));
  }

  #take(line: string): void {
    if (line.startsWith('{"what":') && line.endsWith("}")) this.#entries.set(line, JSON.parse(line) as Entry);
  }
}
