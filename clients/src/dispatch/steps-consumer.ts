/**
 * Hands the requests of one partition of `steps.<app>` to workers, while the group gives it to this process.
 *
 *   made --resume--> handing out --quiesce--> still --resume--> handing out ... --stop--> ended
 *                         \___ fenced __________/
 *
 * Invariants: requests are handed out in log order, each only after a worker's slot is taken for it; nothing is read
 * further while no slot is free. Delivery (offset, and in its metadata the mark: the cause of the last request) is
 * committed *before* the requests leave, for all that found a slot at once: after a crash of this process no request
 * that a worker may still be running is handed out a second time, and a process that has lost the partition without
 * noticing hands out nothing. One that was lost in between comes back when its lease ends, for which `delivered` is
 * appended with the committed mark when consuming starts, and at most once a second while the mark moves; one that
 * nobody is left here to have is given back at once, and one whose function is elsewhere after a pause. Requests at or
 * below the mark are repeats of a takeover, and dropped. A request in several records is handed out when it is put
 * together (request-parts.ts); until then nothing is committed from its first part on. Each `resume` begins at the
 * committed offset: another process may have had the partition since. What was committed here leaves also while still.
 */
import {
  compareCauses,
  decodeStepsRecord,
  encodeInbox,
  offset,
  type Cause,
  type Offset,
  type StepRequest,
} from "@eddy/schemas";
import { ClosedError, FencedError, TransientError } from "../errors/codes.js";
import type { Clock } from "../ports/clock.js";
import type { GroupMember } from "../ports/groups.js";
import type { Log, LogRecord } from "../ports/log.js";
import type { Logger } from "../ports/logger.js";
import type { Meter } from "../ports/meter.js";
import { LogTail } from "../registry/log-tail.js";
import type { InboxLanes } from "../send/inbox-lanes.js";
import type { AbortSignals } from "./abort-signals.js";
import type { AbsentFunctions } from "./absent-functions.js";
import type { GivenBack } from "./decline.js";
import { takeRecord, type Gathered, type Standing, type Taken } from "./request-parts.js";
import type { StepTimes } from "./step-times.js";
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
  readonly absent: AbsentFunctions;
  readonly givenBack: GivenBack;
  readonly times: StepTimes;
  /** Of the app's workers; it has `partition`. */
  readonly member: Pick<GroupMember, "commit" | "committed">;
  /** Name of the app's steps topic, and of the inbox whose partition it answers to. */
  readonly topic: string;
  readonly inbox: string;
  readonly partition: number;
}

/** Requests read ahead of free slots. */
const RECORDS_MAX = 64;
/** At least this long between two `delivered` records, in ms. */
export const DELIVERED_PERIOD_MS = 1_000;
/** Before another try to learn where to begin, in ms. */
const PAUSE_MS = { min: 50, max: 5_000 } as const;

const REPEAT: Taken = { kind: "repeat" };

interface HandOut {
  readonly request: StepRequest;
  readonly cause: Cause;
  worker: Worker;
}

export class StepsConsumer {
  readonly #deps: StepsConsumerDeps;
  readonly #ending = new AbortController();
  /** While not aborted, requests may be handed out; a new one for each `resume`. */
  #epoch = new AbortController();
  /** Cause of the last request handed out or dropped; null before the first. */
  #mark: Cause | null = null;
  /** Parts of the request that is to come after it. */
  #gathered: Gathered | null = null;
  /** What `delivered` should say, and what it said last. */
  #reached: Cause | null = null;
  #announced: Cause | null = null;
  #wakeAnnouncer: () => void = () => undefined;
  #announcing: Promise<void> | null = null;
  #tail: LogTail | null = null;
  /** Ends of former epochs: their committed requests have left. */
  #former: Promise<void> = Promise.resolve();
  #beginning: Promise<void> = Promise.resolve();
  /** The commit under way; never rejects. */
  #committing: Promise<void> = Promise.resolve();
  #failure: Error | null = null;

  constructor(deps: StepsConsumerDeps) {
    this.#deps = deps;
  }

  /** The group gives the partition to this process, for the first time or still. After `quiesce`. */
  resume(): void {
    this.#epoch = new AbortController();
    this.#failure = null;
    this.#announcing ??= this.#announceLoop();
    this.#beginning = this.#begin(this.#former, this.#epoch.signal);
  }

  /** Hands out nothing more until `resume`; resolves when the commit under way is settled, within seconds. Idempotent. */
  async quiesce(): Promise<void> {
    this.#endEpoch();
    await this.#committing;
  }

