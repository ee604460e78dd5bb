/** A command line in this process: what it says, and how it would end. */
import { Readable, Writable } from "node:stream";
import { SystemClock, type Clock } from "@eddy/clients";
import { readClientEnvironment } from "../../src/config/client-config.js";
import type { ExitCode } from "../../src/cli/exit-codes.js";
import { runCommandLine } from "../../src/cli/program.js";
import { Terminal, type Output } from "../../src/cli/client/terminal.js";

export interface Ended {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

export class Screen extends Writable {
  text = "";
  readonly isTTY: boolean;
  readonly columns: number | undefined;

  /** @param columns null: not a terminal */
  constructor(columns: number | null = null) {
    super();
    this.isTTY = columns !== null;
    this.columns = columns ?? undefined;
  }
  override _write(chunk: Buffer, _: string, done: (error?: Error) => void): void {
    this.text += chunk.toString();
    done();
  }
}

export interface Given {
  readonly environment?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly out?: Output;
  readonly err?: Screen;
  readonly fetch?: typeof fetch;
  readonly clock?: Clock;
}

export async function eddy(args: readonly string[], given: Given = {}): Promise<Ended> {
  const { out = new Screen(), err = new Screen(), clock = new SystemClock() } = given;
  const environment = readClientEnvironment(given.environment ?? {});
  const streams = { in: Readable.from(given.stdin === undefined ? [] : [given.stdin]), out, err };
  let made = 0;
  const code = await runCommandLine(args, {
    terminal: new Terminal(streams, environment.plain),
    environment,
    fetch: given.fetch ?? fetch,
    clock,
    makeId: () => `made-${++made}`,
  });
  return { code, out: out instanceof Screen ? out.text : "", err: err.text };
}

export const linesOf = (text: string): readonly string[] => text.split("\n").slice(0, -1);
