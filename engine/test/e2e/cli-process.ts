/** The command `eddy` as a process. Needs the build, as `npm test` makes it. */
import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { eventually } from "./fixtures.js";

const CLI = fileURLToPath(new URL("../../dist/cli/eddy.js", import.meta.url));

export class CliProcess {
  out = "";
  err = "";
  /** Exit code, or the signal that ended it. */
  ended: number | string | null = null;
  readonly child: ChildProcess;

  /** @param limits set by the shell for the process, as in `ulimit -f 600` */
  constructor(args: readonly string[], environment: Record<string, string> = {}, limits?: string) {
    const env = { PATH: process.env["PATH"], ...environment };
    const direct = [process.execPath, CLI, ...args];
    const [file, ...rest] = limits === undefined ? direct : ["sh", "-c", `${limits} && exec "$@"`, "sh", ...direct];
    this.child = spawn(file as string, rest, { stdio: ["ignore", "pipe", "pipe"], env });
    this.child.stdout?.on("data", (data: Buffer) => (this.out += data.toString()));
    this.child.stderr?.on("data", (data: Buffer) => (this.err += data.toString()));
    // "close" comes when its output is complete, too.
    this.child.on("close", (code, signal) => (this.ended = code ?? signal));
  }
  /** Waits for the start message. @returns the URL. */
  async url(): Promise<string> {
    const [, url] = await eventually("the start message", () => {
      if (this.ended !== null) throw new Error(`ended with ${this.ended}: ${this.err}`);
      return /ready at (http:\S+)/.exec(this.out);
    });
    return url as string;
  }
  end(): Promise<number | string> {
    return eventually("the end", () => this.ended !== null && String(this.ended)).then(Number);
  }
}
