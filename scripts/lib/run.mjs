// Starting child processes from the scripts, which must work before anything is installed: Node's own modules only.
import { spawn } from "node:child_process";

/**
 * Runs a command with the terminal's output and no input.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd: string, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<number>} the exit code; 127 when it cannot be started, 128 + n when signal n ended it.
 */
export function run(command, args, options) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ["ignore", "inherit", "inherit"],
    });
    child.once("error", (error) => {
      console.error(`cannot start ${command}: ${error.message}`);
      resolve(127);
    });
    child.once("exit", (code, signal) => {
      resolve(code ?? (signal === "SIGKILL" ? 137 : 143));
    });
  });
}

/** @param {string} text */
export function heading(text) {
  console.log(`\n== ${text}`);
}

/** @param {number} sinceMs from `Date.now()` */
export function seconds(sinceMs) {
  return `${((Date.now() - sinceMs) / 1000).toFixed(1)} s`;
}
