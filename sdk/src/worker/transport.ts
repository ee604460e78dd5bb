/**
 * Port: how a worker and the engine reach each other. Adapters: the gateway's WebSocket (gateway-transport.ts), Kafka
 * (kafka-transport.ts), an in-memory one for tests of user code. The worker and the step engine know nothing else of the outside.
 *
 * Contract:
 *  T1  `start` resolves when the app's registration is in force on every partition, and rejects with ConnectError when
 *      it is refused. Before it resolves, nothing is delivered.
 *  T2  A request is delivered to `onRequest` at least once; the transport has no more out than `slots`, counted until
 *      the acknowledgement of an outcome, or `release`.
 *  T3  `report` resolves once the log has the report and rejects with ConnectError if it never will (refused, or the
 *      transport is closed). Over lost connections it is sent again until one of both is known: the engine drops what it
 *      has already. Reports of one invocation are appended in the order in which they were given.
 *  T4  `heartbeat` resolves once the log has it, and rejects if that is not known: it is not sent again.
 *  T5  After each lost connection that is back, `onConnected` is called: leases should be renewed at once.
 *  T6  `close` resolves when nothing is open any more. Reports without an acknowledgement are rejected. What is on its way
 *      to the worker by then, and not in `left`, is delivered elsewhere at once.
 */
import type { AppConfig, RunState, StepReport, StepRequest } from "@eddy/schemas";

/** What the engine grants; both in ms. */
export interface WorkerTerms {
  /** How long a request belongs to this worker without a heartbeat. */
  readonly leaseMs: number;
  readonly heartbeatMs: number;
}

export interface RunningInvocation {
  readonly runId: string;
  readonly invocation: number;
}

/** The worker's side. No call throws. */
export interface TransportHandlers {
  onRequest(request: StepRequest): void;
  /** The run was cancelled. Runs that are not here are ignored. */
  onAbort(runId: string): void;
  /** Also for the first connection. */
  onConnected(terms: WorkerTerms): void;
  /** The connection is lost; the transport tries to get it back. */
  onDisconnected(): void;
}

/** What a worker says of itself. */
export interface WorkerIdentity {
  readonly workerId: string;
  readonly config: AppConfig;
  /** Requests at once. */
  readonly slots: number;
}

export interface WorkerTransport {
  /** Once. @throws ConnectError */
  start(identity: WorkerIdentity, handlers: TransportHandlers): Promise<void>;
  report(report: StepReport): Promise<void>;
  /** @param running all that this worker has; the engine gives back the slots of what is missing. */
  heartbeat(running: readonly RunningInvocation[]): Promise<void>;
  /** @returns all that is known of the run; null where it, or this invocation of it, is over. Rejects on `close`. */
  needState(of: RunningInvocation): Promise<RunState | null>;
  /** This invocation ended here without an outcome: its slot is free. */
  release(of: RunningInvocation): void;
  /** Asks for no more requests. */
  drain(): void;
  /** @param left what still runs here: nobody else should have it before its lease is over. Default: nothing. */
  close(left?: readonly RunningInvocation[]): Promise<void>;
}
