/** Connections that lose answers when the test says so: the broker has done what it was asked, and nobody hears of it. */
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { SocketFactory } from "../../src/kafka/kafkajs-internals.js";

/** Kafka's numbers of requests. */
export const REQUEST = { produce: 0, fetch: 1, addPartitions: 24, endTransaction: 26, offsetCommit: 8 } as const;

interface Loss {
  left: number;
  readonly before: () => Promise<void>;
}

export class FaultySockets {
  readonly #losses = new Map<number, Loss>();
  readonly #open = new Set<Socket>();
  /** Answers lost so far. */
  lost = 0;

  readonly factory: SocketFactory = ({ host, port, onConnect }) => {
    const socket = connect({ host, port }, onConnect);
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
    let asked = -1;
    const write = socket.write.bind(socket) as (data: Buffer, encoding: BufferEncoding) => boolean;
    socket.write = (data: string | Uint8Array, encoding?: unknown) => {
      if (data instanceof Uint8Array && data.length > 6) asked = (data as Buffer).readInt16BE(4);
      return write(data as Buffer, encoding as BufferEncoding);
    };
    const on = socket.on.bind(socket);
    socket.on = ((event: string, listener: (data: Buffer) => void) => {
      if (event !== "data") return on(event, listener);
      return on("data", (data: Buffer) => {
        const loss = this.#losses.get(asked);
        if (loss === undefined || loss.left === 0) listener(data);
        else this.#lose(socket, loss);
      });
    }) as typeof socket.on;
    return socket;
  };

  /**
   * The next `times` answers to these requests get lost with their connection.
   * @param before awaited before the connection breaks.
   */
  loseAnswers(request: number, times: number, before: () => Promise<void> = () => Promise.resolve()): void {
    this.#losses.set(request, { left: times, before });
  }

  /** All connections break. */
  cutAll(): void {
    for (const socket of this.#open) socket.destroy(new Error("the test cut this connection"));
  }

  heal(): void {
    this.#losses.clear();
  }

  #lose(socket: Socket, loss: Loss): void {
    loss.left -= 1;
    this.lost += 1;
    void loss.before().then(() => socket.destroy(new Error("the test lost this answer")));
  }
}
