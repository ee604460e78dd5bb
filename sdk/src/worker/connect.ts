/** `connect`: workers of one or several apps, over the gateway or Kafka, in this process. */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { appConfig } from "@eddy/schemas";
import { checkBaseUrl, type AnyEddy } from "../define/client.js";
import { EddyFunction, repeatedId } from "../define/eddy-function.js";
import { ConnectError, DefinitionError } from "../errors/eddy-error.js";
import { SYSTEM_CLOCK } from "../step/clock.js";
import { LOG_ACCESSES } from "../kafka/log-access.js";
import { readKafkaOptions, type KafkaOptions, type KafkaSettings } from "../kafka/kafka-options.js";
import type { EventSender } from "../protocol/event-sender.js";
import { SealingTransport } from "../sealing/sealing-transport.js";
import { GatewayTransport } from "./gateway-transport.js";
import { KafkaTransport } from "./kafka-transport.js";
import { onShutdownSignals, type ShutdownSignal } from "./shutdown-signals.js";
import { registerSchemas } from "./register-schemas.js";
import type { WorkerTransport } from "./transport.js";
import { Worker } from "./worker.js";

/** Options of `connect`. */
export interface ConnectOptions {
  /** Apps with their functions; connecting replaces an app's former list whole. */
  readonly apps: readonly { readonly client: AnyEddy; readonly functions: readonly EddyFunction[] }[];
  /** Where the gateway is. Default: that of each client, unless it has Kafka. */
  readonly baseUrl?: string | undefined;
  /** Work over Kafka directly; goes before `baseUrl`. Default: that of each client, unless `baseUrl` is given. */
  readonly kafka?: KafkaOptions | undefined;
  /** Runs worked on at once, per app: 1 to 10,000, default 100. */
  readonly slots?: number | undefined;
  /** Inngest's name for `slots`. */
  readonly maxWorkerConcurrency?: number | undefined;
  /** On SIGTERM and SIGINT, `close()`; a second signal ends the process as usual. Default: true. */
  readonly handleShutdownSignals?: boolean | undefined;
  /** Name of this process among the app's workers, unique. Default: host name, process id and a random part. */
  readonly instanceId?: string | undefined;
  /** Suspended handlers kept in memory per app, so that their next invocation need not replay. Default 1,000. */
  readonly suspendedMax?: number | undefined;
  /** How long `close()` waits for running steps, in ms. Default 25,000. */
  readonly drainMs?: number | undefined;
  /**
   * How long, in ms, a handler that waits for a step may do other work in parallel outside of steps before its invocation
   * ends; a step that it asks for later waits for the next invocation. Default 500.
   */
  readonly idleGraceMs?: number | undefined;
}

/** As in Inngest. */
export type ConnectionState = "CONNECTING" | "ACTIVE" | "RECONNECTING" | "CLOSING" | "CLOSED";

/** A running worker. */
export interface WorkerConnection {
  /** RECONNECTING while at least one app has no connection. */
  readonly state: ConnectionState;
  /** Takes no more work, lets running steps end, and closes. Idempotent; never rejects. */
  close(): Promise<void>;
  /** Resolves when closed, for whatever reason. */
  readonly closed: Promise<void>;
}

interface ConnectedApp {
  readonly client: AnyEddy;
  readonly functions: readonly EddyFunction[];
  readonly sender: EventSender;
}

/** How long a replayed handler may do nothing visible before its record counts as left; see NonDeterminismError. */
const REPLAY_GRACE_MS = 10_000;
const DEFAULTS = { slots: 100, suspendedMax: 1_000, drainMs: 25_000, idleGraceMs: 500 } as const;

