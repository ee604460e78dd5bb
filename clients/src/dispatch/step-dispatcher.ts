/**
 * All of one app's work in this process: its workers, its signals, and those of its steps partitions that the group of
 * all who hand out the app's steps gives to this process. A process without workers of the app is no member.
 */
import { functionIdOf, type AppConfig } from "@eddy/schemas";
import type { Clock } from "../ports/clock.js";
import type { Groups } from "../ports/groups.js";
import type { Log } from "../ports/log.js";
import type { Logger } from "../ports/logger.js";
import type { Meter } from "../ports/meter.js";
import type { Topics } from "../topics.js";
import type { RegistryView } from "../registry/registry-view.js";
import { AbortSignals } from "./abort-signals.js";
import { AbsentFunctions } from "./absent-functions.js";
import { GivenBack } from "./decline.js";
import { GroupMembership } from "./group-membership.js";
import { HeartbeatLedger } from "./heartbeat-ledger.js";
import type { InboxLanes } from "../send/inbox-lanes.js";
import type { RunStates } from "./run-states.js";
import { StepTimes } from "./step-times.js";
import { StepsConsumer } from "./steps-consumer.js";
import { BoundFrames, type Bounds } from "./bound-frames.js";
import { CLOSE_CODES, type WorkerLink } from "./worker-link.js";
import { WorkerPool } from "./worker-pool.js";
import { WorkerSession } from "./worker-session.js";

export interface DispatcherDeps {
  readonly log: Log;
  /** Which partitions of an app's steps are this process's. */
  readonly groups: Groups;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly topics: Topics;
  readonly lanes: InboxLanes;
  readonly states: RunStates;
  readonly registry: Pick<RegistryView, "app" | "catchUp">;
}

/** What a worker says of itself. */
export interface WorkerGreeting {
  readonly workerId: string;
  readonly slots: number;
  readonly config: AppConfig;
}

export class StepDispatcher {
  readonly #app: string;
  readonly #deps: DispatcherDeps;
  readonly #pool: WorkerPool;
  readonly #aborts: AbortSignals;
  readonly #heartbeats: HeartbeatLedger;
  readonly #givenBack: GivenBack;
  readonly #absent: AbsentFunctions;
  readonly #membership: GroupMembership;
  readonly #times: StepTimes;

  /** The app's topics must exist. */
  constructor(app: string, deps: DispatcherDeps) {
    this.#app = app;
    this.#deps = deps;
    const { topics, lanes } = deps;
    const pool = new WorkerPool(() => {
      this.#membership.want(pool.active > 0);
      this.#absent.onWorkersChanged();
    });
    const givenBack = new GivenBack({ app, ...deps });
    const absent = new AbsentFunctions({ ...deps, app, pool, givenBack });
    const aborts = new AbortSignals({ ...deps, topic: topics.signals(app), pool });
    const topic = topics.steps(app);
    const times = new StepTimes(deps);
    this.#times = times;
    this.#pool = pool;
    this.#aborts = aborts;
    this.#givenBack = givenBack;
    this.#absent = absent;
    this.#heartbeats = new HeartbeatLedger({ app, ...deps });
    this.#membership = new GroupMembership({
      ...deps,
      spec: { group: topics.workerGroup(app), topic, partitions: lanes.partitions, address: null },
      workOn: (partition, member) =>
        new StepsConsumer({
          ...{ ...deps, app, topic, inbox: topics.inbox, partition },
          ...{ member, pool, aborts, absent, givenBack, times },
        }),
    });
  }

  /** Resolves when workers may attach: all aborts so far are known. Once. */
  async start(): Promise<void> {
    await this.#aborts.start();
  }

  /** Takes a worker in. One with the same id is replaced: its connection is closed, its work goes over. */
  attach(link: WorkerLink, { workerId, slots, config }: WorkerGreeting): WorkerSession {
    const functions = new Set(config.functions.map(({ id }) => functionIdOf(this.#app, id)));
    const worker = { id: workerId, link, slots, functions, inFlight: new Map(), isDraining: false };
    const session = new WorkerSession(
      {
        ...{ ...this.#deps, app: this.#app, pool: this.#pool, heartbeats: this.#heartbeats },
        ...{ aborts: this.#aborts, givenBack: this.#givenBack, times: this.#times },
      },
      worker,
    );
    this.#pool.add(worker)?.link.close(CLOSE_CODES.replaced, "this worker connected again");
    return session;
  }

  /** In front of a session: frames about runs that are not the app's do not get through. */
  bound(session: WorkerSession, { appOfRun }: Bounds): BoundFrames {
    const { worker } = session;
    const { slots, link } = worker;
    return new BoundFrames({
      ...{ app: this.#app, appOfRun, slots, link, logger: this.#deps.logger },
      isKnown: (runId) => this.#pool.hasHandedOut(runId) || worker.inFlight.has(runId),
      receive: (frame) => session.receive(frame),
    });
  }

  get workers(): number {
    return this.#pool.size;
  }
  /** Invocations that workers may have at once; free ones: of workers that take requests. */
  get slots(): { readonly all: number; readonly free: number } {
    return this.#pool.slots;
  }
  get inFlight(): number {
    return this.#pool.inFlight;
  }
  /** Of the app's steps, ascending: those whose requests this process hands out. */
  get partitions(): readonly number[] {
    return this.#membership.partitions;
  }
  /** Why a partition is not consumed although it is this process's, or none can be; null while all is well. */
  get failure(): Error | null {
    return this.#membership.failure;
  }

  /**
   * Hands out nothing more and leaves the group at once, so that others take over; what workers have goes on, with
   * reports, heartbeats and aborts. For good. Resolves when the group has heard of it.
   */
  retire(): Promise<void> {
    return this.#membership.stop();
  }

  /**
   * Hands out nothing more, closes every connection, leaves the group, writes what was given back and the last
   * heartbeats. Idempotent.
   */
  async stop(): Promise<void> {
    this.#pool.close();
    for (const { link } of this.#pool.workers) link.close(CLOSE_CODES.goingAway, "the engine stops");
    await this.#membership.stop();
    this.#absent.stop();
    await this.#givenBack.written();
    await Promise.all([this.#aborts.stop(), this.#heartbeats.stop()]);
  }
}
