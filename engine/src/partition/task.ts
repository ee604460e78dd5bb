/**
 * The partition task: owns one partition, drives the core over its inbox. The same code on memory, embedded, Kafka and
 * in the simulator: it awaits ports (Log, Store, Clock) and nothing else.
 *
 *             start            restored                 stop
 *   idle ──────────> starting ──────────> running ─────────────> stopped
 *    │                │  │  ^               │ │                     ^
 *    │                │  │  └───────────────┘ │                     │
 *    │                │  │    TransientError, │ anything else       │
 *    │                │  │    damaged store:  v                     │
 *    │                │  └──> drop all   ──> failed                 │
 *    └────────────────┴─────────────────────────────────────────────┘ stop
 *
 * What went wrong in a checkpoint is never repaired, only taken over anew: its outcome is unknown.
 */
import type { RunState } from "@eddy/schemas";
import { ClosedError, FencedError, StateCorruptedError, TransientError } from "@eddy/clients/errors";
import { backoffMs } from "./backoff.js";
import { asError, deferred } from "./deferred.js";
import type { PartitionTaskDeps, TaskContext } from "./deps.js";
import type { PartitionFigures } from "./figures.js";
import { PARTITION_DEFAULTS } from "./options.js";
import { Session, type PartitionTime } from "./session.js";

export type PartitionTaskStatus = "idle" | "starting" | "running" | "stopped" | "failed";

const NEVER_STARTED: PartitionTime = { rawMs: 0, advanceMs: 0, processedOffset: -1 };

export class PartitionTask {
  readonly #context: TaskContext;
  readonly #stop = new AbortController();
  readonly #started = deferred();
  readonly #closed = deferred();
  #status: PartitionTaskStatus = "idle";
  #failure: Error | null = null;
  #session: Session | null = null;

  constructor(deps: PartitionTaskDeps) {
    this.#context = { ...deps, options: { ...PARTITION_DEFAULTS, ...deps.options } };
  }

  get status(): PartitionTaskStatus {
    return this.#status;
  }
  /** Why the task failed; null unless it did. */
  get failure(): Error | null {
    return this.#failure;
  }
  /** Resolves when the task has ended and closed all it had open, by `stop` or by failure. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Takes over; resolves when restored and consuming. Once. @throws the failure; ClosedError when stopped before */
  start(): Promise<void> {
    if (this.#status === "idle") {
      this.#status = "starting";
      void this.#run();
    }
    return this.#started.promise;
  }

  /** Finishes the batch, checkpoints, closes. Idempotent; does not throw: see `status` and `failure`. */
  stop(): Promise<void> {
    this.#stop.abort();
    this.#session?.stop();
    if (this.#status === "idle") this.#end("stopped");
    return this.#closed.promise;
  }

  /**
   * What a worker needs to re-enter a run from nothing, as of all records applied so far.
   * @returns null when the run is over, or not in this invocation.
   * @throws TransientError while the partition is being taken over: ask again.
   */
  async runState(runId: string, invocation: number): Promise<RunState | null> {
    return this.#owned().runState(runId, invocation);
  }
  /** Is there such a state? Reads no results. @throws as `runState` */
  async isCurrent(runId: string, invocation: number): Promise<boolean> {
    return (await this.#owned().currentRun(runId, invocation)) !== null;
  }
  #owned(): Session {
    if (this.#session !== null) return this.#session;
    const { partition } = this.#context;
    throw new TransientError("this process does not own the partition now", { partition, status: this.#status });
  }

  /** Are all records before this offset applied, and all that they caused in the logs? */
  hasSettled(before: number): boolean {
    return this.#session?.hasSettled(before) ?? false;
  }

  /**
   * The append time at which the next timer is due, in ms, a lower bound where it is not known yet; null: there is none, or
   * the partition is being taken over.
   */
  nextDueMs(): number | null {
    return this.#session?.nextDueMs() ?? null;
  }

  /** For operators; null while the partition is being taken over, and when nobody works on it. */
  figures(): PartitionFigures | null {
    return this.#session?.figures() ?? null;
  }

  time(): PartitionTime {
    return this.#session?.time() ?? NEVER_STARTED;
  }

  async #run(): Promise<void> {
    const { options, clock, partition, logger } = this.#context;
    let takeovers = 0;
    let wipe = false;
    for (;;) {
      const { error, saved } = await this.#own(wipe);
      if (saved) takeovers = 0;
      takeovers++;
      if (this.#stop.signal.aborted && (error === null || isRepairable(error) || error instanceof ClosedError)) {
        if (error !== null) logger.warn({ partition, err: error }, "stopped without a last checkpoint");
        return this.#end("stopped");
      }
      if (error === null || !isRepairable(error) || takeovers >= options.takeoversMax) return this.#fail(error);
      logger.warn({ partition, err: error, takeovers }, "taking the partition over anew");
      wipe = error instanceof StateCorruptedError;
      await clock.sleep(backoffMs(takeovers), this.#stop.signal);
    }
  }

  /** One takeover and what follows it, until it ends or fails. `saved`: there was a checkpoint. */
  async #own(wipe: boolean): Promise<{ readonly error: Error | null; readonly saved: boolean }> {
    this.#status = "starting";
    const { signal } = this.#stop;
    let session: Session | null = null;
    let error: Error | null = null;
    try {
      if (signal.aborted) throw new ClosedError("stopped before it took over");
      this.#context.meter.count("eddy_takeovers_total", 1);
      session = await Session.open(this.#context, { wipe, signal });
      this.#session = session;
      this.#status = "running";
      if (isAborted(signal)) session.stop();
      this.#started.resolve();
      await session.consume();
    } catch (thrown) {
      error = asError(thrown);
    }
    this.#session = null;
    await session?.close();
    return { error, saved: (session?.checkpoints ?? 0) > 0 };
  }

  #fail(error: Error | null): void {
    this.#failure = error ?? new Error("the loop of a partition ended by itself");
    const { logger, partition } = this.#context;
    const fields = { partition, err: this.#failure };
    if (this.#failure instanceof FencedError) logger.warn(fields, "another process took the partition over");
    else logger.error(fields, "the partition task failed");
    this.#end("failed");
  }

  #end(status: "stopped" | "failed"): void {
    this.#status = status;
    this.#started.reject(this.#failure ?? new ClosedError("the partition task was stopped before it ran"));
    this.#closed.resolve();
  }
}

/** Gone after a takeover: the log knows better than we do. */
function isRepairable(error: Error): boolean {
  return error instanceof TransientError || error instanceof StateCorruptedError;
}

/** Asked after an await, in which it may have changed. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
