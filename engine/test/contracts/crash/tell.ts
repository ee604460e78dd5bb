import { writeSync } from "node:fs";

/** Writes one line of JSON to stdout; once it returns, a kill of this process does not lose it. */
export function tell(message: object): void {
  for (let rest = Buffer.from(`${JSON.stringify(message)}\n`); rest.length > 0;) rest = rest.subarray(writeSome(rest));
}

/** @returns how many bytes the pipe took: none, while it is full. */
function writeSome(bytes: Buffer): number {
  try {
    return writeSync(1, bytes);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EAGAIN") return 0;
    throw error;
  }
}
