/** `eddy dev`: an engine in this process, until a signal ends it. */
import { Option, type Command } from "commander";
import { CONFIG_DEFAULTS, LOG_LEVELS, readEngineConfig } from "../config/engine-config.js";
import { EddyError } from "@eddy/clients/errors";
import { startEngine, type Engine } from "../main.js";
import { EXIT, exitCodeOf } from "./exit-codes.js";
import { startMessage } from "./start-message.js";

/** A drain that takes longer is given up, in ms. */
const DRAIN_MS_MAX = 30_000;

export function addDevCommand(program: Command): void {
  const { host, port, dataDir, partitions, cacheMib, logLevel } = CONFIG_DEFAULTS;
  // No defaults here: what is not given may still come from the environment.
  program
    .command("dev")
    .description("run an engine in this process, without Kafka")
    .option("--host <address>", `address to listen on (default: ${host})`)
    .option("--port <number>", `port to listen on, 0 for any free one (default: ${port})`)
    .option("--data-dir <folder>", `folder of log and state (default: ${dataDir})`)
    .option("--in-memory", "keep everything in memory")
    .option("--fsync", "acknowledge only what survives a power loss")
    .option("--partitions <number>", `inbox partitions of a new data directory (default: ${partitions})`)
    .option("--cache-mib <number>", `memory for rows used lately, in MiB (default: ${cacheMib})`)
    .addOption(new Option("--log-level <level>", `(default: ${logLevel})`).choices([...LOG_LEVELS]))
    .addHelpText("after", EXIT_CODES_HELP)
    .action((options: Record<string, unknown>) => runDev(options));
}

const EXIT_CODES_HELP = `
Each option is also an environment variable: --data-dir is EDDY_DATA_DIR.
Exit codes: ${EXIT.ok} stopped by a signal, ${EXIT.failed} failed, ${EXIT.config} configuration,
  ${EXIT.address} address in use, ${EXIT.dataDir} data directory locked or unusable.`;

async function runDev(options: Record<string, unknown>): Promise<void> {
  const stop = stopSignal();
  try {
    const config = readEngineConfig(options);
    const engine = await startEngine(config);
    process.stdout.write(startMessage(engine.url, config));
    warnIfNotReady(engine);
    await stop;
    process.stdout.write("\n  Stopping: finishing what is under way.\n");
    await drain(engine);
    process.exit(EXIT.ok);
  } catch (error) {
    process.stderr.write(`eddy: ${textOf(error)}\n`);
    process.exit(exitCodeOf(error));
  }
}

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let signals = 0;
    const onSignal = (): void => {
      signals += 1;
      if (signals > 1) process.exit(EXIT.failed);
      resolve();
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
}

async function drain(engine: Engine): Promise<void> {
  const late = setTimeout(() => {
    process.stderr.write(`eddy: still not stopped after ${DRAIN_MS_MAX} ms, giving up\n`);
    process.exit(EXIT.failed);
  }, DRAIN_MS_MAX);
  await engine.close();
  clearTimeout(late);
}

function warnIfNotReady(engine: Engine): void {
  const { ready, reasons } = engine.readiness();
  if (!ready) process.stderr.write(`eddy: not ready: ${reasons.join("; ")}\n`);
}

/** Errors made for people say what to do; of others the stack is needed. */
function textOf(error: unknown): string {
  if (error instanceof EddyError && error.family !== "invariant") return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
