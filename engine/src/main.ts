/**
 * The composition root: the only file that knows every adapter. Builds one engine from a configuration, starts it in
 * the order in which its parts need each other, and ends it in the reverse one.
 *
 *   log, stores -> topics -> registry view -> gateway (listens) -> partition tasks, history -> ready
 */
import { constants } from "node:fs";
import { access, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { destination, pino } from "pino";
import { monotonicFactory } from "ulid";
import { EmbeddedLog } from "./adapters/embedded/index.js";
import { MemoryGroups, MemoryLog, MemoryStoreFactory, SystemClock } from "./adapters/memory/index.js";
import { RocksDbStoreFactory } from "./adapters/rocksdb/index.js";
import type { EngineConfig } from "./config/engine-config.js";
import { core as defaultCore } from "./core/core.js";
import type { Core } from "./core/index.js";
import {
  type Clock,
  coreTopicSpecs,
  EventSender,
  InboxLanes,
  type Log,
  type Logger,
  type Meter,
  NO_METER,
  RegistryView,
  runStatesOf,
  type Topics,
  topicsOf,
  WorkerGate,
} from "@eddy/clients";
import { DataDirError } from "@eddy/clients/errors";
import { DevClock, type PartitionClock } from "./gateway/dev-clock.js";
import { Gateway } from "./gateway/gateway.js";
import type { Readiness } from "./gateway/http-routes.js";
import { HistoryLookup } from "./history/history-lookup.js";
import { HistoryTailer } from "./history/history-tailer.js";
import { PartitionTask } from "./partition/index.js";
import type { StoreFactory } from "./ports/store.js";

/** The one namespace of `eddy dev`. */
const NAMESPACE = "dev";

/** How often it is looked whether a partition has caught up, in ms. */
const CATCH_UP_LOOK_MS = 5;
/** How long history entries are gathered, in ms: nobody notices, and a busy engine stores a tenth of the batches. */
const HISTORY_GATHER_MS = 10;

/** What a caller may put in the place of the configured parts; a given log and stores stay the caller's to close. */
export interface EngineParts {
  readonly log: Log;
  readonly stores: StoreFactory;
  readonly clock: Clock;
  readonly meter: Meter;
  readonly logger: Logger;
  readonly core: Core;
}

export interface Engine {
  /** Where the gateway listens: `http://127.0.0.1:8288`. */
  readonly url: string;
  /** Does every part do its work? */
  readiness(): Readiness;
  /** Takes nothing new, finishes what is under way, checkpoints, closes. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts an engine; resolves when it is ready, or when each partition that cannot be taken over has said why.
 * @throws ConfigError, StoreLockedError, DataDirError, AddressError: nothing is left open then.
 */
export async function startEngine(config: EngineConfig, parts: Partial<EngineParts> = {}): Promise<Engine> {
  const engine = new RunningEngine(config, parts);
  try {
    await engine.start();
    return engine;
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** Logs to stderr, so that stdout is free for what the command says. */
function defaultLogger(level: EngineConfig["logLevel"]): Logger {
  return pino({ level, base: null }, destination({ dest: 2, sync: true }));
}

class RunningEngine implements Engine {
  url = "";
  readonly #config: EngineConfig;
  readonly #parts: Partial<EngineParts>;
  readonly #clock: Clock;
  readonly #meter: Meter;
  readonly #logger: Logger;
  readonly #topics: Topics = topicsOf(NAMESPACE);
  /** What has been started, in order; ended in the reverse one. */
  readonly #started: { readonly name: string; readonly end: () => Promise<void> }[] = [];
  #tasks: readonly PartitionTask[] = [];
  /** By partition: has it applied all that its inbox held when it started? Before that, what it tells is old. */
  readonly #isCaughtUp: boolean[] = [];
  #tailers: readonly HistoryTailer[] = [];
  #registry: RegistryView | null = null;
  #gate: WorkerGate | null = null;
  #closing: Promise<void> | null = null;
  #isStarted = false;

  constructor(config: EngineConfig, parts: Partial<EngineParts>) {
    this.#config = config;
    this.#parts = parts;
    this.#clock = parts.clock ?? new SystemClock();
    this.#meter = parts.meter ?? NO_METER;
    this.#logger = parts.logger ?? defaultLogger(config.logLevel);
  }

  async start(): Promise<void> {
    const { partitions } = this.#config;
    const { log, stores } = await this.#openWorld();
    await log.ensureTopics(coreTopicSpecs(this.#topics, partitions));
    const registry = await this.#startRegistry(log);
    this.#makeTasks(log, stores);
    await this.#startGateway(log, registry);
    await Promise.allSettled([
      ...this.#tasks.map((task, partition) => this.#startTask(log, task, partition)),
      ...this.#tailers.map((tailer) => tailer.start()),
    ]);
    this.#isStarted = true;
  }

  readiness(): Readiness {
    const reasons: string[] = [];
    if (this.#closing !== null) reasons.push("the engine is closing");
    for (const [p, { status, failure }] of this.#tasks.entries()) {
      if (status !== "running")
        reasons.push(`partition ${p}: ${status}${failure === null ? "" : `: ${failure.message}`}`);
    }
    for (const [p, { isCaughtUp, failure }] of this.#tailers.entries()) {
      if (failure !== null) reasons.push(`history ${p}: ${failure.message}`);
      else if (!isCaughtUp) reasons.push(`history ${p}: is being read`);
    }
    const registryFailure = this.#registry?.failure ?? null;
    if (registryFailure !== null) reasons.push(`registry: ${registryFailure.message}`);
    for (const { app, failure } of this.#gate?.apps ?? []) {
      if (failure !== null) reasons.push(`app ${app}: ${failure.message}`);
    }
    return { ready: this.#isStarted && reasons.length === 0, reasons };
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    for (const { name, end } of [...this.#started].reverse()) {
      try {
        await end();
      } catch (err) {
        this.#logger.error({ err, part: name }, "a part of the engine did not close cleanly");
      }
    }
  }

  #onEnd(name: string, end: () => Promise<void>): void {
    this.#started.push({ name, end });
  }

  async #openWorld(): Promise<{ readonly log: Log; readonly stores: StoreFactory }> {
    const { log, stores } = this.#parts;
    if (log !== undefined && stores !== undefined) return { log, stores };
    const opened = this.#config.inMemory ? this.#openMemory() : await this.#openEmbedded();
    this.#onEnd("log", () => opened.log.close());
    return opened;
  }

  #openMemory(): { readonly log: Log; readonly stores: StoreFactory } {
    return { log: new MemoryLog(this.#clock), stores: new MemoryStoreFactory() };
  }

  async #openEmbedded(): Promise<{ readonly log: Log; readonly stores: StoreFactory }> {
    const directory = resolve(this.#config.dataDir);
    await checkWritable(directory);
    const log = await EmbeddedLog.open(join(directory, "log"), {
      clock: this.#clock,
      logger: this.#logger,
      fsync: this.#config.fsync,
    });
    return { log, stores: new RocksDbStoreFactory(join(directory, "stores")) };
  }

  async #startRegistry(log: Log): Promise<RegistryView> {
    const { partitions } = this.#config;
    const deps = { log, clock: this.#clock, logger: this.#logger, topic: this.#topics.registry, partitions };
    const registry = new RegistryView(deps);
    this.#registry = registry;
    this.#onEnd("registry view", () => registry.close());
    await registry.start();
    return registry;
  }

  #makeTasks(log: Log, stores: StoreFactory): void {
    const { partitions } = this.#config;
    const shared = { log, stores, clock: this.#clock, meter: this.#meter, logger: this.#logger };
    const core = this.#parts.core ?? defaultCore;
    const options = { cacheBytesMax: Math.floor((this.#config.cacheMib * 1_048_576) / partitions) };
    const numbers = Array.from({ length: partitions }, (_, partition) => partition);
    this.#tasks = numbers.map(
      (partition) => new PartitionTask({ ...shared, core, topics: this.#topics, partition, partitions, options }),
    );
    const { retentionMs } = coreTopicSpecs(this.#topics, partitions).find(
      ({ name }) => name === this.#topics.history,
    ) as { readonly retentionMs: number };
    this.#tailers = numbers.map(
      (partition) =>
        new HistoryTailer({
          ...shared,
          topic: this.#topics.history,
          partition,
          retentionMs,
          gatherMs: HISTORY_GATHER_MS,
        }),
    );
    for (const [partition, task] of this.#tasks.entries()) void this.#reportEnd(task, partition);
    this.#onEnd("history", () => all(this.#tailers.map((tailer) => tailer.stop())));
    this.#onEnd("partitions", () => all(this.#tasks.map((task) => task.stop())));
  }

  /** Resolves when the partition has applied all that its inbox held at the call, or has ended. */
  async #startTask(log: Log, task: PartitionTask, partition: number): Promise<void> {
    const { end } = await log.offsets(this.#topics.inbox, partition);
    await task.start();
    while (task.time().processedOffset < end - 1) {
      if (task.status === "failed" || task.status === "stopped") return;
      await this.#clock.sleep(CATCH_UP_LOOK_MS);
    }
    this.#isCaughtUp[partition] = true;
  }

  /** The task's clock, which runs for others only once it is no longer that of some time ago. */
  #clockOf(task: PartitionTask, partition: number): PartitionClock {
    const isCaughtUp = (): boolean => this.#isCaughtUp[partition] === true;
    return {
      get status() {
        return task.status === "running" && !isCaughtUp() ? "starting" : task.status;
      },
      time: () => task.time(),
    };
  }

  /** One partition ends; the others go on, and readiness says so. */
  async #reportEnd(task: PartitionTask, partition: number): Promise<void> {
    await task.closed;
    if (task.failure === null) return;
    this.#logger.error({ err: task.failure, partition }, "a partition has stopped; the others go on");
  }

  async #startGateway(log: Log, registry: RegistryView): Promise<void> {
    const { partitions, host, port } = this.#config;
    const topics = this.#topics;
    const base = { log, clock: this.#clock, logger: this.#logger, meter: this.#meter };
    const lanes = new InboxLanes({ ...base, topic: topics.inbox, partitions });
    this.#onEnd("inbox lanes", () => lanes.close());
    const devClock = new DevClock({
      ...base,
      topic: topics.inbox,
      partitions: this.#tasks.map((task, partition) => this.#clockOf(task, partition)),
    });
    const gate = new WorkerGate({
      ...base,
      groups: new MemoryGroups(log),
      topics,
      lanes,
      registry,
      states: runStatesOf(this.#tasks, this.#clock),
    });
    this.#gate = gate;
    const sender = new EventSender({
      ...base,
      lanes,
      registry,
      advanceMs: () => devClock.advanceMs,
      makeId: monotonicFactory(),
    });
    const gateway = new Gateway({
      ...base,
      sender,
      lookup: new HistoryLookup(this.#tailers),
      devClock,
      readiness: () => this.readiness(),
      gate,
    });
    this.#onEnd("gateway", () => gateway.close());
    this.#onEnd("workers", () => gate.close());
    this.url = await gateway.listen({ host, port });
  }
}

async function all(ends: readonly Promise<void>[]): Promise<void> {
  await Promise.all(ends);
}

/** @throws DataDirError */
async function checkWritable(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    await access(directory, constants.W_OK | constants.X_OK);
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    const message = `cannot write to the data directory ${directory} (${reason}); choose another with --data-dir`;
    throw new DataDirError(message, { directory, reason }, { cause });
  }
}
