// Brings a clone to the state that its lock file describes, and builds it.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { heading, run, seconds } from "./run.mjs";

const NODE_MIN = [20, 19];

/** @typedef {{ packages?: Record<string, { version?: string, link?: boolean, optional?: boolean, devOptional?: boolean }> }} Lock */

/** @returns {string | null} what is wrong with this Node, or null. */
export function nodeProblem() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const [minMajor = 0, minMinor = 0] = NODE_MIN;
  if (major > minMajor || (major === minMajor && minor >= minMinor)) return null;
  return `Node ${NODE_MIN.join(".")} or newer is needed, this is ${process.versions.node}`;
}

/**
 * Why `npm ci` has to run.
 * @param {string} root
 * @returns {string | null} null when node_modules holds what package-lock.json asks for.
 */
export function installReason(root) {
  const installed = join(root, "node_modules/.package-lock.json");
  if (!existsSync(installed)) return "node_modules is missing";
  /** @type {Lock} */
  const want = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  /** @type {Lock} */
  const have = JSON.parse(readFileSync(installed, "utf8"));
  for (const [path, entry] of Object.entries(want.packages ?? {})) {
    if (!path.startsWith("node_modules/") && !path.includes("/node_modules/")) continue;
    // Optional packages are those of other platforms, mostly.
    if (entry.optional === true || entry.devOptional === true) continue;
    const found = have.packages?.[path];
    if (entry.link === true) {
      if (!existsSync(join(root, path))) return `${path} is not linked`;
    } else if (found?.version !== entry.version) {
      return `${path} should be ${entry.version}, it is ${found?.version ?? "missing"}`;
    }
  }
  return null;
}

/**
 * @param {string} root
 * @returns {Promise<boolean>} false when it failed; npm has said why.
 */
export async function install(root) {
  const reason = installReason(root);
  if (reason === null) return true;
  heading(`npm ci (${reason})`);
  const since = Date.now();
  const code = await run(npm, ["ci", "--no-audit", "--no-fund"], { cwd: root });
  console.log(code === 0 ? `installed in ${seconds(since)}` : `npm ci failed with exit code ${code}`);
  return code === 0;
}

/**
 * @param {string} root
 * @returns {Promise<boolean>} false when the compiler found errors.
 */
export async function build(root) {
  heading("build");
  const since = Date.now();
  const code = await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-b"], { cwd: root });
  console.log(code === 0 ? `built in ${seconds(since)}` : "the build has errors");
  return code === 0;
}

const npm = process.platform === "win32" ? "npm.cmd" : "npm";
