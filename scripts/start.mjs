// `npm start`: installs, builds, starts the embedded engine and the example apps, and says what to try.
//   npm start -- --port 9000 --data-dir ../eddy-data    options go to `eddy dev`; see `npx eddy dev --help`
//   npm start -- --as-is                                starts what is installed and built, without looking
import { createServer } from "node:net";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { start } from "./lib/children.mjs";
import { build, install, nodeProblem } from "./lib/install.mjs";
import { tryNext } from "./lib/try-next.mjs";

const root = join(import.meta.dirname, "..");
const HOST = "127.0.0.1";
const READY_MS = 60_000;
const GRACE_MS = 15_000;
const PARENT_CHECK_MS = 500;
/** Folders of `examples/`, by the names that their lines begin with. */
const EXAMPLES = {
  cart: "cart-abandonment",
  approval: "human-approval",
  nudge: "onboarding-nudge",
  lead: "sales-lead-reminder",
};

/** @type {import("./lib/children.mjs").Child[]} in the order of starting; stopped in the reverse order */
const children = [];
let stopping = false;

/** @param {number} code */
async function stopAll(code) {
  if (stopping) return;
  stopping = true;
  if (children.some((child) => child.isRunning())) console.log("stopping");
  for (const child of children.toReversed()) await child.stop(GRACE_MS);
  process.exit(code);
}

/**
 * @param {string} message
 * @returns {Promise<void>}
 */
async function fail(message) {
  if (stopping) return;
  console.error(`\n${message}`);
  await stopAll(1);
}

/**
 * @param {string} name
 * @param {readonly string[]} args
 * @param {Record<string, string>} env
 */
function startChild(name, args, env) {
  const child = start({ name, args, cwd: root, env: { ...process.env, ...env } }, (line) => console.log(line));
  children.push(child);
  console.log(`${name} | process ${child.pid}`);
  void child.ended.then((how) => fail(`${name.trim()} ${how}. The lines above say why. Stopping the rest.`));
  return child;
}

/**
 * @param {number} port
 * @returns {Promise<string | null>} why the port cannot be had, or null
 */
function portProblem(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", (/** @type {NodeJS.ErrnoException} */ error) => {
      resolve(error.code === "EADDRINUSE" ? "is in use by another process" : `cannot be used: ${error.message}`);
    });
    probe.listen(port, HOST, () => probe.close(() => resolve(null)));
  });
}

/**
 * @param {string} url
 * @returns {Promise<boolean>} true once it answers 200, false when time is up
 */
async function answers(url) {
  const end = Date.now() + READY_MS;
  while (Date.now() < end && !stopping) {
    const ok = await fetch(url).then(
      (response) => response.ok,
      () => false, // Not listening yet.
    );
    if (ok) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}

/** Its own, and those of `eddy dev`, which checks their values. */
const OPTIONS = /** @type {const} */ ({
  "as-is": { type: "boolean" },
  port: { type: "string", default: "8288" },
  "data-dir": { type: "string" },
  host: { type: "string" },
  "tokens-file": { type: "string" },
  "in-memory": { type: "boolean" },
  fsync: { type: "boolean" },
  partitions: { type: "string" },
  "sender-settle": { type: "string" },
  "cache-mib": { type: "string" },
  "log-level": { type: "string" },
});

/** @param {readonly string[]} args */
function parseOptions(args) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS }).values;
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    console.error(`options of npm start: --${Object.keys(OPTIONS).join(", --")}`);
    return process.exit(2);
  }
}

/** @param {readonly string[]} args */
function readArguments(args) {
  const values = parseOptions(args);
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1 || port > 65_533) {
    console.error(`--port: expected a number from 1 to 65533, got ${String(values.port)}`);
    process.exit(2);
  }
  const hasDataDir = values["data-dir"] !== undefined || args.includes("--in-memory");
  const defaults = ["--port", String(port), ...(hasDataDir ? [] : ["--data-dir", join(root, ".eddy")])];
  const asIs = args.includes("--as-is");
  return { port, asIs, engineArgs: [...defaults, ...args.filter((arg) => arg !== "--as-is")] };
}

async function main() {
  const { port, asIs, engineArgs } = readArguments(process.argv.slice(2));
  const baseUrl = `http://${HOST}:${port}`;
  const reviewPort = port + 2;
  const reviewUrl = `http://${HOST}:${reviewPort}`;

  const problem = nodeProblem();
  if (problem !== null) return fail(problem);
  if (!asIs && !(await install(root))) return fail("The packages could not be installed; npm has said why above.");
  if (!asIs && !(await build(root))) return fail("The build has errors; they are listed above.");

  for (const wanted of [port, reviewPort]) {
    const why = await portProblem(wanted);
    if (why === null) continue;
    const other = port + 10;
    const command = `npm start -- --port ${other} --data-dir .eddy-${other}`;
    return fail(`Port ${wanted} ${why}. If that is another \`npm start\`, stop it; or: ${command}`);
  }

  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
    process.on(signal, () => void stopAll(0));
  }
  // A signal to npm ends npm and its shell, and some shells do not pass it on.
  const parent = process.ppid;
  if (process.env["npm_lifecycle_event"] !== undefined) {
    setInterval(() => {
      if (process.ppid !== parent) void stopAll(0);
    }, PARENT_CHECK_MS).unref();
  }

  startChild("engine  ", ["engine/dist/cli/eddy.js", "dev", ...engineArgs], {});
  if (!(await answers(`${baseUrl}/health/ready`))) {
    return fail(`The engine was not ready within ${READY_MS / 1000} s.`);
  }
  const env = { EDDY_BASE_URL: baseUrl, REVIEW_URL: reviewUrl };
  const apps = Object.entries(EXAMPLES).map(([name, folder]) =>
    startChild(name.padEnd(8), [`examples/${folder}/dist/main.js`], env),
  );
  const late = new Promise((resolve) => setTimeout(resolve, READY_MS, "late").unref());
  const ready = Promise.all(apps.map((app) => app.printed(/^ready: /)));
  if ((await Promise.race([ready, late])) === "late") {
    return fail(`The example apps were not registered within ${READY_MS / 1000} s.`);
  }
  console.log(tryNext({ baseUrl, reviewUrl }));
}

await main();
