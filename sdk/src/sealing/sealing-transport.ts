/**
 * Between a worker and its transport: what leaves is sealed, what comes is opened, and neither side knows. A run whose
 * payloads cannot be opened is not entered: its lease runs out, and it is tried again, here or where the key is.
 */
import type { InvocationOutcome, MemoEntry, RunState, StepOp, StepReport, StepRequest } from "@eddy/schemas";
import type { Logger } from "../define/logger.js";
import type { RunningInvocation, TransportHandlers, WorkerIdentity, WorkerTransport } from "../worker/transport.js";
import { contextOfRun, contextOfStep, type Sealing } from "./sealing.js";

export class SealingTransport implements WorkerTransport {
  readonly #inner: WorkerTransport;
  readonly #sealing: Sealing;
  readonly #logger: Logger;

  constructor(inner: WorkerTransport, sealing: Sealing, logger: Logger) {
    this.#inner = inner;
    this.#sealing = sealing;
    this.#logger = logger;
  }

  start(identity: WorkerIdentity, handlers: TransportHandlers): Promise<void> {
    return this.#inner.start(identity, {
      onRequest: (request) => {
        const opened = this.#unlessClosed(request, () => this.#openedRequest(request));
        if (opened !== null) handlers.onRequest(opened);
        else this.#inner.release({ runId: request.runId, invocation: request.invocation });
      },
      onAbort: (runId) => handlers.onAbort(runId),
      onConnected: (terms) => handlers.onConnected(terms),
      onDisconnected: () => handlers.onDisconnected(),
    });
  }

  report(report: StepReport): Promise<void> {
    const { runId, ops, outcome } = report;
    const sealed = ops.map((op) => this.#sealedOp(runId, op));
    return this.#inner.report({ ...report, ops: sealed, outcome: this.#sealedOutcome(runId, outcome) });
  }

  async needState(of: RunningInvocation): Promise<RunState | null> {
    const state = await this.#inner.needState(of);
    return state === null ? null : this.#unlessClosed(state, () => this.#openedState(state));
  }

  heartbeat(running: readonly RunningInvocation[]): Promise<void> {
    return this.#inner.heartbeat(running);
  }
  release(of: RunningInvocation): void {
    this.#inner.release(of);
  }
  drain(): void {
    this.#inner.drain();
  }
  close(left?: readonly RunningInvocation[]): Promise<void> {
    return this.#inner.close(left);
  }

  #sealedOp(runId: string, op: StepOp): StepOp {
    if (op.kind === "stepCompleted") {
      return { ...op, data: this.#sealing.sealValue(op.data, contextOfStep(runId, op.stepId)) };
    }
    if (op.kind !== "stepFailed") return op;
    return { ...op, error: this.#sealing.sealError(op.error, contextOfStep(runId, op.stepId)) };
  }

  #sealedOutcome(runId: string, outcome: InvocationOutcome | null): InvocationOutcome | null {
    const context = contextOfRun(runId);
    if (outcome?.kind === "returned") return { ...outcome, data: this.#sealing.sealValue(outcome.data, context) };
    if (outcome?.kind === "threw") return { ...outcome, error: this.#sealing.sealError(outcome.error, context) };
    return outcome;
  }

  #openedRequest(request: StepRequest): StepRequest {
    const { runId, event, memo } = request;
    return {
      ...request,
      event: event === null ? null : this.#sealing.openEvent(event),
      memo: memo.map((entry) => this.#openedEntry(runId, entry)),
    };
  }

  #openedState(state: RunState): RunState {
    const { runId, event, memo } = state;
    return { ...state, event: this.#sealing.openEvent(event), memo: memo.map((e) => this.#openedEntry(runId, e)) };
  }

  #openedEntry(runId: string, entry: MemoEntry): MemoEntry {
    const { kind, stepId, data, error } = entry;
    const context = contextOfStep(runId, stepId);
    const open = (sealed: Uint8Array): Uint8Array =>
      kind === "wait" ? this.#sealing.openEvent(sealed) : this.#sealing.openValue(sealed, context);
    return {
      ...entry,
      data: data === null ? null : open(data),
      error: error === null ? null : this.#sealing.openError(error, context),
    };
  }

  /** @returns null where it does not open. */
  #unlessClosed<T>({ runId, invocation }: RunningInvocation, open: () => T): T | null {
    try {
      return open();
    } catch (err) {
      this.#logger.error(
        { err, runId, invocation },
        "a run's payloads cannot be opened; it is tried again in a minute",
      );
      return null;
    }
  }
}
