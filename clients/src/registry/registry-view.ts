/**
 * What this process knows of the registry: apps, routes, and how far each partition has applied registrations. Follows
 * the registry topic; senders route by it, so it knows how old it is.
 *
 * Invariant: after `settleMs` from a registration on, no `send` that routed by what was before it is answered with
 * success. In shares of `settleMs`, with the 20 s of a namespace on Kafka:
 *
 *   0 ── view was read ── 5 s (1/4): no event is routed by it any more, it is read again
 *                      ── 8 s (2/5): no append begins, RETRY_MS_MAX of the lanes later
 *                      ── 18 s (9/10): Kafka's own tries, of 10 s, have ended; a later answer is no success
 *                      ── 20 s: what is left is for the brokers' clocks
 *
 * Whatever takes longer goes on only if the view, read again, has no other routes: then it is as if just read. So the
 * bound holds for any `settleMs`; a short one costs sends that are slow another look at the registry.
 */
import {
  decodeRegistry,
  Routes,
  SETTLE_MS,
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

/** Whoever follows a log is up to date if no more than this behind, in ms. */
export const VIEW_AGE_MS_MAX = 5_000;
/** Of `settleMs`, counted from when the view was read. */
const SHARES = { route: 1 / 4, append: 2 / 5, answer: 9 / 10 } as const;
/** How long a sender waits for a stale view to catch up, in ms, and how often it looks. */
const FRESH_WAIT = { totalMs: 2_000, stepMs: 50 } as const;
/** Without a pause between: one that was under way, and one of its own. */
const LOOKS_AT_ONCE = 2;
const RECORDS_MAX = 500;

/** What was fixed when the namespace was made. */
export interface Namespace {
  readonly partitions: number;
  readonly dev: boolean;
  /** How long after a registration senders may go on by the routes before it, in ms. */
  readonly settleMs: number;
}

/** What one request is routed by. */
export interface RoutingView {
  /** Every registration up to it was in force on every partition. */
  readonly version: number;
  /** Of the routes. */
  readonly generation: number;
  /** By this process's clock. */
  readonly readAtMs: number;
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
  #routes: Routes | null = null;
  /** Grows with each registration that is seen. */
  #generation = 0;
  #tail: LogTail | null = null;
  #caughtUp = false;
  #isClosed = false;
  /** When the end of the topic was last asked for, of those times when all before it is handled. */
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<boolean> | null = null;

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
    this.#routes ??= new Routes(this.apps);
    return this.#routes.of(eventName);
  }

  /** How long after a registration senders may go on by the routes before it, in ms. */
  get settleMs(): number {
    return this.#namespace?.settleMs ?? SETTLE_MS;
  }

  /** Every registration up to it is applied on every partition; 0 before the first. */
  get inForceVersion(): number {
    return Math.min(...this.#applied);
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

  /** Does this process still follow the registry? */
  get isFresh(): boolean {
    return this.#caughtUp && this.#deps.clock.nowMs() - this.#freshAtMs <= VIEW_AGE_MS_MAX;
  }

  /**
   * Resolves once the view is young enough to route by it, at this moment.
   * @returns what the caller is to have checked by `checkAppend` and `checkAnswer`.
   * @throws TransientError where it stays too old.
   */
  async whenFresh(): Promise<RoutingView> {
    await this.#freshSince(this.#deps.clock.nowMs() - this.settleMs * SHARES.route);
    // Before any route is read: what is newer in those does no harm.
    return { version: this.inForceVersion, generation: this.#generation, readAtMs: this.#freshAtMs };
  }

  /** Resolves once all that was written before this moment is known. @throws TransientError where it cannot be read. */
  catchUp(): Promise<void> {
    return this.#freshSince(this.#deps.clock.nowMs());
  }

  /** Before each try to append what was routed by `view`. @throws TransientError where that must not be done any more. */
  checkAppend(view: RoutingView): Promise<void> | void {
    return this.#check(view, SHARES.append);
  }

  /** After the last append. @throws TransientError where an event may have missed a partition that listens by now. */
  checkAnswer(view: RoutingView): Promise<void> | void {
    return this.#check(view, SHARES.answer);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#tail?.stop();
  }

  #check(view: RoutingView, share: number): Promise<void> | void {
    const nowMs = this.#deps.clock.nowMs();
    if (nowMs - view.readAtMs <= this.settleMs * share) return;
    return this.#checkSince(view, nowMs);
  }

  async #checkSince(view: RoutingView, sinceMs: number): Promise<void> {
    await this.#freshSince(sinceMs);
    if (this.#generation === view.generation) return;
    throw new TransientError("functions were registered while events were being sent; send the same ids again");
  }

  get #freshAtMs(): number {
    return this.#caughtUp ? Math.max(this.#tail?.freshAtMs ?? 0, this.#lookedAtMs) : Number.NEGATIVE_INFINITY;
  }

  /** Resolves once all that was written before `sinceMs` is known. @throws TransientError */
  async #freshSince(sinceMs: number): Promise<void> {
    const { clock } = this.#deps;
    for (let waitedMs = 0, looks = 0; this.#freshAtMs < sinceMs;) {
      if (waitedMs >= FRESH_WAIT.totalMs || this.failure !== null || this.#isClosed) {
        throw new TransientError("what is registered could not be read for too long; try again");
      }
      this.#looking ??= this.#look();
      // Of its own for each pause: all pauses of a call would be too many listeners for one signal.
      const pause = new AbortController();
      const paused = clock.sleep(FRESH_WAIT.stepMs, pause.signal);
      // What looked may have begun before `sinceMs`: then the next look tells, unless the clock was set back meanwhile. One
      // that failed is not repeated at once.
      const hasLooked = await Promise.race([this.#looking, paused.then(() => false)]);
      looks += 1;
      if (hasLooked && looks < LOOKS_AT_ONCE) {
        pause.abort();
      } else {
        await paused;
        waitedMs += FRESH_WAIT.stepMs;
      }
    }
  }

  /** Looks whether there is more than what is known. Never rejects. @returns whether that is known now */
  async #look(): Promise<boolean> {
    const { log, clock, logger, topic } = this.#deps;
    const askedAtMs = clock.nowMs();
    try {
      const { end } = await log.offsets(topic, 0);
      await this.#tail?.reached(end);
      if (this.#isClosed) return false;
      this.#lookedAtMs = Math.max(askedAtMs, this.#lookedAtMs);
      return true;
    } catch (err) {
      logger.debug({ err, topic }, "the end of the registry could not be read");
      return false;
    } finally {
      this.#looking = null;
    }
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
      const { partitions, dev, settleMs } = entry;
      this.#namespace ??= { partitions, dev, settleMs };
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
    this.#generation += 1;
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
