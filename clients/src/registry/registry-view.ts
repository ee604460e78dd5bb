/**
 * What this process knows of the registry: apps, routes, and how far each partition has applied registrations. Follows
 * the registry topic; senders route by it, so it knows how old it is (DESIGN.md section 4: a view older than 5 s does
 * not send).
 */
import {
  decodeRegistry,
  NO_ROUTE,
  routesOf,
  type EventRoute,
  type RegisteredApp,
  type RegistryEntry,
} from "@eddy/schemas";
import { TransientError } from "../errors/codes.js";
import type { Clock } from "../ports/clock.js";
import type { Log, LogRecord } from "../ports/log.js";
import type { Logger } from "../ports/logger.js";
import { tailOfWhole, type LogTail } from "./log-tail.js";

export interface RegistryViewDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Name of the registry topic. */
  readonly topic: string;
  /** Partitions of the inbox. */
  readonly partitions: number;
}

/** A view older than this does not send, in ms. */
export const VIEW_AGE_MS_MAX = 5_000;
/** How long a sender waits for a stale view to catch up, in ms, and how often it looks. */
const FRESH_WAIT = { totalMs: 2_000, stepMs: 50 } as const;
const RECORDS_MAX = 500;

/** What was fixed when the namespace was made. */
export interface Namespace {
  readonly partitions: number;
  readonly dev: boolean;
}

interface Waiter {
  readonly app: string;
  readonly digest: string;
  /** The registration with this digest, once seen; a later one of the app does not take it back. */
  seen: RegisteredApp | null;
  resolve(app: RegisteredApp): void;
}

export class RegistryView {
  readonly #deps: RegistryViewDeps;
  readonly #apps = new Map<string, RegisteredApp>();
  /** By partition: every registration up to this version is applied there. */
  readonly #applied: number[];
  readonly #waiters = new Set<Waiter>();
  #namespace: Namespace | null = null;
  #routes: ReadonlyMap<string, EventRoute> | null = null;
  #tail: LogTail | null = null;
  #caughtUp = false;

  constructor(deps: RegistryViewDeps) {
    this.#deps = deps;
    this.#applied = new Array<number>(deps.partitions).fill(0);
  }

  /** Resolves when all that the registry held at the call is known. Once. @throws what ended the tail. */
  async start(): Promise<void> {
    const onRecords = (records: readonly LogRecord[]): void => this.#take(records);
    const { tail, end } = await tailOfWhole({ ...this.#deps, recordsMax: RECORDS_MAX, onRecords });
    this.#tail = tail;
    tail.start();
    await tail.reached(end);
    this.#caughtUp = true;
  }

  get isCaughtUp(): boolean {
    return this.#caughtUp;
  }
  /** Why the view no longer follows; null while it does. */
  get failure(): Error | null {
    return this.#tail?.failure ?? null;
  }

  /** null: none was written yet. */
  get namespace(): Namespace | null {
    return this.#namespace;
  }

  /** Sorted by app. */
  get apps(): readonly RegisteredApp[] {
    return [...this.#apps.keys()].sort().map((app) => this.#apps.get(app) as RegisteredApp);
  }
  app(name: string): RegisteredApp | null {
    return this.#apps.get(name) ?? null;
  }

  /** The route of an event name by this view; that of a name nobody listens to is empty. */
  route(eventName: string): EventRoute {
    this.#routes ??= routesOf(this.apps);
    return this.#routes.get(eventName) ?? NO_ROUTE;
  }

  /** Partitions that have not applied registration `version` yet, ascending. */
  laggingAt(version: number): readonly number[] {
    return this.#applied.flatMap((applied, partition) => (applied < version ? [partition] : []));
  }
  /** Is this configuration the app's newest, and applied everywhere? */
  isInForce(app: string, digest: string): boolean {
    const known = this.#apps.get(app);
    return known?.digest === digest && this.laggingAt(known.version).length === 0;
  }

  /**
   * Resolves when the app's configuration of this digest has been numbered and applied by every partition, also where
   * another configuration of the app follows at once.
   * @throws TransientError when `signal` aborts before; its message names who lags.
   */
  waitUntilInForce(app: string, digest: string, signal: AbortSignal): Promise<RegisteredApp> {
    return new Promise((resolve, reject) => {
      const known = this.#apps.get(app);
      const waiter: Waiter = {
        app,
        digest,
        seen: known?.digest === digest ? known : null,
        resolve: (registered) => {
          signal.removeEventListener("abort", giveUp);
          resolve(registered);
        },
      };
      const giveUp = (): void => {
        this.#waiters.delete(waiter);
        reject(this.#notInForce(waiter));
      };
      if (signal.aborted) return giveUp();
      signal.addEventListener("abort", giveUp, { once: true });
      this.#waiters.add(waiter);
      this.#serveWaiters();
    });
  }

  /** Resolves while the view is young enough to send by. @throws TransientError where it stays too old. */
  async whenFresh(): Promise<void> {
    const { clock } = this.#deps;
    for (let waitedMs = 0; !this.isFresh; waitedMs += FRESH_WAIT.stepMs) {
      if (waitedMs >= FRESH_WAIT.totalMs || this.failure !== null) {
        throw new TransientError(`the registry was last read ${VIEW_AGE_MS_MAX} ms ago or more; try again`);
      }
      await clock.sleep(FRESH_WAIT.stepMs);
    }
  }

  async close(): Promise<void> {
    await this.#tail?.stop();
  }

  /** Is the view young enough to send by, at this moment? */
  get isFresh(): boolean {
    const freshAtMs = this.#tail?.freshAtMs ?? Number.NEGATIVE_INFINITY;
    return this.#caughtUp && this.#deps.clock.nowMs() - freshAtMs <= VIEW_AGE_MS_MAX;
  }

  #take(records: readonly LogRecord[]): void {
    for (const { key, value, offset: at } of records) {
      if (value === null) continue;
      try {
        this.#apply(decodeRegistry(value));
      } catch (err) {
        this.#deps.logger.error({ err, key, offset: at }, "a registry record does not decode, it is left out");
      }
    }
    this.#serveWaiters();
  }

  #apply(entry: RegistryEntry): void {
    if (entry.kind === "applied") {
      const { partition, version } = entry;
      if (partition < this.#applied.length && version > (this.#applied[partition] ?? 0)) {
        this.#applied[partition] = version;
      }
      return;
    }
    if (entry.kind === "namespace") {
      this.#namespace ??= { partitions: entry.partitions, dev: entry.dev };
      return;
    }
    const { config } = entry;
    for (const waiter of this.#waiters) {
      if (waiter.app === config.app && waiter.digest === config.digest) waiter.seen = config;
    }
    const known = this.#apps.get(config.app);
    // A takeover publishes its effects again: an older registration never replaces a newer one.
    if (known !== undefined && known.version >= config.version) return;
    this.#apps.set(config.app, config);
    this.#routes = null;
  }

  #serveWaiters(): void {
    for (const waiter of this.#waiters) {
      if (waiter.seen === null || this.laggingAt(waiter.seen.version).length > 0) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(waiter.seen);
    }
  }

  #notInForce({ app, seen }: Waiter): TransientError {
    const what =
      seen === null
        ? "has not been numbered by partition 0"
        : `is not applied by the partitions ${this.laggingAt(seen.version).join(", ")}`;
    return new TransientError(`the registration of ${app} ${what}`, { app });
  }
}
