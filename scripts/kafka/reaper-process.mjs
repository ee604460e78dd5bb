// Ends processes whose starter is gone. Reads lines from stdin until that closes: "+<pid>" for one that was started,
// "-<pid>" for one that has ended (its number may be another process's by now), "done" when there is nothing to do.
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";

const directory = process.argv[2];
/** @type {Set<number>} */
const pids = new Set();
let isDone = false;

createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (line === "done") isDone = true;
    else if (line.startsWith("+")) pids.add(Number(line.slice(1)));
    else pids.delete(Number(line.slice(1)));
  })
  .on("close", () => {
    if (isDone || directory === undefined) return;
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch (error) {
        if (/** @type {NodeJS.ErrnoException} */ (error).code !== "ESRCH") throw error;
      }
    }
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  });
