/** All of one app's work: its steps partitions, its signals, its workers. */
import type { Clock } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { Logger } from "../ports/logger.js";
import type { Meter } from "../ports/meter.js";
import type { Topics } from "../topics.js";
import { AbortSignals } from "./abort-signals.js";
import { HeartbeatLedger } from "./heartbeat-ledger.js";
import type { InboxLanes } from "../send/inbox-lanes.js";
import type { RunStates } from "./run-states.js";
import { StepsConsumer } from "./steps-consumer.js";
import { CLOSE_CODES, type WorkerLink } from "./worker-link.js";
import { WorkerPool } from "./worker-pool.js";
import { WorkerSession } from "./worker-session.js";

export interface DispatcherDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly topics: Topics;
  readonly lanes: InboxLanes;
  readonly states: RunStates;
}

export class StepDispatcher {
  readonly #app: string;
  readonly #deps: DispatcherDeps;
  readonly #pool = new WorkerPool();
  readonly #aborts: AbortSignals;
  readonly #heartbeats: HeartbeatLedger;
  readonly #consumers: readonly StepsConsumer[];

  /** The app's topics must exist. */
  constructor(app: string, deps: DispatcherDeps) {
    this.#app = app;
    this.#deps = deps;
    const { topics, lanes } = deps;
    this.#heartbeats = new HeartbeatLedger({ app, ...deps });
    this.#aborts = new AbortSignals({ ...deps, topic: topics.signals(app), pool: this.#pool });
    this.#consumers = Array.from(
      { length: lanes.partitions },
      (_, partition) =>
        new StepsConsumer({
          ...deps,
          app,
          topic: topics.steps(app),
          inbox: topics.inbox,
          partition,
          pool: this.#pool,
          aborts: this.#aborts,
        }),
    );
  }

  /** Resolves when every partition is consumed. Once. */
  async start(): Promise<void> {
    await this.#aborts.start();
    await Promise.all(this.#consumers.map((consumer) => consumer.start()));
  }

  /** Takes a worker in. One with the same id is replaced: its connection is closed, its work goes over. */
  attach(link: WorkerLink, { workerId, slots }: { workerId: string; slots: number }): WorkerSession {
    const worker = { id: workerId, link, slots, inFlight: new Map(), isDraining: false };
    const session = new WorkerSession(
      { ...this.#deps, app: this.#app, pool: this.#pool, heartbeats: this.#heartbeats },
      worker,
    );
    this.#pool.add(worker)?.link.close(CLOSE_CODES.replaced, "this worker connected again");
    return session;
  }

  get workers(): number {
    return this.#pool.size;
  }
  get inFlight(): number {
    return this.#pool.inFlight;
  }
  /** Why a partition is no longer consumed; null while all are. */
  get failure(): Error | null {
    return this.#consumers.find(({ failure }) => failure !== null)?.failure ?? null;
  }

  /** Hands out nothing more, closes every connection, writes the last heartbeats. Idempotent. */
  async stop(): Promise<void> {
    this.#pool.close();
    for (const { link } of this.#pool.workers) link.close(CLOSE_CODES.goingAway, "the engine stops");
    await Promise.all(this.#consumers.map((consumer) => consumer.stop()));
    await Promise.all([this.#aborts.stop(), this.#heartbeats.stop()]);
  }
}
