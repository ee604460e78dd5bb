/**
 * Transport over the gateway's WebSocket: one connection, brought back with backoff for as long as the worker lives.
 *
 * Invariants:
 *  C1  A report stays here until its `ack` or `nack`; after each new `welcome` all that are here are sent again, in
 *      order. `seq` counts over connections.
 *  C2  One heartbeat at most is without an answer; if it still is when the next is due, the connection is taken for dead.
 *  C3  Frames that do not validate end the connection: what a peer sends is not guessed at.
 */
import { encodeFrame, PROTOCOL_VERSION, type RunState, type StepReport, type WorkerFrame } from "@eddy/schemas";
import type { Logger } from "../define/logger.js";
import { ConnectError } from "../errors/eddy-error.js";
import { backoffMs } from "../protocol/backoff.js";
import { SDK_NAME } from "../protocol/version.js";
import type { WorkerClock } from "../step/clock.js";
import { GatewayConnection, type FrameHandlers } from "./gateway-connection.js";
import type { RunningInvocation, TransportHandlers, WorkerIdentity, WorkerTransport } from "./transport.js";

export interface GatewayTransportDeps {
  /** ws(s) URL of `/v1/connect`. */
  readonly url: string;
  readonly clock: WorkerClock;
  readonly logger: Logger;
  /** In [0, 1). */
  readonly random?: () => number;
}

const BACKOFF = { firstMs: 100, maxMs: 10_000 };
/** A connection that lived this long, in ms, was a good one: backoff begins anew after it. */
const GOOD_AFTER_MS = 10_000;

interface Waiting<T> {
  readonly frame: WorkerFrame;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

export class GatewayTransport implements WorkerTransport {
  readonly #deps: Required<GatewayTransportDeps>;
  /** By seq; in order. */
  readonly #reports = new Map<number, Waiting<void>>();
  /** By run and invocation. */
  readonly #states = new Map<string, Waiting<RunState | null>>();
  #identity: WorkerIdentity | null = null;
  #handlers: TransportHandlers | null = null;
  #connection: GatewayConnection | null = null;
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

  constructor(deps: GatewayTransportDeps) {
    this.#deps = { random: Math.random, ...deps };
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
    if (!this.#isWelcome) return Promise.reject(new Error("there is no connection to the gateway"));
    if (this.#heartbeat !== null) {
      this.#deps.logger.warn({ url: this.#deps.url }, "the gateway answers no heartbeats; connecting again");
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
    // After a lost connection the gateway has no slot to free.
    this.#send({ kind: "released", runId, invocation });
  }

  drain(): void {
    this.#isDraining = true;
    this.#send({ kind: "drain" });
  }

  async close(): Promise<void> {
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
    if (this.#isWelcome) this.#connection?.send(encodeFrame(frame));
  }

  #connect(): void {
    const { url, clock, logger } = this.#deps;
    const { workerId, config, slots } = this.#identity as WorkerIdentity;
    const hello: WorkerFrame = { kind: "hello", protocol: PROTOCOL_VERSION, workerId, sdk: SDK_NAME, config, slots };
    const connection = new GatewayConnection({
      url,
      clock,
      hello: encodeFrame(hello),
      handlers: this.#frames(),
      onClosed: (reason) => {
        if (this.#connection === connection) this.#onLost(reason);
      },
      onBrokenFrame: (problem) => logger.error({ url, problem }, "the gateway sent a frame that cannot be understood"),
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
    if (this.#hasBeenWelcome) this.#deps.logger.info({ url: this.#deps.url }, "connected to the gateway again");
    this.#hasBeenWelcome = true;
    for (const { frame } of this.#reports.values()) this.#send(frame);
    for (const { frame } of this.#states.values()) this.#send(frame);
    if (this.#isDraining) this.#send({ kind: "drain" });
    this.#handlers?.onConnected(terms);
    this.#started?.resolve();
    this.#started = null;
  }

  /** For the first hello it is final; later the gateway may only be between two states, so it is asked again. */
  #onRefused({ code, message }: { readonly code: string; readonly message: string }): void {
    const { logger, url } = this.#deps;
    if (this.#hasBeenWelcome) {
      logger.error({ url, code }, `the gateway refused this app: ${message}`);
      this.#connection?.terminate();
      return;
    }
    const started = this.#started;
    this.#started = null;
    void this.close().then(() => started?.reject(new ConnectError(code, message)));
  }

  #onLost(reason: string): void {
    const { clock, logger, url, random } = this.#deps;
    const wasWelcome = this.#isWelcome;
    this.#isWelcome = false;
    this.#connection = null;
    this.#heartbeat?.reject(new Error("the connection was lost"));
    this.#heartbeat = null;
    if (this.#isClosed) return;
    if (wasWelcome && clock.nowMs() - this.#welcomedAtMs >= GOOD_AFTER_MS) this.#tries = 0;
    this.#tries += 1;
    const againInMs = backoffMs(BACKOFF, this.#tries, random);
    logger.warn({ url, reason, againInMs }, "no connection to the gateway; trying again");
    if (wasWelcome) this.#handlers?.onDisconnected();
    this.#cancelReconnect = clock.after(againInMs, () => this.#connect());
  }
}

function stateKey(runId: string, invocation: number): string {
  return `${runId}/${invocation}`;
}

function closedError(): ConnectError {
  return new ConnectError("WORKER_CLOSED", "the worker is closed");
}
