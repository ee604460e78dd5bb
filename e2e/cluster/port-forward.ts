/** A way to the gateway from this machine, made anew whenever the pod at its other end is gone. */
import { once } from "node:events";
import type { ChildProcess } from "node:child_process";
import { freePorts } from "../../scripts/kafka/free-ports.js";
import type { Kube } from "./kube.js";

const LOOK_MS = 1_000;
const ANSWER_MS_MAX = 2_000;
const MISSES_MAX = 2;
const GATEWAY_PORT = 8_288;

export class PortForward {
  readonly url: string;
  readonly #kube: Kube;
  readonly #service: string;
  readonly #port: number;
  readonly #closing = new AbortController();
  #child: ChildProcess | null = null;
  readonly #running: Promise<void>;

  private constructor(kube: Kube, service: string, port: number) {
    this.#kube = kube;
    this.#service = service;
    this.#port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.#running = this.#run();
  }

  static async open(kube: Kube, service: string): Promise<PortForward> {
    const [port = 0] = await freePorts(1);
    return new PortForward(kube, service, port);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#child?.kill();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const child = this.#kube.follow(["port-forward", `service/${this.#service}`, `${this.#port}:${GATEWAY_PORT}`]);
      this.#child = child;
      const gone = once(child, "close").catch(() => undefined);
      await Promise.race([gone, this.#untilItIsSilent()]);
      child.kill();
      await Promise.race([gone, paused(LOOK_MS)]);
      if (!signal.aborted) await paused(LOOK_MS);
    }
  }

  /** Some versions of kubectl keep a port open whose pod is gone. */
  async #untilItIsSilent(): Promise<void> {
    for (let misses = 0; misses < MISSES_MAX && !this.#closing.signal.aborted;) {
      await paused(LOOK_MS);
      const signal = AbortSignal.timeout(ANSWER_MS_MAX);
      const answers = await fetch(`${this.url}/health/live`, { signal }).then(
        ({ ok }) => ok,
        () => false,
      );
      misses = answers ? 0 : misses + 1;
    }
  }
}

function paused(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
