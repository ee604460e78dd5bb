/**
 * This process's part in a namespace's log: one set of connections, one registry view and one set of lanes for all who
 * send or work in it here. Opened by the first who asks, closed when the last one lets go.
 *
 * Invariants: opening goes on until it succeeds, and says what it waits for; only what no waiting mends ends it. What
 * the engines fixed for the namespace (partitions, dev) is read from the registry, never guessed.
 */
import {
  type Clock,
  type Groups,
  InboxLanes,
  type Log,
  type Namespace,
  NO_METER,
  RegistryView,
  SystemClock,
  type Topics,
  topicsOf,
} from "@eddy/clients";
import { ClosedError, TransientError } from "@eddy/clients/errors";
import type { Logger } from "../define/logger.js";
import type { KafkaSettings } from "./kafka-options.js";
import { readNamespace } from "./read-namespace.js";

export interface LogAccess {
  readonly log: Log;
  readonly groups: Groups;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly topics: Topics;
  /** Caught up. */
  readonly registry: RegistryView;
  readonly lanes: InboxLanes;
}

export type SharedLog = Log & Groups;
/** @throws TransientError while no broker answers; ConfigError where none ever will. */
export type OpenLog = (settings: KafkaSettings, dev: boolean, logger: Logger) => Promise<SharedLog>;

/** One user's hold on an access. */
export interface AccessHold {
  /** Resolves when the namespace can be used, however long that takes. @throws ConfigError; ClosedError after `release`. */
  ready(): Promise<LogAccess>;
  /** What `ready` waits for, in words; null once it does not wait any more. */
  readonly waitingFor: string | null;
  /** Closes the connections where nobody else holds them. Idempotent. */
  release(): Promise<void>;
}

/** Pauses while no engine has made the namespace, in ms: short at first, as both may be starting together. */
const NAMESPACE_PAUSE_MS = { min: 100, max: 2_000 } as const;
const BROKER_PAUSE_MS = 1_000;

/** Lazily, so that those who use the gateway never load a Kafka client. */
const openKafka: OpenLog = async ({ brokers, ssl, sasl, clientId }, dev, logger) => {
  const { KafkaLog } = await import("@eddy/clients/kafka");
  return KafkaLog.open({ brokers, ssl, sasl, clientId, dev, clock: new SystemClock(), logger });
};

export class LogAccesses {
  readonly #openLog: OpenLog;
  readonly #clock: Clock;
  readonly #shared: Shared[] = [];

  constructor(openLog: OpenLog = openKafka, clock: Clock = new SystemClock()) {
    this.#openLog = openLog;
    this.#clock = clock;
  }

  hold(settings: KafkaSettings, logger: Logger): AccessHold {
    let shared = this.#shared.find((each) => isSame(each.settings, settings));
    if (shared === undefined) {
      shared = new Shared(settings, this.#openLog, this.#clock, logger);
      this.#shared.push(shared);
    }
    return this.#holdOn(shared);
  }

  #holdOn(shared: Shared): AccessHold {
    const released = new AbortController();
    const closed = new Promise<never>((_, reject) => {
      released.signal.addEventListener("abort", () => reject(new ClosedError("the connections to Kafka are closed")));
    });
    closed.catch(() => undefined); // Heard only by those who wait in `ready`.
    shared.holders += 1;
    return {
      ready: () => Promise.race([closed, shared.opened()]),
      get waitingFor() {
        return shared.waitingFor;
      },
      release: async () => {
        if (released.signal.aborted) return;
        released.abort();
        shared.holders -= 1;
        if (shared.holders > 0) return;
        this.#shared.splice(this.#shared.indexOf(shared), 1);
        await shared.close();
      },
    };
  }
}

/** Of this process. */
export const LOG_ACCESSES = new LogAccesses();

class Shared {
  readonly settings: KafkaSettings;
  holders = 0;
  waitingFor: string | null;
  readonly #openLog: OpenLog;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #closing = new AbortController();
  #opened: Promise<LogAccess> | null = null;

  constructor(settings: KafkaSettings, openLog: OpenLog, clock: Clock, logger: Logger) {
    this.settings = settings;
    this.#openLog = openLog;
    this.#clock = clock;
    this.#logger = logger;
    this.waitingFor = `a broker at ${settings.brokers.join(", ")}`;
  }

  opened(): Promise<LogAccess> {
    if (this.#opened === null) {
      const opening = this.#open();
      this.#opened = opening;
      // What cannot be now may be after somebody changed settings: who asks later tries again.
      opening.catch(() => (this.#opened = null));
    }
    return this.#opened;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const access = await this.#opened?.catch(() => null);
    if (access === undefined || access === null) return;
    await access.lanes.close();
    await access.registry.close();
    await access.log.close();
  }

  async #open(): Promise<LogAccess> {
    const { namespace } = this.settings;
    const topics = topicsOf(namespace);
    // Nothing is made with this one; how topics are to be made is known from the namespace only.
    let log = await this.#connect(false);
    let registry: RegistryView | null = null;
    try {
      const { partitions, dev } = await this.#namespace(log, topics);
      if (dev) {
        await log.close();
        log = await this.#connect(true);
      }
      const base = { log, clock: this.#clock, logger: this.#logger, partitions };
      registry = new RegistryView({ ...base, topic: topics.registry });
      await registry.start();
      const lanes = new InboxLanes({ ...base, meter: NO_METER, topic: topics.inbox });
      this.waitingFor = null;
      return { ...base, groups: log, topics, registry, lanes };
    } catch (error) {
      await registry?.close();
      await log.close();
      throw error;
    }
  }

  async #connect(dev: boolean): Promise<SharedLog> {
    const { brokers } = this.settings;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        return await this.#openLog(this.settings, dev, this.#logger);
      } catch (err) {
        if (!(err instanceof TransientError)) throw err;
        this.waitingFor = `a broker at ${brokers.join(", ")}: ${err.message}`;
        this.#logger.warn({ brokers, reason: err.message }, "no Kafka broker answers; trying again");
        await this.#clock.sleep(BROKER_PAUSE_MS, signal);
      }
    }
    throw new ClosedError("the connections to Kafka are closed");
  }

  async #namespace(log: Log, topics: Topics): Promise<Namespace> {
    const { brokers, namespace } = this.settings;
    const { signal } = this.#closing;
    const { min, max } = NAMESPACE_PAUSE_MS;
    for (let pauseMs: number = min; !signal.aborted; pauseMs = Math.min(2 * pauseMs, max)) {
      try {
        const found = await readNamespace(log, topics.registry);
        if (found !== null) return found;
        this.waitingFor = `an engine: none has made the namespace ${namespace} yet`;
        const message = `no engine has made the namespace ${namespace} yet; waiting for one`;
        if (pauseMs === min) this.#logger.warn({ brokers, namespace }, message);
      } catch (err) {
        if (!(err instanceof TransientError)) throw err;
        this.#logger.warn({ err, namespace }, "the namespace cannot be read yet; trying again");
      }
      await this.#clock.sleep(pauseMs, signal);
    }
    throw new ClosedError("the connections to Kafka are closed");
  }
}

/** Secrets are compared by identity: what is not the same object is not the same. */
function isSame(a: KafkaSettings, b: KafkaSettings): boolean {
  const places = [a, b].map(({ brokers }) => [...brokers].sort().join(","));
  const isSameCluster = places[0] === places[1] && a.ssl === b.ssl && a.sasl === b.sasl;
  return isSameCluster && a.namespace === b.namespace && a.clientId === b.clientId;
}
