/**
 * What transports over frames share: one connection to whoever hands out steps, brought back with backoff for as long as
 * the worker lives.
 *
 * Invariants:
 *  C1  A report stays here until its `ack` or `nack`; after each new `welcome` all that are here are sent again, in
 *      order. `seq` counts over connections.
 *  C2  One heartbeat at most is without an answer; if it still is when the next is due, the connection is taken for dead.
 *  C3  The configuration is put in force by the first connection alone: a process that comes back may be of a version
 *      that was replaced meanwhile.
 *  C4  Frames that do not validate end the connection: what a peer sends is not guessed at.
 */
import { PROTOCOL_VERSION, type GatewayFrame, type RunState, type StepReport, type WorkerFrame } from "@eddy/schemas";
import type { Logger } from "../define/logger.js";
import { ConnectError } from "../errors/eddy-error.js";
import { backoffMs } from "../protocol/backoff.js";
import { SDK_NAME } from "../protocol/version.js";
import type { WorkerClock } from "../step/clock.js";
import type { RunningInvocation, TransportHandlers, WorkerIdentity, WorkerTransport } from "./transport.js";

export type FrameHandlers = {
  readonly [K in GatewayFrame["kind"]]: (frame: Extract<GatewayFrame, { kind: K }>) => void;
};
export type Hello = Extract<WorkerFrame, { kind: "hello" }>;

/** Frames in both directions, in order. It says hello by itself. */
export interface FrameConnection {
  /** Queues one frame; nothing happens to it after the connection is lost. */
  send(frame: WorkerFrame): void;
  /** Cuts the connection; `onClosed` follows. */
  terminate(reason?: string): void;
  /** Sends what is queued, then closes; `onClosed` follows. */
  close(): Promise<void>;
}

export interface FrameConnectionDeps {
  readonly hello: Hello;
  readonly handlers: FrameHandlers;
  /** Once, with what is known of the reason; never before the call that opens it has returned. */
  readonly onClosed: (reason: string) => void;
}

export interface FrameTransportDeps {
  readonly open: (deps: FrameConnectionDeps) => FrameConnection;
  /** Who is at the other end, for the log: `the gateway`, and where. */
  readonly peer: string;
  readonly place: object;
  readonly clock: WorkerClock;
  readonly logger: Logger;
  /** In [0, 1). */
  readonly random?: (() => number) | undefined;
}

const BACKOFF = { firstMs: 100, maxMs: 10_000 };
/** A connection that lived this long, in ms, was a good one: backoff begins anew after it. */
const GOOD_AFTER_MS = 10_000;

interface Waiting<T> {
  readonly frame: WorkerFrame;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

export class FrameTransport implements WorkerTransport {
  readonly #deps: FrameTransportDeps;
  /** By seq; in order. */
  readonly #reports = new Map<number, Waiting<void>>();
  /** By run and invocation. */
  readonly #states = new Map<string, Waiting<RunState | null>>();
  #identity: WorkerIdentity | null = null;
  #handlers: TransportHandlers | null = null;
  #connection: FrameConnection | null = null;
  #isWelcome = false;
  #welcomedAtMs = 0;
  #hasBeenWelcome = false;
  #isDraining = false;
  #isClosed = false;
  #nextSeq = 1;
  #tries = 0;
  #heartbeat: Omit<Waiting<void>, "frame"> | null = null;
  #started: Omit<Waiting<void>, "frame"> | null = null;
  #cancelReconnect: () => void = () => undefined;

  constructor(deps: FrameTransportDeps) {
    this.#deps = deps;
  }

  start(identity: WorkerIdentity, handlers: TransportHandlers): Promise<void> {
    this.#identity = identity;
    this.#handlers = handlers;
    return new Promise((resolve, reject) => {
      this.#started = { resolve, reject };
      this.#connect();
    });
  }

