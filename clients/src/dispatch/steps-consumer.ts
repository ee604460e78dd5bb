/**
 * Hands the requests of one partition of `steps.<app>` to workers.
 *
 * Invariants: requests are handed out in log order, each only after a worker's slot is taken for it; nothing is read
 * further while no slot is free. Delivery (offset, and in its metadata the mark: the cause of the last request) is
 * committed *before* the requests leave, for all that found a slot at once: after a crash of this process no request
 * that a worker may still be running is handed out a second time. One that was lost in between comes back when its
 * lease ends, for which `delivered` is appended with the committed mark when consuming starts, and at most once a
 * second while the mark moves. Requests at or below the mark are repeats of a takeover, and dropped.
 */
import {
  compareCauses,
  decodeStepRequest,
  encodeInbox,
  offset,
  type Cause,
  type Offset,
  type StepRequest,
} from "@eddy/schemas";
import type { Clock } from "../ports/clock.js";
import type { Log, LogRecord } from "../ports/log.js";
import type { Logger } from "../ports/logger.js";
import type { Meter } from "../ports/meter.js";
import { LogTail } from "../registry/log-tail.js";
import type { AbortSignals } from "./abort-signals.js";
import type { InboxLanes } from "../send/inbox-lanes.js";
import type { Worker, WorkerPool } from "./worker-pool.js";

export interface StepsConsumerDeps {
  readonly app: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly lanes: InboxLanes;
  readonly pool: WorkerPool;
  readonly aborts: AbortSignals;
  /** Name of the app's steps topic, and of the inbox whose partition it answers to. */
  readonly topic: string;
  readonly inbox: string;
  readonly partition: number;
}

/** Requests read ahead of free slots. */
const RECORDS_MAX = 64;
/** At least this long between two `delivered` records, in ms. */
export const DELIVERED_PERIOD_MS = 1_000;

export const groupOf = (app: string): string => `workers.${app}`;

interface HandOut {
  readonly request: StepRequest;
  readonly cause: Cause;
  worker: Worker;
}

export class StepsConsumer {
  readonly #deps: StepsConsumerDeps;
  readonly #stopping = new AbortController();
  /** Cause of the last request handed out or dropped; null before the first. */
  #mark: Cause | null = null;
  /** What `delivered` should say, and what it said last. */
  #reached: Cause | null = null;
  #announced: Cause | null = null;
  #wakeAnnouncer: () => void = () => undefined;
  #announcing: Promise<void> = Promise.resolve();
  #tail: LogTail | null = null;

  constructor(deps: StepsConsumerDeps) {
    this.#deps = deps;
  }

