/**
 * A worker's connection to the step dispatcher of its own process: the frames of the gateway's protocol, as objects and
 * without a socket. Each side hears the other on a later turn, as it would over one.
 */
import { HEARTBEAT_MS, LEASE_MS, type AppConfig, type GatewayFrame, type WorkerFrame } from "@eddy/schemas";
import type { StepDispatcher, WorkerLink, WorkerSession } from "@eddy/clients";
import { ConfigError } from "@eddy/clients/errors";
import type { FrameConnection, FrameConnectionDeps } from "./frame-transport.js";

export interface DispatcherConnectionDeps extends FrameConnectionDeps {
  /**
   * Resolves when the configuration is in force and the dispatcher runs. @throws ConfigError where that will never be,
   * anything else where trying again may help, also when `signal` aborts.
   */
  readonly dispatcherOf: (config: AppConfig, signal: AbortSignal) => Promise<StepDispatcher>;
}

export class DispatcherConnection implements FrameConnection {
  readonly #deps: DispatcherConnectionDeps;
  readonly #gone = new AbortController();
  readonly #joining: Promise<void>;
  #session: WorkerSession | null = null;

  constructor(deps: DispatcherConnectionDeps) {
    this.#deps = deps;
    this.#joining = this.#join();
  }

  send(frame: WorkerFrame): void {
    if (!this.#gone.signal.aborted) this.#session?.receive(frame);
  }

  terminate(reason = "the connection was given up"): void {
    if (this.#gone.signal.aborted) return;
    this.#gone.abort();
    this.#session?.detach();
    queueMicrotask(() => this.#deps.onClosed(reason));
  }

  async close(): Promise<void> {
    this.terminate("the worker closes");
    await this.#joining;
  }

  async #join(): Promise<void> {
    const { hello, handlers, dispatcherOf } = this.#deps;
    const { signal } = this.#gone;
    try {
      const dispatcher = await dispatcherOf(hello.config, signal);
      if (signal.aborted) return;
      this.#session = dispatcher.attach(this.#link(), hello);
      // On this turn still: nothing that the dispatcher sends comes before it.
      handlers.welcome({ kind: "welcome", leaseMs: LEASE_MS, heartbeatMs: HEARTBEAT_MS });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ConfigError) {
        handlers.refused({ kind: "refused", code: error.code, message: error.message });
      }
      this.terminate(error instanceof Error ? error.message : String(error));
    }
  }

  #link(): WorkerLink {
    return {
      isCongested: false,
      send: (frame) => queueMicrotask(() => this.#take(frame)),
      close: (_, reason) => this.terminate(reason),
    };
  }

  #take(frame: GatewayFrame): void {
    if (this.#gone.signal.aborted) return;
    (this.#deps.handlers[frame.kind] as (frame: GatewayFrame) => void)(frame);
  }
}