/**
 * Starts to work on the apps' functions. Resolves when they are registered and in force everywhere; waits for a gateway,
 * for Kafka's brokers or for the first engine of a namespace that is not there yet, and says so in the log.
 * @throws ConnectError with the gateway's code when it refuses an app; WORKER_CLOSED when SIGTERM or SIGINT came before it
 *   was connected; SCHEMA_INCOMPATIBLE when the schema registry refuses
 *   the schema of an event, in its words, SCHEMA_REFUSED when it refuses it for another reason. DefinitionError for options
 *   that are not valid.
 * @example
 * ```ts
 * import { connect, Eddy } from "@eddy/sdk";
 *
 * const eddy = new Eddy({ id: "shop" });
 * const greet = eddy.createFunction({ id: "greet", triggers: [{ event: "user/joined" }] }, ({ event }) => event.data.name);
 * const worker = await connect({ apps: [{ client: eddy, functions: [greet] }], slots: 20 });
 * await worker.closed; // SIGTERM and SIGINT close it: running steps end, the rest goes on elsewhere.
 * ```
 */
export async function connect(options: ConnectOptions): Promise<WorkerConnection> {
  const connection = new Connection(options);
  await connection.start();
  return connection;
}

class Connection implements WorkerConnection {
  readonly #workers: readonly Worker[];
  /** What the apps' steps send with. */
  readonly #senders: readonly EventSender[];
  /** Apps without a connection. */
  readonly #away = new Set<string>();
  readonly closed: Promise<void>;
  #state: ConnectionState = "CONNECTING";
  #resolveClosed: () => void = () => undefined;
  #closing: Promise<void> | null = null;
  /** What closes it before or while it is connected. */
  #signal: ShutdownSignal | null = null;
  readonly #ending = new AbortController();
  readonly #apps: readonly ConnectedApp[];
  #forgetSignals: () => void = () => undefined;