  /** Resolves when consuming has begun. Once. */
  async start(): Promise<void> {
    const { app, log, topic, partition } = this.#deps;
    const committed = await log.groupOffset(groupOf(app), topic, partition);
    const range = await log.offsets(topic, partition);
    this.#mark = committed === null ? null : parseMark(committed.metadata);
    this.#reached = this.#mark;
    this.#tail = new LogTail({
      ...this.#deps,
      from: committed === null ? range.start : offset(Math.min(committed.offset, range.end)),
      recordsMax: RECORDS_MAX,
      onRecords: (records) => this.#handOutAll(records),
      onOutOfRange: () => this.#skipDeleted(),
    });
    this.#announcing = this.#announceLoop();
    this.#tail.start();
  }

  /** The pool must be closed before: a request may be waiting for a slot. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wakeAnnouncer();
    await this.#tail?.stop();
    await this.#announcing;
  }

  /** Why consuming ended by itself; null while it goes on. */
  get failure(): Error | null {
    return this.#tail?.failure ?? null;
  }

  /**
   * Requests were deleted before a worker took them: nobody was connected for longer than the topic's retention. The
   * engine believes them on their way until a `delivered` covers them. The next request's own does; where there is
   * none, one is said for all that the inbox has caused: leases of the lost ones begin, and they come again.
   */
  async #skipDeleted(): Promise<Offset> {
    const { log, topic, inbox, partition } = this.#deps;
    const { start, end } = await log.offsets(topic, partition);
    if (start === end) {
      this.#reached = { offset: (await log.offsets(inbox, partition)).end, index: 0 };
      this.#wakeAnnouncer();
    }
    return start;
  }

  async #handOutAll(records: readonly LogRecord[]): Promise<void> {
    for (let next = 0; next < records.length;) {
      const done = await this.#handOutSome(records.slice(next));
      if (done === 0 || this.#stopping.signal.aborted) return;
      next += done;
    }
  }

  /**
   * Hands out as many as find a slot at once, at least one. @returns how many records are done with;
   * 0 only when the pool is closed.
   */
  async #handOutSome(records: readonly LogRecord[]): Promise<number> {
    const group: HandOut[] = [];
    let mark = this.#mark;
    let done = 0;
    for (const record of records) {
      const wanted = this.#decode(record, mark);
      if (wanted !== null) {
        const worker = await this.#takeWorker(wanted, group.length === 0);
        if (worker === null) break;
        if (worker !== "aborted") group.push({ ...wanted, worker });
        mark = wanted.cause;
      }
      done += 1;
    }
    const last = records[done - 1];
    if (last === undefined) return 0;
    try {
      await this.#commit(offset(last.offset + 1), mark);
    } catch (error) {
      for (const { worker, request } of group) this.#deps.pool.release(worker, request.runId, request.invocation);
      throw error;
    }
    this.#mark = mark;
    for (const handOut of group) await this.#send(handOut);
    this.#reached = mark;
    this.#wakeAnnouncer();
    return done;
  }

  /** @returns null for what does not decode, and for repeats. */
  #decode({ value, offset: at }: LogRecord, mark: Cause | null): { request: StepRequest; cause: Cause } | null {
    const { logger, topic, partition } = this.#deps;
    if (value === null) return null;
    try {
      const { cause, body } = decodeStepRequest(value);
      return mark !== null && compareCauses(cause, mark) <= 0 ? null : { request: body, cause };
    } catch (err) {
      logger.error({ err, topic, partition, offset: at }, "a step request does not decode, it is left out");
      return null;
    }
  }

  /** @param wait false: only a slot that is free now. @returns null without one, or when the pool is closed. */
  async #takeWorker(
    { request, cause }: { request: StepRequest; cause: Cause },
    wait: boolean,
  ): Promise<Worker | "aborted" | null> {
    const { pool, aborts } = this.#deps;
    const { runId, invocation } = request;
    if (aborts.isAborted(runId, cause)) return "aborted";
    const wanted = { runId, invocation, cause };
    const worker = wait ? await pool.take(wanted) : pool.tryTake(wanted);
    if (worker === null || !aborts.isAborted(runId, cause)) return worker;
    pool.release(worker, runId, invocation);
    return "aborted";
  }

  async #commit(at: ReturnType<typeof offset>, mark: Cause | null): Promise<void> {
    const { app, log, topic, partition } = this.#deps;
    const metadata = mark === null ? "" : JSON.stringify({ offset: mark.offset, index: mark.index });
    await log.commitGroupOffset(groupOf(app), topic, partition, { offset: at, metadata });
  }

  /** A worker that left since its slot was taken has never seen the request: another one gets it. */
  async #send({ request, cause, worker: chosen }: HandOut): Promise<void> {
    const { pool, meter, app } = this.#deps;
    const { runId, invocation } = request;
    let worker: Worker | null = chosen;
    while (worker !== null && (!pool.isConnected(worker) || worker.isDraining)) {
      pool.release(worker, runId, invocation);
      const heir = pool.outOf(runId).find(([{ isDraining }, out]) => !isDraining && out.invocation === invocation);
      worker = heir?.[0] ?? (await pool.take({ runId, invocation, cause }));
    }
    if (worker === null) return;
    // Cancelled while the delivery was being committed: the abort has left already, the request must not follow it.
    if (this.#deps.aborts.isAborted(runId, cause)) return pool.release(worker, runId, invocation);
    for (const [other, out] of pool.outOf(runId)) {
      // Its lease is over, or this request would not be: what it still reports will be dropped.
      const isSuperseded = other !== worker && out.invocation < invocation && !out.isEnding;
      if (isSuperseded) other.link.send({ kind: "abort", runId });
    }
    worker.link.send({ kind: "request", request });
    meter.count("eddy_step_requests_delivered_total", 1, { app });
  }

  async #announceLoop(): Promise<void> {
    const { app, clock, lanes, logger, partition } = this.#deps;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const mark = this.#reached;
      if (mark === null || this.#announced === mark) {
        await new Promise<void>((resolve) => (this.#wakeAnnouncer = resolve));
        continue;
      }
      try {
        await lanes.append(partition, [{ key: app, value: encodeInbox({ kind: "delivered", app, mark }) }]);
        this.#announced = mark;
      } catch (err) {
        if (!signal.aborted) logger.warn({ err, app, partition }, "a delivery could not be written, trying again");
      }
      await clock.sleep(DELIVERED_PERIOD_MS, signal);
    }
  }
}

/** @returns null for the empty text of a group that delivered nothing yet, and for anything else that is no mark. */
export function parseMark(metadata: string): Cause | null {
  const match = /^\{"offset":(\d+),"index":(\d+)\}$/.exec(metadata);
  return match === null ? null : { offset: offset(Number(match[1])), index: Number(match[2]) };
}
