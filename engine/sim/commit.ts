import { execFileSync } from "node:child_process";

/** The commit that is checked out, for messages that say how to see something again. */
export function commitOf(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8", stdio: "pipe" }).trim();
  } catch {
    return "unknown"; // not a clone: an unpacked archive has no history
  }
}
