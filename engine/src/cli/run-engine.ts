/** An engine in this process, until a signal ends it: what all commands that run one have in common. */
import { EddyError } from "@eddy/clients/errors";
import { PrometheusMeter } from "../adapters/prometheus/index.js";
import { openEngine, type Engine } from "../main.js";
import type { AnyConfig } from "../world/open-world.js";
import { EXIT, exitCodeOf } from "./exit-codes.js";

/** A drain that takes longer is given up, in ms. */
const DRAIN_MS_MAX = 30_000;
/** A start that takes longer is said to be under way, in ms. */
const QUICK_START_MS = 2_000;

export interface RunOptions<C extends AnyConfig> {
  /** @throws ConfigError */
  readonly read: () => C;
  /** What to say when it is ready. */
  readonly message: (url: string, config: C) => string;
  /** Ends once the configuration is read. */
  readonly onlyCheck?: boolean;
}

/** Ends the process. */
export async function runEngine<C extends AnyConfig>({ read, message, onlyCheck }: RunOptions<C>): Promise<never> {
  const stop = stopSignal();
  try {
    const config = read();
    if (onlyCheck === true) {
      process.stdout.write("the configuration is well-formed\n");
      return process.exit(EXIT.ok);
    }
    const engine = await openEngine(config, { meter: new PrometheusMeter({ withProcess: true }) });
    const late = setTimeout(() => sayWhatIsMissing(engine), QUICK_START_MS);
    const isStarted = await Promise.race([engine.started.then(() => true), stop.then(() => false)]);
    clearTimeout(late);
    if (isStarted) {
      process.stdout.write(message(engine.url, config));
      warnIfNotReady(engine);
      await stop;
    }
    process.stdout.write("\n  Stopping: finishing what is under way.\n");
    await drain(engine);
    return process.exit(EXIT.ok);
  } catch (error) {
    process.stderr.write(`eddy: ${textOf(error)}\n`);
    return process.exit(exitCodeOf(error));
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

function sayWhatIsMissing(engine: Engine): void {
  const { reasons } = engine.readiness();
  process.stdout.write(`\n  Eddy listens at ${engine.url} and is not ready yet: ${reasons.join("; ")}\n`);
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
