/** The cluster view with patience: what all parts of the Kafka log share. */
import { setMaxListeners } from "node:events";
import { ClosedError } from "../errors/codes.js";
import type { Clock } from "../ports/clock.js";
import type { Logger } from "../ports/logger.js";
import type { BrokerLink } from "./broker-link.js";
import type { ClusterView, CoordinatorKind } from "./cluster-view.js";
import type { Failing, Verdict } from "./kafka-errors.js";
import type { KafkaJsBroker } from "./kafkajs-internals.js";
import { persist } from "./persist.js";

export interface KafkaClientDeps {
  readonly cluster: ClusterView;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long one request may go unanswered, in ms. */
  readonly requestMsMax: number;
  /** How long a call of the port goes on trying, in ms. */
  readonly patienceMs: number;
}

/** What is tried, and for how long where that is not the client's own patience. */
export interface Trying extends Failing {
  readonly patienceMs?: number;
}

export class KafkaClient {
  readonly cluster: ClusterView;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly requestMsMax: number;
  readonly patienceMs: number;
  readonly #closing = new AbortController();

  constructor(deps: KafkaClientDeps) {
    this.cluster = deps.cluster;
    this.clock = deps.clock;
    this.logger = deps.logger;
    this.requestMsMax = deps.requestMsMax;
    this.patienceMs = deps.patienceMs;
    // Each try that pauses listens; there are as many as there are lanes and readers.
    setMaxListeners(0, this.signal);
  }

  /** Aborted when the log is closed. */
  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  /** @throws ClosedError */
  checkOpen(): void {
    if (this.signal.aborted) throw new ClosedError("this log is closed");
  }

  /** Tries go on until the patience ends. @param topics whose leaders are looked up when one is not where we thought */
  persist<T>(
    trying: Trying,
    action: (attempt: number) => Promise<T>,
    topics: readonly string[] = [],
    refresh?: (verdict: Verdict) => void,
  ): Promise<T> {
    const { clock, patienceMs, signal } = this;
    return this.#unlessClosed(
      persist(
        {
          clock,
          patienceMs,
          signal,
          ...trying,
          refresh: async (verdict) => {
            refresh?.(verdict);
            if (verdict === "leader") await this.cluster.refresh(topics);
          },
        },
        action,
      ),
    );
  }

  /** Each try on another broker: one may be cut off from the controller. */
  onAnyBroker<T>(name: string, trying: Trying, request: (broker: KafkaJsBroker) => Promise<T>): Promise<T> {
    return this.persist(trying, async () => {
      const link = this.cluster.anyLink();
      try {
        return await link.ask(name, this.requestMsMax, request);
      } catch (error) {
        link.distrust();
        throw error;
      }
    });
  }

  /** On the coordinator of a group or transactional id, which is looked up again when it moved. */
  onCoordinator<T>(
    { kind, id }: { readonly kind: CoordinatorKind; readonly id: string },
    trying: Trying,
    request: (link: BrokerLink, attempt: number) => Promise<T>,
  ): Promise<T> {
    return this.persist(
      trying,
      async (attempt) => request(await this.cluster.coordinatorLink(kind, id), attempt),
      [],
      (verdict) => {
        if (verdict !== "retry") this.cluster.forgetCoordinator(kind, id);
      },
    );
  }

  /** Ends waiting and trying, and all connections. Idempotent. */
  close(): void {
    if (this.signal.aborted) return;
    this.#closing.abort();
    this.cluster.close();
  }

  async #unlessClosed<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      this.checkOpen();
      throw error;
    }
  }
}
