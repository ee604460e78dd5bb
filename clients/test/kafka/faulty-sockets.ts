/**
 * Connections that lose answers when the test says so: the broker has done what it was asked, and nobody hears of it. They
 * can also stand still, as those of a process that is paused, or break for good, as those of one that is gone.
 */
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { SocketFactory } from "../../src/kafka/kafkajs-internals.js";

/** Kafka's numbers of requests. */
export const REQUEST = {
  produce: 0,
  fetch: 1,
  offsetCommit: 8,
  join: 11,
  heartbeat: 12,
  leave: 13,
  sync: 14,
  addPartitions: 24,
  endTransaction: 26,
} as const;

interface Loss {
  /** Answers that get through first. */
  spared: number;
  left: number;
  readonly before: () => Promise<void>;
}

export class FaultySockets {
  readonly #losses = new Map<number, Loss>();
  readonly #open = new Set<Socket>();
  /** What goes through once the connections move again, in order; null: they do. */
  #still: (() => void)[] | null = null;
  #isGone = false;
  /** Answers lost so far. */
  lost = 0;

  readonly factory: SocketFactory = ({ host, port, onConnect }) => {
    const socket = connect({ host, port }, () => this.#pass(onConnect));
    if (this.#isGone) socket.destroy(new Error("the test lets nobody connect"));
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
    let asked = -1;
    const write = socket.write.bind(socket) as (data: Buffer, encoding: BufferEncoding) => boolean;
    socket.write = (data: string | Uint8Array, encoding?: unknown) => {
      if (data instanceof Uint8Array && data.length > 6) asked = (data as Buffer).readInt16BE(4);
      this.#pass(() => void write(data as Buffer, encoding as BufferEncoding));
      return true;
    };
    const on = socket.on.bind(socket);
    socket.on = ((event: string, listener: (data: Buffer) => void) => {
      if (event !== "data") return on(event, listener);
      return on("data", (data: Buffer) => {
        const loss = this.#losses.get(asked);
        if (loss === undefined || loss.left === 0 || loss.spared-- > 0) this.#pass(() => listener(data));
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
    this.#losses.set(request, { spared: 0, left: times, before });
  }

  /** The answer to the second of these requests from now on gets lost with its connection. */
  loseSecondAnswer(request: number): void {
    this.#losses.set(request, { spared: 1, left: 1, before: () => Promise.resolve() });
  }

  /** All connections break. */
  cutAll(): void {
    for (const socket of this.#open) socket.destroy(new Error("the test cut this connection"));
  }

  /** All connections break, and no new ones are made. */
  kill(): void {
    this.#isGone = true;
    this.cutAll();
  }

  /** Nothing goes out or comes in until `heal`; connections stay open. */
  pause(): void {
    this.#still ??= [];
  }

  heal(): void {
    this.#losses.clear();
    this.#isGone = false;
    const held = this.#still ?? [];
    this.#still = null;
    for (const go of held) go();
  }

  #pass(go: () => void): void {
    if (this.#still === null) go();
    else this.#still.push(go);
  }

  #lose(socket: Socket, loss: Loss): void {
    loss.left -= 1;
    this.lost += 1;
    void loss.before().then(() => socket.destroy(new Error("the test lost this answer")));
  }
}