  report(report: StepReport): Promise<void> {
    if (this.#isClosed) return Promise.reject(closedError());
    const seq = this.#nextSeq++;
    return new Promise((resolve, reject) => {
      const frame = { kind: "report" as const, seq, report };
      this.#reports.set(seq, { frame, resolve, reject });
      this.#send(frame);
    });
  }

  heartbeat(running: readonly RunningInvocation[]): Promise<void> {
    const { logger, peer, place } = this.#deps;
    if (!this.#isWelcome) return Promise.reject(new Error(`there is no connection to ${peer}`));
    if (this.#heartbeat !== null) {
      logger.warn(place, `${peer} answers no heartbeats; connecting again`);
      this.#connection?.terminate();
      return Promise.reject(new Error("the last heartbeat was not answered"));
    }
    return new Promise((resolve, reject) => {
      this.#heartbeat = { resolve, reject };
      this.#send({ kind: "heartbeat", running: running.map(({ runId, invocation }) => ({ runId, invocation })) });
    });
  }

  needState({ runId, invocation }: RunningInvocation): Promise<RunState | null> {
    if (this.#isClosed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      const frame = { kind: "needState" as const, runId, invocation };
      this.#states.set(stateKey(runId, invocation), { frame, resolve, reject });
      this.#send(frame);
    });
  }

  release({ runId, invocation }: RunningInvocation): void {
    this.#states.delete(stateKey(runId, invocation));
    // After a lost connection nobody has a slot to free.
    this.#send({ kind: "released", runId, invocation });
  }

  drain(): void {
    this.#isDraining = true;
    this.#send({ kind: "drain" });
  }

  async close(left: readonly RunningInvocation[] = []): Promise<void> {
    if (!this.#isClosed) this.#send({ kind: "leaving", running: [...left] });
    this.#isClosed = true;
    this.#cancelReconnect();
    await this.#connection?.close();
    const error = closedError();
    this.#started?.reject(error);
    this.#heartbeat?.reject(error);
    for (const { reject } of [...this.#reports.values(), ...this.#states.values()]) reject(error);
    this.#reports.clear();
    this.#states.clear();
  }

  #send(frame: WorkerFrame): void {
    if (this.#isWelcome) this.#connection?.send(frame);
  }

  #connect(): void {
    const { workerId, config, slots } = this.#identity as WorkerIdentity;
    const again = this.#hasBeenWelcome ? { rejoin: true } : {};
    const connection = this.#deps.open({
      hello: { kind: "hello", protocol: PROTOCOL_VERSION, workerId, sdk: SDK_NAME, config, slots, ...again },
      handlers: this.#frames(),
      onClosed: (reason) => {
        if (this.#connection === connection) this.#onLost(reason);
      },
    });
    this.#connection = connection;
  }

  #frames(): FrameHandlers {
    const handlers = this.#handlers as TransportHandlers;
    return {
      welcome: (terms) => this.#onWelcome(terms),
      refused: (frame) => this.#onRefused(frame),
      request: ({ request }) => handlers.onRequest(request),
      abort: ({ runId }) => handlers.onAbort(runId),
      ack: ({ seq }) => this.#takeReport(seq)?.resolve(),
      nack: ({ seq, code, message }) => this.#takeReport(seq)?.reject(new ConnectError(code, message)),
      heartbeatAck: () => {
        this.#heartbeat?.resolve();
        this.#heartbeat = null;
      },
      state: ({ runId, invocation, state }) => {
        const key = stateKey(runId, invocation);
        this.#states.get(key)?.resolve(state);
        this.#states.delete(key);
      },
    };
  }

  #takeReport(seq: number): Waiting<void> | undefined {
    const waiting = this.#reports.get(seq);
    this.#reports.delete(seq);
    return waiting;
  }

  #onWelcome(terms: { readonly leaseMs: number; readonly heartbeatMs: number }): void {
    this.#isWelcome = true;
    this.#welcomedAtMs = this.#deps.clock.nowMs();
    const { logger, peer, place } = this.#deps;
    if (this.#hasBeenWelcome) logger.info(place, `connected to ${peer} again`);
    this.#hasBeenWelcome = true;
    for (const { frame } of this.#reports.values()) this.#send(frame);
    for (const { frame } of this.#states.values()) this.#send(frame);
    if (this.#isDraining) this.#send({ kind: "drain" });
    this.#handlers?.onConnected(terms);
    this.#started?.resolve();
    this.#started = null;
  }

  /** For the first hello it is final; later the other side may only be between two states, so it is asked again. */
  #onRefused({ code, message }: { readonly code: string; readonly message: string }): void {
    const { logger, peer, place } = this.#deps;
    if (this.#hasBeenWelcome) {
      logger.error({ ...place, code }, `${peer} refused this app: ${message}`);
      this.#connection?.terminate();
      return;
    }
    const started = this.#started;
    this.#started = null;
    void this.close().then(() => started?.reject(new ConnectError(code, message)));
  }

  #onLost(reason: string): void {
    const { clock, logger, peer, place, random = Math.random } = this.#deps;
    const wasWelcome = this.#isWelcome;
    this.#isWelcome = false;
    this.#connection = null;
    this.#heartbeat?.reject(new Error("the connection was lost"));
    this.#heartbeat = null;
    if (this.#isClosed) return;
    if (wasWelcome && clock.nowMs() - this.#welcomedAtMs >= GOOD_AFTER_MS) this.#tries = 0;
    this.#tries += 1;
    const againInMs = backoffMs(BACKOFF, this.#tries, random);
    logger.warn({ ...place, reason, againInMs }, `no connection to ${peer}; trying again`);
    if (wasWelcome) this.#handlers?.onDisconnected();
    this.#cancelReconnect = clock.after(againInMs, () => this.#connect());
  }
}

function stateKey(runId: string, invocation: number): string {
  return `${runId}/${invocation}`;
}

export function closedError(): ConnectError {
  return new ConnectError("WORKER_CLOSED", "the worker is closed");
}
