/**
 * The composition root: builds one engine from a configuration, starts it in the order in which its parts need each
 * other, and ends it in the reverse one.
 *
 *   gateway listens (503) -> log, stores -> topics -> registry view -> namespace -> gateway serves
 *     -> member of the group of engines -> partition tasks, history -> ready
 *
 * Only what cannot be repaired by waiting ends a start: a log that is not there is waited for.
 */
import { destination, pino } from "pino";
import { monotonicFactory } from "ulid";
import {
  type Clock,
  coreTopicSpecs,
  decliningRunStates,
  EventSender,
  type Groups,
  InboxLanes,
  type Log,
  type Logger,
  type Meter,
  ownedRunStates,
  RegistryView,
  RequestError,
  SystemClock,
  SchemaSubjects,
  type Topics,
  topicsOf,
  type UserTopics,
  VIEW_AGE_MS_MAX,
  WorkerGate,
} from "@eddy/clients";
import { ClosedError, invariant } from "@eddy/clients/errors";
import { Access, WatchedFiles } from "./access/index.js";
import { MemoryGroups } from "./adapters/memory/index.js";
import { PrometheusMeter } from "./adapters/prometheus/index.js";
import { DiskUsageWatch } from "./adapters/rocksdb/index.js";
import { core as defaultCore } from "./core/core.js";
import type { Core } from "./core/index.js";
import { EventSchemas } from "./event-schemas/event-schemas.js";
import { DevClock } from "./gateway/dev-clock.js";
import { figuresPage } from "./gateway/figures-page.js";
import { FunctionList } from "./gateway/function-list.js";
import { makeGateway, type Gateway } from "./gateway/gateway.js";
import type { Readiness, Service } from "./gateway/http-routes.js";
import type { MetricsPage } from "./gateway/metrics-routes.js";
import { partitionClocks } from "./gateway/partition-clocks.js";
import { ANSWER_MS_MAX, Peers } from "./gateway/peers.js";
import { RoutedLookup } from "./gateway/routed-lookup.js";
import { RunCancel } from "./gateway/run-cancel.js";
import { HistoryTailer } from "./history/history-tailer.js";
import { Ownership } from "./ownership/ownership.js";
import { PartitionGauges } from "./ownership/partition-gauges.js";
import { PartitionTask } from "./partition/index.js";
import type { StoreFactory } from "./ports/store.js";
import { Sources } from "./sources/sources.js";
import { advertisedUrlOf } from "./world/advertised-url.js";
import { agreeOnNamespace } from "./world/namespace-entry.js";
import { type AnyConfig, isOnKafka, openWorld, type World } from "./world/open-world.js";
import { Patience } from "./world/patience.js";

/** The one namespace of `eddy dev`. */
const DEV_NAMESPACE = "dev";
/** How long history entries are gathered, in ms: nobody notices, and a busy engine stores a tenth of the batches. */
const HISTORY_GATHER_MS = 10;

/** What a caller may put in the place of the configured parts; a given log and stores stay the caller's to close. */
export interface EngineParts {
  readonly log: Log;
  /** Default, with a log that is given: groups of this engine alone. */
  readonly groups: Groups;
  /** Of the log that is given; without it there are no sources. */
  readonly userTopics: UserTopics;
  readonly stores: StoreFactory;
  readonly clock: Clock;
  /** `GET /metrics` shows what a PrometheusMeter has, and nothing of others. */
  readonly meter: Meter;
  readonly logger: Logger;
  readonly core: Core;
}

export interface Engine {
  /** Where the gateway listens: `http://127.0.0.1:8288`. */
  readonly url: string;
  /** Resolves when it is ready, or when each partition that cannot be taken over has said why. @throws why it ended */
  readonly started: Promise<void>;
  /** Does every part do its work? */
  readiness(): Readiness;
  /** Takes nothing new, finishes what is under way, checkpoints, closes. Idempotent. */
  close(): Promise<void>;
}

/**
 * Resolves as soon as the gateway listens; it answers 503 until the log is there. `started` tells how the start goes on;
 * where that fails, the engine closes by itself.
 * @throws AddressError
 */
