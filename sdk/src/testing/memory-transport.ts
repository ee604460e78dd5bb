/**
 * Transport to an engine of this process, for tests of user code: requests come straight from its log, reports go straight
 * into it. No connection can be lost, and no lease runs out.
 */
import type { RunState, StepReport } from "@eddy/schemas";
import type { MemoryEngine } from "@eddy/engine/testing";
import { BadRecordError, ConfigError } from "@eddy/clients/errors";
import { ConnectError } from "../errors/eddy-error.js";
import type { RunningInvocation, TransportHandlers, WorkerIdentity, WorkerTransport } from "../worker/transport.js";

/** Longer than any test, and a time that timers take; in ms. */
const ENDLESS_MS = 2 ** 30;

export class MemoryTransport implements WorkerTransport {
  readonly #engine: MemoryEngine;
  /** By run id. */
  readonly #functions = new Map<string, string>();
  #trouble: Error | null = null;

  constructor(engine: MemoryEngine) {
    this.#engine = engine;
  }

  /** Why a run can go on no more, although nothing of it failed; null: all is well. */
  get trouble(): Error | null {
    return this.#trouble;
  }
  /** `app/function` of a run that was worked on here. */
  functionOf(runId: string): string | undefined {
    return this.#functions.get(runId);
  }

  async start({ config }: WorkerIdentity, handlers: TransportHandlers): Promise<void> {
    handlers.onConnected({ leaseMs: ENDLESS_MS, heartbeatMs: ENDLESS_MS });
    try {
      await this.#engine.work(config, {
        onRequest: (request) => {
          this.#functions.set(request.runId, request.functionId);
          handlers.onRequest(request);
        },
        onAbort: (runId) => handlers.onAbort(runId),
      });
    } catch (error) {
      if (error instanceof ConfigError) throw new ConnectError(error.code, error.message, { cause: error });
      throw error;
    }
  }

  async report(report: StepReport): Promise<void> {
    try {
      await this.#engine.report(report);
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause));
      this.#trouble ??= error;
      const code = cause instanceof BadRecordError ? "REPORT_TOO_LARGE" : "WORKER_CLOSED";
      throw new ConnectError(code, error.message, { cause });
    }
  }

  heartbeat(): Promise<void> {
    return Promise.resolve();
  }

  needState({ runId, invocation }: RunningInvocation): Promise<RunState | null> {
    return this.#engine.runState(runId, invocation);
  }

  /** Nobody counts slots here. */
  release(): void {}
  drain(): void {}

  close(): Promise<void> {
    return Promise.resolve();
  }
}
