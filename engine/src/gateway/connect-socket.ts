/** `/v1/connect`: workers over WebSocket. Carries frames; what they mean is the worker gate's business. */
import { STATUS_CODES, type IncomingMessage, type Server } from "node:http";
import type { Duplex } from "node:stream";
import { encodeFrame, type GatewayFrame } from "@eddy/schemas";
import { WebSocket, WebSocketServer, type RawData } from "ws";
import {
  type Clock,
  CLOSE_CODES,
  type Logger,
  RequestError,
  RETRY_AFTER_S,
  type WorkerChannel,
  type WorkerGate,
  type WorkerLink,
} from "@eddy/clients";
import { bearerOf, type Access, type Grant } from "../access/index.js";
import { addressOf, type Guard } from "./guard.js";
import { requestErrorOf } from "./http-errors.js";

export const CONNECT_PATH = "/v1/connect";

/** The largest frame that a worker may send, in bytes; a larger one closes its connection with code 1009. */
const FRAME_BYTES_MAX = 40 * 1_048_576;
/** Bytes queued to a worker above which it gets no requests, and below which it does again. */
const CONGESTION_BYTES = { from: 4 * 1_048_576, until: 1_048_576 } as const;
/** How long closed connections may take to say good-bye before they are dropped, in ms. */
const GOODBYE_MS_MAX = 500;
/** A peer that does not answer a ping until the next one is dead, in ms. */
export const PING_PERIOD_MS = 15_000;

class SocketLink implements WorkerLink {
  isAlive = true;
  isCongested = false;
  channel: WorkerChannel | null = null;
  /** Of the token that let it in. */
  readonly grant: Grant;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket, grant: Grant) {
    this.#socket = socket;
    this.grant = grant;
  }

  send(frame: GatewayFrame): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(encodeFrame(frame), { binary: true }, () => this.#sent());
    if (this.#socket.bufferedAmount > CONGESTION_BYTES.from) this.isCongested = true;
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, clipped(reason));
  }

  #sent(): void {
    if (!this.isCongested || this.#socket.bufferedAmount > CONGESTION_BYTES.until) return;
    this.isCongested = false;
    this.channel?.writable();
  }
}

/** Reasons of close frames hold at most 123 bytes of UTF-8. */
function clipped(reason: string): string {
  let text = reason.slice(0, 123);
  while (Buffer.byteLength(text) > 123) text = text.slice(0, -1);
  return text;
}

export interface ConnectSocketDeps {
  /** null until workers can be taken in: they are asked to come again. */
  readonly gate: () => WorkerGate | null;
  readonly guard: Pick<Guard, "admit">;
  readonly access: Pick<Access, "onChange" | "stillHolds">;
  /** Of which app is the run? null: there is none. For workers whose tokens are bound to apps. */
  readonly appOfRun: (runId: string) => Promise<string | null>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class ConnectSocket {
  readonly #deps: ConnectSocketDeps;
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: FRAME_BYTES_MAX, clientTracking: false });
  readonly #sockets = new Map<WebSocket, SocketLink>();
  readonly #closing = new AbortController();
  readonly #pinging: Promise<void>;
  #onEmpty: () => void = () => undefined;

  constructor(deps: ConnectSocketDeps) {
    this.#deps = deps;
    this.#pinging = this.#pingLoop();
    deps.access.onChange(() => this.#dropTheRevoked());
  }

  /** Takes the upgrades of an HTTP server. */
  install(server: Server): void {
    server.on("upgrade", (request, socket, head) => void this.#upgrade(request, socket, head));
  }

  /** Takes no more upgrades; drops connections that do not close by themselves in time. The gate closes them. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#pinging;
    if (this.#sockets.size > 0) {
      const gone = new AbortController();
      this.#onEmpty = () => gone.abort();
      await this.#deps.clock.sleep(GOODBYE_MS_MAX, gone.signal);
    }
    for (const socket of this.#sockets.keys()) socket.terminate();
    this.#server.close();
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const path = (request.url ?? "").split("?", 1)[0];
    socket.on("error", (err) => this.#deps.logger.debug({ err }, "a connection failed during its upgrade"));
    try {
      if (path !== CONNECT_PATH || this.#closing.signal.aborted) throw new RequestError("NOT_FOUND", "see GET /");
      // Pages in a browser send it, workers do not: a web site must not be able to become a worker of this machine.
      if (request.headers.origin !== undefined) throw new RequestError("FORBIDDEN", "workers are no web pages");
      const tokens = [bearerOf(request.headers.authorization)];
      const grant = await this.#deps.guard.admit({ scope: "work", tokens, address: addressOf(request.socket) });
      const gate = this.#deps.gate();
      if (gate === null) throw new RequestError("UNAVAILABLE", "workers cannot be taken in yet");
      this.#server.handleUpgrade(request, socket, head, (upgraded) => this.#connected(gate, upgraded, grant));
    } catch (error) {
      refuse(socket, requestErrorOf(error));
    }
  }

  /** A token that was taken out of the file, or allows less now, holds no connection open. */
  #dropTheRevoked(): void {
    for (const link of this.#sockets.values()) {
      if (!this.#deps.access.stillHolds(link.grant)) link.close(CLOSE_CODES.refused, "the token is no longer valid");
    }
  }

  #connected(gate: WorkerGate, socket: WebSocket, grant: Grant): void {
    const link = new SocketLink(socket, grant);
    const { apps } = grant;
    const channel = gate.accept(link, apps === null ? null : { apps, appOfRun: this.#deps.appOfRun });
    link.channel = channel;
    this.#sockets.set(socket, link);
    socket.on("pong", () => (link.isAlive = true));
    socket.on("message", (data, isBinary) => {
      link.isAlive = true;
      if (isBinary) channel.receive(bytesOf(data));
      else link.close(CLOSE_CODES.brokenFrame, "frames are binary messages");
    });
    socket.on("error", (err) => this.#deps.logger.info({ err }, "the connection of a worker failed"));
    socket.on("close", () => {
      this.#sockets.delete(socket);
      channel.closed();
      if (this.#sockets.size === 0) this.#onEmpty();
    });
  }

  async #pingLoop(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await this.#deps.clock.sleep(PING_PERIOD_MS, signal);
      for (const [socket, link] of this.#sockets) {
        if (!link.isAlive) socket.terminate();
        link.isAlive = false;
        if (socket.readyState === WebSocket.OPEN) socket.ping();
      }
    }
  }
}

function bytesOf(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data;
}

function refuse(socket: Duplex, error: RequestError): void {
  socket.on("error", () => socket.destroy());
  const body = JSON.stringify(error.toReply());
  const head = [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ""}`,
    ...(error.status === 503 || error.status === 429 ? [`Retry-After: ${RETRY_AFTER_S}`] : []),
    ...(error.status === 401 ? ["WWW-Authenticate: Bearer"] : []),
    "Content-Type: application/json; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  // The peer may not close its side.
  socket.once("finish", () => socket.destroy());
  socket.end([...head, "", body].join("\r\n"));
}
