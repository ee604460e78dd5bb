import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";

/**
 * A small process that outlives this one by a moment: when this one is gone, however it ended, it ends the processes that
 * are left by their pids and removes their data.
 */
export class Reaper {
  readonly #process: ChildProcess;

  /** @param directory of their data */
  constructor(directory: string) {
    const script = join(import.meta.dirname, "reaper-process.mjs");
    this.#process = spawn(process.execPath, [script, directory], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    this.#process.unref();
  }

  started({ pid }: ChildProcess): void {
    if (pid !== undefined) this.#process.stdin?.write(`+${pid}\n`);
  }

  ended({ pid }: ChildProcess): void {
    if (pid !== undefined) this.#process.stdin?.write(`-${pid}\n`);
  }

  /** All is ended already. */
  dismiss(): void {
    this.#process.stdin?.end("done\n");
  }
}