export async function openEngine(config: AnyConfig, parts: Partial<EngineParts> = {}): Promise<Engine> {
  const engine = new RunningEngine(config, parts);
  await engine.open();
  return engine;
}

/**
 * Starts an engine; resolves when it is ready, or when each partition that cannot be taken over has said why.
 * @throws ConfigError, StoreLockedError, DataDirError, AddressError: nothing is left open then.
 */
export async function startEngine(config: AnyConfig, parts: Partial<EngineParts> = {}): Promise<Engine> {
  const engine = await openEngine(config, parts);
  await engine.started;
  return engine;
}

/** Logs to stderr, so that stdout is free for what the command says. */
export function defaultLogger(level: AnyConfig["logLevel"]): Logger {
  return pino({ level, base: null }, destination({ dest: 2, sync: true }));
}

/** What most parts are made with. */
interface Base extends Pick<World, "log" | "groups" | "stores" | "userTopics"> {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

class RunningEngine implements Engine {
  url = "";
  started: Promise<void> = Promise.resolve();
  readonly #config: AnyConfig;
  readonly #parts: Partial<EngineParts>;
  readonly #clock: Clock;
  readonly #meter: Meter;
  readonly #logger: Logger;
  readonly #namespace: string;
  readonly #dev: boolean;
  readonly #topics: Topics;
  readonly #stopping = new AbortController();
  readonly #patience: Patience;
  /** Tokens and certificates, as they are now. */
  readonly #files: WatchedFiles;
  readonly #access: Access;
  readonly #gateway: Gateway;
  /** What has been started, in order; ended in the reverse one. */
  readonly #running: { readonly name: string; readonly end: () => Promise<void> }[] = [];
  #registry: RegistryView | null = null;
  #ownership: Ownership | null = null;
  #gauges: PartitionGauges | null = null;
  #sources: Sources | null = null;
  #service: Service | null = null;
  #gate: WorkerGate | null = null;
  #closing: Promise<void> | null = null;
  #ending: Promise<void> = Promise.resolve();
  #isStarted = false;