  /** The partition is no longer this process's. What workers have is not touched. Idempotent. */
  async stop(): Promise<void> {
    const { absent, partition } = this.#deps;
    this.#ending.abort();
    this.#endEpoch();
    this.#wakeAnnouncer();
    await Promise.all([this.#beginning, this.#former, this.#announcing]);
    absent.onPartitionLost(partition);
  }

  /** Why consuming ended by itself; null while it goes on. */
  get failure(): Error | null {
    return this.#failure ?? this.#tail?.failure ?? null;
  }

  #endEpoch(): void {
    this.#epoch.abort();
    // It may last: a committed request may be waiting for a slot, because its worker has left.
    if (this.#tail !== null) this.#former = this.#tail.stop();
    this.#tail = null;
  }

  async #begin(former: Promise<void>, epoch: AbortSignal): Promise<void> {
    const { app, clock, logger, partition } = this.#deps;
    await former;
    for (let pauseMs: number = PAUSE_MS.min; !epoch.aborted; pauseMs = Math.min(2 * pauseMs, PAUSE_MS.max)) {
      try {
        return await this.#open(epoch);
      } catch (err) {
        if (epoch.aborted) return;
        if (!(err instanceof TransientError)) {
          this.#failure = err instanceof Error ? err : new Error(String(err));
          logger.error({ err, app, partition }, "the requests of a partition cannot be read");
          return;
        }
        logger.warn({ err, app, partition, pauseMs }, "the requests of a partition cannot be read yet, trying again");
        await clock.sleep(pauseMs, epoch);
      }
    }
  }

  /** Starts to read where the group has committed. */
  async #open(epoch: AbortSignal): Promise<void> {
    const { log, member, topic, partition } = this.#deps;
    const committed = await member.committed(partition);
    const range = await log.offsets(topic, partition);
    if (epoch.aborted) return;
    this.#mark = committed === null ? null : parseMark(committed.metadata);
    this.#gathered = null;
    const isNews = this.#mark !== null && (this.#reached === null || compareCauses(this.#mark, this.#reached) > 0);
    if (isNews) this.#announce(this.#mark);
    this.#tail = new LogTail({
      ...this.#deps,
      from: committed === null ? range.start : offset(Math.min(committed.offset, range.end)),
      recordsMax: RECORDS_MAX,
      onRecords: (records) => this.#handOutAll(records, epoch),
      onOutOfRange: () => this.#skipDeleted(),
    });
    this.#tail.start();
  }

  /**
   * Requests were deleted before a worker took them: nobody was connected for longer than the topic's retention. The
   * engine believes them on their way until a `delivered` covers them. The next request's own does; where there is
   * none, one is said for all that the inbox has caused: leases of the lost ones begin, and they come again.
   */
  async #skipDeleted(): Promise<Offset> {
    const { log, topic, inbox, partition } = this.#deps;
    const { start, end } = await log.offsets(topic, partition);
    if (start === end) this.#announce({ offset: (await log.offsets(inbox, partition)).end, index: 0 });
    return start;
  }

  async #handOutAll(records: readonly LogRecord[], epoch: AbortSignal): Promise<void> {
    for (let next = 0; next < records.length;) {
      const done = await this.#handOutSome(records.slice(next), epoch);
      if (done === 0 || epoch.aborted) return;
      next += done;
    }
  }

  /**
   * Hands out as many as find a slot at once, at least one: it waits for a slot only while nothing else is to be done
   * with what came before. @returns how many records are done with;
   * 0 only when the pool is closed or the epoch over.
   * @throws TransientError where the commit's outcome is unknown: nothing was sent, and the same is tried again.
   */
  async #handOutSome(records: readonly LogRecord[], epoch: AbortSignal): Promise<number> {
    const group: HandOut[] = [];
    const elsewhere: StepRequest[] = [];
    const torn: StepRequest[] = [];
    let mark = this.#mark;
    let gathered = this.#gathered;
    let done = 0;
    for (const record of records) {
      const taken = this.#take(record, { mark, gathered });
      if (taken.kind === "part") {
        gathered = taken.gathered;
      } else if (taken.kind !== "repeat") {
        const isFirst = group.length + elsewhere.length + torn.length === 0;
        const worker = taken.kind === "torn" ? "torn" : await this.#takeWorker(taken, isFirst, epoch);
        if (worker === null) break;
        if (worker === "torn") torn.push(taken.request);
        else if (worker === "elsewhere") elsewhere.push(taken.request);
        else if (worker !== "aborted") group.push({ request: taken.request, cause: taken.cause, worker });
        mark = taken.cause;
        gathered = null;
      }
      done += 1;
    }
    const last = records[done - 1];
    if (last === undefined) return 0;
    const isNews = gathered === null || mark !== this.#mark; // Of parts alone there is nothing to commit.
    let isDone = false;
    try {
      // Between a free slot and here the group may have begun to rebalance.
      isDone = !epoch.aborted && (!isNews || (await this.#commit(gathered?.from ?? offset(last.offset + 1), mark)));
    } finally {
      if (!isDone) {
        for (const { worker, request } of group) this.#deps.pool.release(worker, request.runId, request.invocation);
      }
    }
    if (!isDone) return 0;
    this.#mark = mark;
    this.#gathered = gathered;
    for (const request of torn) this.#deps.givenBack.giveBack(request);
    for (const handOut of group) await this.#send(handOut);
    for (const request of elsewhere) this.#deps.absent.hold(request, this.#deps.partition);
    if (mark !== null) this.#announce(mark);
    return done;
  }

  /** What does not decode is left out, as a repeat is. */
  #take({ value, offset: at }: LogRecord, standing: Standing): Taken {
    const { logger, topic, partition } = this.#deps;
    if (value === null) return REPEAT;
    try {
      return takeRecord(decodeStepsRecord(value), at, standing);
    } catch (err) {
      logger.error({ err, topic, partition, offset: at }, "a step request does not decode, it is left out");
      return REPEAT;
    }
  }

  /**
   * @param wait false: only a slot that is free now.
   * @returns null without one, or when there will be none; elsewhere: better no worker of this process.
   */
  async #takeWorker(
    { request, cause }: { request: StepRequest; cause: Cause },
    wait: boolean,
    epoch: AbortSignal,
  ): Promise<Worker | "aborted" | "elsewhere" | null> {
    const { pool, aborts, absent } = this.#deps;
    const { functionId, runId, invocation } = request;
    if (aborts.isAborted(runId, cause)) return "aborted";
    if (!pool.has(functionId) && (await absent.isElsewhere(request))) return "elsewhere";
    const wanted = { functionId, runId, invocation, cause };
    const worker = wait ? await pool.take(wanted, epoch) : pool.tryTake(wanted);
    if (worker === null) return null;
    const instead = aborts.isAborted(runId, cause) ? "aborted" : await this.#elsewhereThan(worker, request);
    if (instead !== null) pool.release(worker, runId, invocation);
    return instead ?? worker;
  }

  /** While it waited for a slot, those that have its function may have gone. */
  async #elsewhereThan({ functions }: Worker, request: StepRequest): Promise<"elsewhere" | null> {
    if (functions.has(request.functionId)) return null;
    return (await this.#deps.absent.isElsewhere(request)) ? "elsewhere" : null;
  }

  /** @returns false where the partition is no longer ours: then another assignment follows, or none. */
  async #commit(at: Offset, mark: Cause | null): Promise<boolean> {
    const { app, logger, member, partition } = this.#deps;
    const metadata = mark === null ? "" : JSON.stringify({ offset: mark.offset, index: mark.index });
    const commit = member.commit(partition, { offset: at, metadata });
    this.#committing = commit.catch(() => undefined); // Who waits for it wants its end; its error is told below.
    try {
      await commit;
      return true;
    } catch (err) {
      if (!(err instanceof FencedError || err instanceof ClosedError)) throw err;
      logger.info({ app, partition }, "the group has moved on: nothing is handed out until its next assignment");
      this.#endEpoch();
      return false;
    }
  }

  /** A worker that left since its slot was taken has never seen the request: another one gets it. */
  async #send({ request, cause, worker: chosen }: HandOut): Promise<void> {
    const { pool, meter, app, absent, givenBack, partition } = this.#deps;
    const { functionId, runId, invocation } = request;
    let worker: Worker | null = chosen;
    while (worker !== null && (!pool.isConnected(worker) || worker.isDraining)) {
      pool.release(worker, runId, invocation);
      const heir = pool.outOf(runId).find(([{ isDraining }, out]) => !isDraining && out.invocation === invocation);
      worker = heir?.[0] ?? (await pool.take({ functionId, runId, invocation, cause }, this.#ending.signal));
      if (worker === null || (await this.#elsewhereThan(worker, request)) === null) continue;
      pool.release(worker, runId, invocation);
      return absent.hold(request, partition);
    }
    // Committed as delivered, but nobody is left here to have it.
    if (worker === null) return givenBack.giveBack(request);
    // Cancelled while the delivery was being committed: the abort has left already, the request must not follow it.
    if (this.#deps.aborts.isAborted(runId, cause)) return pool.release(worker, runId, invocation);
    for (const [other, out] of pool.outOf(runId)) {
      // Its lease is over, or this request would not be: what it still reports will be dropped.
      const isSuperseded = other !== worker && out.invocation < invocation && !out.isEnding;
      if (isSuperseded) other.link.send({ kind: "abort", runId });
    }
    if (worker.functions.has(functionId)) absent.found(runId);
    pool.sent(worker, runId, invocation);
    worker.link.send({ kind: "request", request });
    this.#deps.times.sent(request);
    meter.count("eddy_step_requests_delivered_total", 1, { app });
  }

  #announce(reached: Cause | null): void {
    this.#reached = reached;
    this.#wakeAnnouncer();
  }

  async #announceLoop(): Promise<void> {
    const { app, clock, lanes, logger, partition } = this.#deps;
    const { signal } = this.#ending;
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