  constructor(options: ConnectOptions) {
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
    const workerId = options.instanceId ?? `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
    const apps = readApps(options).map((app) => ({ ...app, sender: app.client.openSender() }));
    this.#apps = apps;
    this.#senders = apps.map(({ sender }) => sender);
    this.#workers = apps.map((app) => this.#worker(app, workerId, options));
    if (options.handleShutdownSignals ?? true) {
      this.#forgetSignals = onShutdownSignals((signal) => {
        this.#signal = signal;
        void this.close();
      });
    }
  }

  get state(): ConnectionState {
    return this.#state === "ACTIVE" && this.#away.size > 0 ? "RECONNECTING" : this.#state;
  }

  async start(): Promise<void> {
    try {
      await this.#registerSchemas();
      await Promise.all(this.#workers.map((worker) => worker.start()));
    } catch (error) {
      // Whatever a signal made fail is told as that.
      const signal = this.#signal;
      await this.close();
      throw signal === null ? error : endedBy(signal);
    }
    if (this.#signal === null) {
      this.#state = "ACTIVE";
      return;
    }
    await this.close();
    throw endedBy(this.#signal);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #registerSchemas(): Promise<void> {
    const { signal } = this.#ending;
    for (const { client, functions } of this.#apps) {
      const schemas = client.eventSchemas();
      if (schemas === null) continue;
      const types = [...schemas.types, ...functions.flatMap(({ triggerTypes }) => [...triggerTypes.values()])];
      await registerSchemas({ app: client.id, registry: schemas.registry, types, logger: client.logger, signal });
    }
  }

  async #close(): Promise<void> {
    this.#state = "CLOSING";
    this.#ending.abort();
    await Promise.all(this.#workers.map((worker) => worker.close()));
    await Promise.all(this.#senders.map((sender) => sender.close()));
    this.#forgetSignals();
    this.#state = "CLOSED";
    this.#resolveClosed();
  }

  #worker({ client, functions, sender }: ConnectedApp, workerId: string, options: ConnectOptions): Worker {
    const { logger, id: app } = client;
    return new Worker(
      {
        app,
        functions,
        workerId,
        slots: wholeNumber("slots", options.slots ?? options.maxWorkerConcurrency ?? DEFAULTS.slots, 10_000),
        suspendedMax: wholeNumber("suspendedMax", options.suspendedMax ?? DEFAULTS.suspendedMax, 10_000_000),
        drainMs: options.drainMs ?? DEFAULTS.drainMs,
        idleGraceMs: options.idleGraceMs ?? DEFAULTS.idleGraceMs,
        replayGraceMs: REPLAY_GRACE_MS,
      },
      {
        transport: sealed(transportOf(client, options), client),
        logger,
        clock: SYSTEM_CLOCK,
        send: (events, idOf) => sender.send(events, idOf),
        onConnected: () => this.#away.delete(app),
        onDisconnected: () => this.#away.add(app),
      },
    );
  }
}

function sealed(transport: WorkerTransport, { sealing, logger }: AnyEddy): WorkerTransport {
  return sealing === null ? transport : new SealingTransport(transport, sealing, logger);
}

function transportOf(client: AnyEddy, options: ConnectOptions): WorkerTransport {
  const { logger } = client;
  const settings = kafkaOf(client, options);
  if (settings !== null) {
    const { brokers, namespace } = settings;
    const access = LOG_ACCESSES.hold(settings, logger);
    return new KafkaTransport({ access, place: { namespace, brokers }, clock: SYSTEM_CLOCK, logger });
  }
  const url = socketUrl(options.baseUrl === undefined ? client.baseUrl : checkBaseUrl(options.baseUrl));
  return new GatewayTransport({ url, headers: client.authorization(), clock: SYSTEM_CLOCK, logger });
}

function kafkaOf(client: AnyEddy, { kafka, baseUrl }: ConnectOptions): KafkaSettings | null {
  if (kafka !== undefined) return readKafkaOptions(kafka);
  return baseUrl === undefined ? client.kafka : null;
}

function endedBy(signal: ShutdownSignal): ConnectError {
  return new ConnectError("WORKER_CLOSED", `connect was ended by ${signal} before it was connected`);
}

/** @throws DefinitionError for what is no function, functions whose ids repeat, or no app at all. */
function readApps({ apps }: ConnectOptions): ConnectOptions["apps"] {
  if (apps.length === 0) throw invalid("apps", "expected at least one { client, functions }");
  for (const [i, { client, functions }] of apps.entries()) {
    const stray = functions.findIndex((fn) => !isFunction(fn));
    if (stray >= 0) throw invalid(`apps[${i}].functions[${stray}]`, "expected what createFunction returns");
    const twice = repeatedId(functions);
    if (twice !== undefined)
      throw invalid(`apps[${i}].functions`, `the function ${JSON.stringify(twice)} is given twice`);
    const parsed = appConfig.safeParse({ app: client.id, functions: functions.map(({ config }) => config) });
    if (parsed.success) continue;
    const [issue] = parsed.error.issues;
    const at = issue === undefined || issue.path.length === 0 ? "" : `${issue.path.join(".")}: `;
    throw invalid(`apps[${i}]`, `${at}${issue?.message ?? "is not valid"}`);
  }
  const repeated = repeatedId(apps.map(({ client }) => client));
  if (repeated !== undefined) throw invalid("apps", `the app ${JSON.stringify(repeated)} is given twice`);
  return apps;
}

/** Also one of another copy of this package. */
function isFunction(given: unknown): boolean {
  return given instanceof EddyFunction || (typeof given === "object" && given !== null && "config" in given);
}

function wholeNumber(path: string, given: number, max: number): number {
  if (Number.isInteger(given) && given >= 1 && given <= max) return given;
  throw invalid(path, `expected a whole number from 1 to ${max}, got ${given}`);
}

function invalid(path: string, message: string): DefinitionError {
  return new DefinitionError("CLIENT_INVALID", `connect: ${path}: ${message}`, { path });
}

function socketUrl(baseUrl: string): string {
  return `${baseUrl.replace(/^http/, "ws")}/v1/connect`;
}
