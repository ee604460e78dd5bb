// Child processes of `npm start`: their output with a name in front, and an orderly end by process id.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/**
 * @typedef {object} Child
 * @property {string} name
 * @property {number | undefined} pid undefined where it could not be started
 * @property {Promise<string>} ended how it ended, in words; resolves once it has
 * @property {() => boolean} isRunning
 * @property {(pattern: RegExp) => Promise<void>} printed resolves at the first line of output that fits, never rejects
 * @property {(graceMs: number) => Promise<void>} stop SIGTERM, then SIGKILL after the grace period; resolves when it is gone
 */

/**
 * In a process group of its own, so that Ctrl-C reaches us alone and the order of stopping is ours.
 * @param {{ name: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv }} options
 * @param {(line: string) => void} print
 * @returns {Child}
 */
export function start(options, print) {
  const child = spawn(process.execPath, options.args, {
    cwd: options.cwd,
    env: options.env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  /** @type {{ pattern: RegExp, resolve: () => void }[]} */
  const waiting = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      print(`${options.name} | ${line}`);
      for (const { pattern, resolve } of waiting) if (pattern.test(line)) resolve();
    });
  }
  let running = true;
  /** @type {Promise<string>} */
  const ended = new Promise((resolve) => {
    child.once("error", (error) => {
      running = false;
      resolve(`could not start: ${error.message}`);
    });
    child.once("exit", (code, signal) => {
      running = false;
      resolve(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`);
    });
  });
  return {
    name: options.name,
    pid: child.pid,
    ended,
    isRunning: () => running,
    printed: (pattern) =>
      new Promise((resolve) => {
        waiting.push({ pattern, resolve });
      }),
    stop: async (graceMs) => {
      if (!running) return;
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
      await ended;
      clearTimeout(timer);
    },
  };
}
