/**
 * What workers did, in one file that all of them append to: the order of its lines is the order in which things happened,
 * and a line that was written survives the kill of its writer.
 */
import { appendFileSync, readFileSync } from "node:fs";

export interface Entry {
  /** `began`: a step's code ran. `recorded`: its result was acknowledged, and the handler went on. */
  readonly what: "began" | "recorded";
  readonly runId: string;
  readonly stepId: string;
  /** The cart. */
  readonly n: number;
  /** ms since 1970, by this machine's clock. */
  readonly atMs: number;
}

export class Ledger {
  constructor(readonly path: string) {}

  write(entry: Entry): void {
    appendFileSync(this.path, `${JSON.stringify(entry)}\n`);
  }

  /** In the order of writing. Empty before the first line. */
  read(): readonly Entry[] {
    const text = readFileSync(this.path, { encoding: "utf8", flag: "a+" });
    return text
      .split("\n")
      .filter((line) => line.endsWith("}"))
      .map((line) => JSON.parse(line) as Entry);
  }
}
