/** A gateway of a few lines on a free loopback port: real sockets and frames, answers by hand. */
import type { AddressInfo } from "node:net";
import { decodeFrame, encodeFrame, workerFrame, type GatewayFrame, type WorkerFrame } from "@eddy/schemas";
import { WebSocketServer, type WebSocket } from "ws";

export type FrameOf<K extends WorkerFrame["kind"]> = Extract<WorkerFrame, { kind: K }>;

export class FakeGateway {
  readonly frames: WorkerFrame[] = [];
  readonly closes: { code: number; reason: string }[] = [];
  /** Answer to a hello; null: none. */
  onHello: GatewayFrame | null = { kind: "welcome", leaseMs: 60_000, heartbeatMs: 20_000 };
  acksReports = true;
  acksHeartbeats = true;
  connections = 0;
  #server: WebSocketServer | null = null;
  #port = 0;
  readonly #sockets = new Set<WebSocket>();

  async listen(): Promise<this> {
    this.#server = new WebSocketServer({ host: "127.0.0.1", port: this.#port, path: "/v1/connect" });
    this.#server.on("connection", (socket) => this.#accept(socket));
    await new Promise<void>((resolve) => this.#server?.once("listening", resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }
  get httpUrl(): string {
    return `http://127.0.0.1:${this.#port}`;
  }
  get url(): string {
    return `ws://127.0.0.1:${this.#port}/v1/connect`;
  }
  of<K extends WorkerFrame["kind"]>(kind: K): FrameOf<K>[] {
    return this.frames.filter((frame): frame is FrameOf<K> => frame.kind === kind);
  }
  get open(): number {
    return this.#sockets.size;
  }

  send(frame: GatewayFrame): void {
    this.sendRaw(encodeFrame(frame));
  }
  sendRaw(data: Uint8Array | string): void {
    for (const socket of this.#sockets) socket.send(data);
  }
  /** Cuts all connections, as a crash would. */
  cut(): void {
    for (const socket of this.#sockets) socket.terminate();
  }
  /** Reads nothing any more, as a process that hangs. */
  freeze(): void {
    for (const socket of this.#sockets) socket.pause();
  }
  /** Stops to listen, as a process that is gone; `listen` brings it back on the same port. */
  async stop(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server?.close(() => resolve()) ?? resolve());
    this.#server = null;
  }

  #accept(socket: WebSocket): void {
    this.connections += 1;
    this.#sockets.add(socket);
    socket.on("close", (code, reason) => {
      this.#sockets.delete(socket);
      this.closes.push({ code, reason: reason.toString() });
    });
    socket.on("message", (data) => this.#take(socket, workerFrame.parse(decodeFrame(data as Buffer))));
  }

  #take(socket: WebSocket, frame: WorkerFrame): void {
    this.frames.push(frame);
    const answer = (reply: GatewayFrame): void => socket.send(encodeFrame(reply));
    if (frame.kind === "hello" && this.onHello !== null) {
      answer(this.onHello);
      if (this.onHello.kind === "refused") socket.close(4403, "refused");
    }
    if (frame.kind === "report" && this.acksReports) answer({ kind: "ack", seq: frame.seq });
    if (frame.kind === "heartbeat" && this.acksHeartbeats) answer({ kind: "heartbeatAck" });
  }
}

/** Waits for a condition that sockets bring about. */
export async function eventually(condition: () => boolean, boundMs = 5_000): Promise<void> {
  const endMs = performance.now() + boundMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`did not come true in ${boundMs} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
