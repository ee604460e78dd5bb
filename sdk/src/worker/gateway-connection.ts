/** One WebSocket to the gateway: says hello, validates what comes in, notices when the peer is gone. */
import type { IncomingMessage } from "node:http";
import {
  decodeFrame,
  encodeFrame,
  errorReply,
  gatewayFrame,
  LIMITS,
  type GatewayFrame,
  type WorkerFrame,
} from "@eddy/schemas";
import { WebSocket, type RawData } from "ws";
import type { WorkerClock } from "../step/clock.js";
import type { FrameConnection, FrameConnectionDeps } from "./frame-transport.js";

export interface GatewayConnectionDeps extends FrameConnectionDeps {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly clock: WorkerClock;
  readonly onBrokenFrame: (problem: string) => void;
}

/** ms for the TCP and WebSocket handshakes. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** ms from an open connection to `welcome`: registering takes a round through every partition. */
const WELCOME_TIMEOUT_MS = 60_000;
const PING_EVERY_MS = 15_000;
/** ms that a close may take before the socket is cut. */
const CLOSE_TIMEOUT_MS = 2_000;
/** A run's state travels in one frame. */
const FRAME_BYTES_MAX = LIMITS.runStateBytesMax + 2 * LIMITS.stepResultBytesMax;
/** WebSocket close code for a frame that breaks the protocol. */
const BROKEN_FRAME = 4400;
/** Of an answer that opens no WebSocket. */
const ANSWER_CHARS_MAX = 10_000;
/** HTTP statuses by which a gateway refuses a token. */
const REFUSED: ReadonlySet<number> = new Set([401, 403]);

export class GatewayConnection implements FrameConnection {
  readonly #deps: GatewayConnectionDeps;
  readonly #socket: WebSocket;
  readonly #whenClosed: Promise<void>;
  #reason = "the connection was closed";
  #isAlive = true;
  /** The gateway has said why it opens no WebSocket. */
  #isAnswered = false;
  #cancelTimer: () => void = () => undefined;

  constructor(deps: GatewayConnectionDeps) {
    this.#deps = deps;
    this.#socket = new WebSocket(deps.url, {
      headers: { ...deps.headers },
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      maxPayload: FRAME_BYTES_MAX,
      perMessageDeflate: false,
    });
    this.#socket.on("open", () => {
      this.#socket.send(encodeFrame(deps.hello));
      this.#after(WELCOME_TIMEOUT_MS, () => this.terminate("the gateway did not answer the hello"));
    });
    this.#socket.on("unexpected-response", (_, response: IncomingMessage) => this.#onUnexpected(response));
    this.#socket.on("message", (data, isBinary) => this.#onMessage(data, isBinary));
    this.#socket.on("pong", () => (this.#isAlive = true));
    this.#socket.on("error", (error) => {
      if (!this.#isAnswered) this.#reason = error.message;
    });
    this.#whenClosed = new Promise((resolve) => {
      this.#socket.on("close", (code, text) => {
        this.#cancelTimer();
        if (text.length > 0) this.#reason = `${code} ${text.toString()}`;
        resolve();
        deps.onClosed(this.#reason);
      });
    });
  }

  send(frame: WorkerFrame): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(encodeFrame(frame));
  }

  terminate(reason?: string): void {
    if (reason !== undefined) this.#reason = reason;
    this.#socket.terminate();
  }

  async close(): Promise<void> {
    const cancel = this.#deps.clock.after(CLOSE_TIMEOUT_MS, () => this.#socket.terminate());
    this.#socket.close(1000, "the worker closes");
    await this.#whenClosed;
    cancel();
  }

  /** No WebSocket: a gateway that asks for another token says so, and that is as final as a refused hello. */
  #onUnexpected(response: IncomingMessage): void {
    const { statusCode = 0 } = response;
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (part: string) => (text += part.slice(0, ANSWER_CHARS_MAX - text.length)));
    response.once("error", () => this.#socket.terminate());
    response.once("end", () => {
      this.#isAnswered = true;
      this.#reason = `Unexpected server response: ${statusCode}`;
      const reply = errorReply.safeParse(parseJson(text));
      if (reply.success && REFUSED.has(statusCode)) {
        const { code, message } = reply.data.error;
        this.#reason = `${code}: ${message}`;
        this.#deps.handlers.refused({ kind: "refused", code, message });
      }
      this.#socket.terminate();
    });
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    const frame = isBinary ? readFrame(data as Buffer) : "a text message";
    if (typeof frame === "string") {
      this.#deps.onBrokenFrame(frame);
      this.#reason = `broken frame: ${frame}`;
      return this.#socket.close(BROKEN_FRAME, "broken frame");
    }
    if (frame.kind === "welcome") this.#watch();
    (this.#deps.handlers[frame.kind] as (frame: GatewayFrame) => void)(frame);
  }

  /** A peer that does not answer a ping within one period is gone. */
  #watch(): void {
    this.#isAlive = true;
    const ping = (): void => {
      if (!this.#isAlive) return this.terminate("the gateway does not answer");
      this.#isAlive = false;
      this.#socket.ping();
      this.#after(PING_EVERY_MS, ping);
    };
    this.#after(PING_EVERY_MS, ping);
  }

  #after(ms: number, callback: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#deps.clock.after(ms, callback);
  }
}

/** @returns the frame, or what is wrong with it. */
function readFrame(data: Uint8Array): GatewayFrame | string {
  let decoded: unknown;
  try {
    decoded = decodeFrame(data);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const parsed = gatewayFrame.safeParse(decoded);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  return `${(issue?.path ?? []).map(String).join(".")}: ${issue?.message ?? "is not valid"}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Whoever answers so is no gateway.
  }
}
