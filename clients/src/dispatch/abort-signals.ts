/**
 * Follows `signals.<app>`: aborts of runs that were cancelled. Tells the workers that may have the run, and remembers
 * the abort, so that a request of that run that is still queued is not handed out any more (G3).
 */
import { LRUCache } from "lru-cache";
import { compareCauses, decodeSignal, LEASE_MS, type Cause } from "@eddy/schemas";
import type { Clock } from "../ports/clock.js";
import type { Log, LogRecord } from "../ports/log.js";
import type { Logger } from "../ports/logger.js";
import { tailOfWhole, type LogTail } from "../registry/log-tail.js";
import type { WorkerPool } from "./worker-pool.js";

const ABORTED_RUNS_MAX = 100_000;
const RECORDS_MAX = 500;
/** Older signals are left out at start: no worker goes on with a run for longer without a lease. */
const SIGNAL_AGE_MS_MAX = 2 * LEASE_MS;

export interface AbortSignalsDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Name of the app's signals topic. */
  readonly topic: string;
  readonly pool: WorkerPool;
}

export class AbortSignals {
  readonly #deps: AbortSignalsDeps;
  /** By run id: the cause of its newest abort. */
  readonly #aborted = new LRUCache<string, Cause>({ max: ABORTED_RUNS_MAX });
  #tail: LogTail | null = null;

  constructor(deps: AbortSignalsDeps) {
    this.#deps = deps;
  }

  /** Resolves when all that the topic holds is known: a queued request may be of a run that was aborted before. */
  async start(): Promise<void> {
    const onRecords = (records: readonly LogRecord[]): void => this.#take(records);
    const { tail, end } = await tailOfWhole({ ...this.#deps, recordsMax: RECORDS_MAX, onRecords });
    this.#tail = tail;
    tail.start();
    await tail.reached(end);
  }

  /**
   * Was the run aborted after `cause` made a request for it? Both causes are of the run's partition. null: the request
   * is one that this process has not seen; a run is aborted when it ends, so any abort counts.
   */
  isAborted(runId: string, cause: Cause | null): boolean {
    const abortedBy = this.#aborted.get(runId);
    return abortedBy !== undefined && (cause === null || compareCauses(cause, abortedBy) < 0);
  }

  async stop(): Promise<void> {
    await this.#tail?.stop();
  }

  #take(records: readonly LogRecord[]): void {
    const { clock, logger, topic, pool } = this.#deps;
    const oldestMs = clock.nowMs() - SIGNAL_AGE_MS_MAX;
    for (const { value, offset, appendTimeMs } of records) {
      if (value === null || appendTimeMs < oldestMs) continue;
      try {
        const { cause, body } = decodeSignal(value);
        this.#aborted.set(body.runId, cause);
        const holders = pool.holdersOf(body.runId);
        // A worker that connected again may have the run without this process knowing: then all are told.
        for (const { link } of holders.length > 0 ? holders : pool.workers) {
          link.send({ kind: "abort", runId: body.runId });
        }
      } catch (err) {
        logger.error({ err, topic, offset }, "a signal does not decode, it is left out");
      }
    }
  }
}
