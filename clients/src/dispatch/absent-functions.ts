/**
 * Requests whose function no worker here has although the app's newest registration does: in a rolling deploy this
 * process still has the former version alone, and the new one is at another gateway, is another member of the group, or
 * is about to connect. Given to a worker here, each would cost the run one of its attempts. So they go back to the
 * log, to come out again where the partition is by then; no slot is taken for them, and nobody waits behind them.
 *
 *   delivery committed --hold--> held --its pause is over, or its function is here, or the partition is not--> given back
 *
 * Invariants: pauses of one run grow from PAUSE_MS.min to PAUSE_MS.max, which is below the lease, so that at most one
 * further invocation is made per pause. ABSENT_MS_MAX after a run was first held here, if it went to no worker with its
 * function since, it is not held any more: a worker says that its function is not there, which is an attempt, and the run
 * fails when it has no more of them. At most HELD_MAX are held; one more than that is left to its lease. A crash loses
 * nothing: leases end.
 */
import { LRUCache } from "lru-cache";
import { functionIdOf, type StepRequest } from "@eddy/schemas";
import type { Clock } from "../ports/clock.js";
import type { Logger } from "../ports/logger.js";
import type { RegistryView } from "../registry/registry-view.js";
import type { GivenBack } from "./decline.js";
import type { WorkerPool } from "./worker-pool.js";

export interface AbsentFunctionsDeps {
  readonly app: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Pick<RegistryView, "app" | "catchUp">;
  readonly pool: Pick<WorkerPool, "active" | "has">;
  readonly givenBack: GivenBack;
}

/** How long a run waits for a function that is registered, in ms of this process's clock: longer than deploys take. */
export const ABSENT_MS_MAX = 3_600_000;
/** Until a held request goes out again, in ms. */
export const PAUSE_MS = { min: 1_000, max: 30_000 } as const;
/** Requests held at the same time. */
export const HELD_MAX = 10_000;
/** Runs whose first time here is remembered. */
const RUNS_MAX = 100_000;

/** As much of a request as is kept: it may be large. */
type HeldRequest = Pick<StepRequest, "functionId" | "runId" | "invocation">;

interface Held {
  readonly request: HeldRequest;
  readonly partition: number;
  readonly ending: AbortController;
}

/** What a run has waited since it last went to a worker with its function. */
interface Waited {
  readonly sinceMs: number;
  readonly times: number;
}

export class AbsentFunctions {
  readonly #deps: AbsentFunctionsDeps;
  readonly #held = new Set<Held>();
  /** Registered functions that it was told of that they are absent. */
  readonly #told = new Set<string>();
  readonly #waited = new LRUCache<string, Waited>({ max: RUNS_MAX });

  constructor(deps: AbsentFunctionsDeps) {
    this.#deps = deps;
  }

  /** Should the request rather go back to the log than to a worker of this process? Never rejects. */
  async isElsewhere({ functionId, runId }: StepRequest): Promise<boolean> {
    const { pool, registry, clock, logger, app } = this.#deps;
    // Without any worker there is nobody who could answer wrongly.
    if (pool.active === 0 || pool.has(functionId)) return false;
    const sinceMs = this.#waited.get(runId)?.sinceMs ?? clock.nowMs();
    if (clock.nowMs() - sinceMs >= ABSENT_MS_MAX) return false;
    if (this.#isRegistered(functionId)) return true;
    try {
      await registry.catchUp();
    } catch (err) {
      logger.debug({ err, app, runId }, "whether a function is registered is not known, its request goes out again");
      return true;
    }
    return this.#isRegistered(functionId) && !pool.has(functionId);
  }

  /** Gives the request back after a pause. Its delivery is committed. */
  hold({ functionId, runId, invocation }: HeldRequest, partition: number): void {
    const { clock } = this.#deps;
    if (this.#held.size >= HELD_MAX) return;
    const { sinceMs, times } = this.#waited.get(runId) ?? { sinceMs: clock.nowMs(), times: 0 };
    this.#waited.set(runId, { sinceMs, times: times + 1 });
    const pauseMs = Math.min(PAUSE_MS.min * 2 ** times, PAUSE_MS.max);
    this.#tell(functionId);
    const held: Held = { request: { functionId, runId, invocation }, partition, ending: new AbortController() };
    this.#held.add(held);
    void clock.sleep(pauseMs, held.ending.signal).then(() => this.#giveBack(held));
  }

  /** A worker that has its function gets it: should that be absent again one day, its pauses and its hour begin anew. */
  found(runId: string): void {
    this.#waited.delete(runId);
  }

  /** Once per function and absence: a deploy may hold many runs. */
  #tell(functionId: string): void {
    const { app, logger } = this.#deps;
    if (this.#told.has(functionId)) return;
    this.#told.add(functionId);
    logger.warn({ app, functionId }, "no worker of this process has a registered function: its runs here wait for one");
  }

  /** Workers came or went: what can be worked on here goes out again at once. */
  onWorkersChanged(): void {
    const { pool } = this.#deps;
    for (const functionId of this.#told) if (pool.has(functionId)) this.#told.delete(functionId);
    this.#letGo(({ request }) => pool.has(request.functionId));
  }

  /** The partition is somebody else's: its requests go out again at once. */
  onPartitionLost(partition: number): void {
    this.#letGo((held) => held.partition === partition);
  }

  /** Everything goes out again. */
  stop(): void {
    this.#letGo(() => true);
  }

  #letGo(which: (held: Held) => boolean): void {
    for (const held of this.#held) if (which(held)) this.#giveBack(held);
  }

  #giveBack(held: Held): void {
    if (!this.#held.delete(held)) return;
    held.ending.abort();
    this.#deps.givenBack.giveBack(held.request);
  }

  #isRegistered(functionId: string): boolean {
    const { app, registry } = this.#deps;
    return registry.app(app)?.functions.some(({ id }) => functionIdOf(app, id) === functionId) ?? false;
  }
}
