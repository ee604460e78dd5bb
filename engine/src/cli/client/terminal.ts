/** Where a command reads and writes. A test has its own. */
import type { Readable, Writable } from "node:stream";
import pc from "picocolors";

export type Colors = Omit<ReturnType<typeof pc.createColors>, "isColorSupported">;

/** Whoever reads the output has had enough, as `head` has: no failure. */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";
}

/** As much of a stream of Node's as matters here; `columns` where it is a terminal. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number | undefined };

export interface Streams {
  readonly in: Readable;
  readonly out: Output;
  readonly err: Output;
}

export class Terminal {
  readonly in: Readable;
  readonly colors: Colors;
  readonly #out: Output;
  readonly #err: Output;

  /** @param plain no colours, also on a terminal */
  constructor({ in: input, out, err }: Streams, plain: boolean) {
    this.in = input;
    this.#out = out;
    this.#err = err;
    this.colors = pc.createColors(out.isTTY === true && !plain);
    // Told by each write; without a listener it would end the process.
    out.on("error", () => undefined);
    err.on("error", () => undefined);
  }

  /** Does a person look at the output? */
  get isInteractive(): boolean {
    return this.#out.isTTY === true;
  }

  /** Characters of a line; null: no terminal, nothing is cut. */
  get columns(): number | null {
    return this.isInteractive ? (this.#out.columns ?? 80) : null;
  }

  /** Resolves when the text is out, so that a slow reader is waited for. @throws OutputClosed */
  write(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#out.write(text, (error) => {
        if (error == null) return resolve();
        const code = (error as NodeJS.ErrnoException).code;
        const isClosed = code === "EPIPE" || code === "ERR_STREAM_DESTROYED";
        reject(isClosed ? new OutputClosed("nobody reads the output any more", { cause: error }) : error);
      });
    });
  }

  /** For people alone: what helps, and is no result. Nothing where stderr is not a terminal. */
  hint(text: string): void {
    if (this.#err.isTTY === true) this.#err.write(`${text}\n`);
  }

  /** On stderr, as it is. */
  tell(text: string): void {
    this.#err.write(text);
  }

  /** One line on stderr. */
  complain(text: string): Promise<void> {
    return new Promise((resolve) => this.#err.write(`eddy: ${text}\n`, () => resolve()));
  }
}