  constructor(config: AnyConfig, parts: Partial<EngineParts>) {
    this.#config = config;
    this.#parts = parts;
    this.#clock = parts.clock ?? new SystemClock();
    this.#meter = parts.meter ?? new PrometheusMeter();
    this.#logger = parts.logger ?? defaultLogger(config.logLevel);
    this.#namespace = isOnKafka(config) ? config.namespace : DEV_NAMESPACE;
    this.#dev = isOnKafka(config) ? config.dev : true;
    this.#topics = topicsOf(this.#namespace);
    const common = { clock: this.#clock, logger: this.#logger };
    this.#patience = new Patience({ ...common, signal: this.#stopping.signal });
    this.#files = new WatchedFiles(common);
    this.#access = new Access(config, this.#files);
    const gateway = {
      ...{ ...common, access: this.#access, meter: this.#meter, metrics: this.#metricsPage(), limits: config },
      namespace: this.#namespace,
      service: () => this.#serviceNow(),
      gate: () => this.#gate,
      readiness: () => this.readiness(),
      isMetricsOpen: config.metricsAccess === "open",
    };
    this.#gateway = makeGateway(gateway, config.tls, this.#files);
  }

  async open(): Promise<void> {
    try {
      this.url = await this.#gateway.listen(this.#config);
    } catch (error) {
      await this.close();
      throw error;
    }
    this.#files.start();
    this.started = this.#run();
    this.started.catch(() => undefined); // whoever waits for it gets the error all the same
  }

  readiness(): Readiness {
    const reasons: string[] = [];
    if (this.#stopping.signal.aborted) reasons.push("the engine is closing");
    if (this.#patience.trouble !== null) reasons.push(this.#patience.trouble);
    if (this.#ownership !== null) reasons.push(...this.#ownership.problems);
    else if (reasons.length === 0) reasons.push("the engine is starting");
    const registryFailure = this.#registry?.failure ?? null;
    if (registryFailure !== null) reasons.push(`registry: ${registryFailure.message}`);
    else if (this.#isStarted && this.#registry?.isFresh === false) {
      reasons.push(`registry: it was last read more than ${VIEW_AGE_MS_MAX} ms ago: the log does not answer`);
    }
    for (const { app, failure } of this.#gate?.apps ?? []) {
      if (failure !== null) reasons.push(`app ${app}: ${failure.message}`);
    }
    return { ready: this.#isStarted && reasons.length === 0, reasons };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #run(): Promise<void> {
    try {
      await this.#start();
    } catch (error) {
      this.#stopping.abort();
      await this.#end();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const world = await this.#openWorld();
    const { log } = world;
    const base = { ...world, clock: this.#clock, logger: this.#logger, meter: this.#meter };
    await this.#patience.untilDone(() => log.ensureTopics(coreTopicSpecs(this.#topics, this.#config.partitions)));
    const registry = await this.#startRegistry(base);
    const ownership = this.#makeOwnership(base);
    this.#openService(base, registry, ownership);
    await this.#patience.untilDone(() => ownership.join(this.#address()));
    await ownership.settled(this.#stopping.signal);
    if (this.#stopping.signal.aborted) throw new ClosedError("the engine was closed before it was ready");
    this.#isStarted = true;
  }

  async #close(): Promise<void> {
    this.#stopping.abort();
    await this.#end();
    // A start that had not ended may have made more.
    await this.started.catch(() => undefined);
    await this.#end();
  }

  /** One at a time: parts end in order, each when those that need it have ended. */
  #end(): Promise<void> {
    this.#ending = this.#ending.then(async () => {
      await this.#attempt("workers", async () => this.#gate?.close());
      await this.#attempt("gateway", () => this.#gateway.close());
      await this.#attempt("files", () => this.#files.close());
      for (let part = this.#running.pop(); part !== undefined; part = this.#running.pop()) {
        await this.#attempt(part.name, part.end);
      }
    });
    return this.#ending;
  }

  async #attempt(part: string, end: () => Promise<void>): Promise<void> {
    try {
      await end();
    } catch (err) {
      this.#logger.error({ err, part }, "a part of the engine did not close cleanly");
    }
  }

  async #openWorld(): Promise<Omit<World, "close">> {
    const { log, stores, groups, userTopics = null } = this.#parts;
    if (log !== undefined && stores !== undefined) {
      return { log, stores, groups: groups ?? new MemoryGroups(log), userTopics };
    }
    const world = await openWorld(this.#config, {
      clock: this.#clock,
      logger: this.#logger,
      patience: this.#patience,
    });
    this.#running.push({ name: "log", end: () => world.close() });
    return world;
  }

  async #startRegistry({ log, clock, logger }: Base): Promise<RegistryView> {
    const { partitions, senderSettle: settleMs } = this.#config;
    const topic = this.#topics.registry;
    const registry = new RegistryView({ log, clock, logger, topic, partitions });
    this.#registry = registry;
    this.#running.push({ name: "registry view", end: () => registry.close() });
    await this.#patience.untilDone(() => registry.start());
    const entry = { log, clock, topic, registry, name: this.#namespace, signal: this.#stopping.signal };
    await this.#patience.untilDone(() => agreeOnNamespace(entry, { partitions, dev: this.#dev, settleMs }));
    return registry;
  }

  #makeOwnership(base: Base): Ownership {
    const { partitions, cacheMib } = this.#config;
    const topics = this.#topics;
    const isShared = isOnKafka(this.#config);
    const core = this.#parts.core ?? defaultCore;
    const options = { cacheBytesMax: Math.floor((cacheMib * 1_048_576) / partitions) };
    const history = {
      ...base,
      topic: topics.history,
      retentionMs: retentionOf(topics.history, topics, partitions),
      inbox: { topic: topics.inbox, retentionMs: retentionOf(topics.inbox, topics, partitions) },
      gatherMs: HISTORY_GATHER_MS,
      ...(isShared ? { staleMsMax: VIEW_AGE_MS_MAX } : {}),
    };
    const ownership: Ownership = new Ownership({
      ...base,
      topics,
      partitions,
      isShared,
      makeTask: (partition) => new PartitionTask({ ...base, core, topics, partition, partitions, options }),
      makeHistory: (partition) =>
        new HistoryTailer({
          ...history,
          partition,
          isDecided: (before) => ownership.hasSettled(partition, before),
        }),
    });
    this.#ownership = ownership;
    this.#gauges = new PartitionGauges({ ...base, owned: ownership, inbox: topics.inbox });
    this.#running.push({ name: "partitions", end: () => ownership.close() });
    return ownership;
  }

  #openService(base: Base, registry: RegistryView, ownership: Ownership): void {
    const { partitions } = this.#config;
    const topics = this.#topics;
    const lanes = new InboxLanes({ ...base, topic: topics.inbox, partitions });
    this.#running.push({ name: "inbox lanes", end: () => lanes.close() });
    const peers = new Peers(this.#namespace, ANSWER_MS_MAX, () => this.#access.peerToken);
    const clocks = partitionClocks({ owners: ownership, peers });
    const devClock = new DevClock({ ...base, topic: topics.inbox, clocks, dev: this.#dev });
    const states = ownedRunStates({
      partitions,
      sourceOf: (partition) => ownership.taskOf(partition),
      elsewhere: decliningRunStates(lanes, partitions),
      clock: this.#clock,
    });
    const makeId = monotonicFactory();
    const sender = new EventSender({ ...base, lanes, registry, advanceMs: () => devClock.advanceMs, makeId });
    this.#startSources(base, sender);
    this.#gate = new WorkerGate({ ...base, topics, lanes, registry, states });
    const lookup = new RoutedLookup({ owners: ownership, peers });
    const cancel = new RunCancel({ lanes, lookup, clock: this.#clock });
    const workersHere = () => (this.#gate?.apps ?? []).map(({ app, workers }) => ({ app, workers }));
    const functions = new FunctionList({ ...base, registry, owners: ownership, peers, workersHere });
    this.#service = { sender, lookup, cancel, functions, devClock, clocks, eventSchemas: this.#eventSchemas(base) };
  }

  #eventSchemas(base: Base): EventSchemas | null {
    const registry = isOnKafka(this.#config) ? this.#config.schemaRegistry : undefined;
    return registry === undefined ? null : new EventSchemas({ ...base, subjects: new SchemaSubjects(registry) });
  }

  #startSources({ userTopics, ...base }: Base, sender: EventSender): void {
    if (userTopics === null || !isOnKafka(this.#config) || this.#config.sources.length === 0) return;
    const { sources, schemaRegistry } = this.#config;
    const all = new Sources({ ...base, sources, schemaRegistry, userTopics, sender, topics: this.#topics });
    this.#sources = all;
    this.#running.push({ name: "sources", end: () => all.close() });
    all.start();
  }

  #metricsPage(): MetricsPage {
    const meter = this.#meter;
    const page = meter instanceof PrometheusMeter ? meter : new PrometheusMeter();
    const disk = this.#diskUsage();
    return figuresPage(page, {
      meter,
      isReady: () => this.readiness().ready,
      apps: () => this.#gate?.apps ?? [],
      disk: () => disk?.usage ?? null,
      tellMore: (board) => Promise.all([this.#gauges?.tell(board), this.#sources?.tell(board)]),
    });
  }

  /** null: there is no data directory. */
  #diskUsage(): DiskUsageWatch | null {
    const config = this.#config;
    if (this.#parts.stores !== undefined || (!isOnKafka(config) && config.inMemory)) return null;
    return new DiskUsageWatch({ directory: config.dataDir, clock: this.#clock, logger: this.#logger });
  }

  #serviceNow(): Service {
    if (this.#service !== null) return this.#service;
    throw new RequestError("UNAVAILABLE", `the engine cannot serve yet: ${this.readiness().reasons.join("; ")}`);
  }

  /** Where other engines reach this one. */
  #address(): string {
    if (!isOnKafka(this.#config)) return this.url;
    return advertisedUrlOf({ ...this.#config, port: Number(new URL(this.url).port) });
  }
}

function retentionOf(topic: string, topics: Topics, partitions: number): number {
  const spec = coreTopicSpecs(topics, partitions).find(({ name }) => name === topic);
  invariant(spec !== undefined, "it is a core topic", { topic });
  return spec.retentionMs;
}
