/** One welcomed worker: takes its frames, keeps its slots. */
import { encodeInbox, isRunId, partitionOfShard, shardOfRun, type StepReport, type WorkerFrame } from "@eddy/schemas";
import { BadRecordError } from "../errors/codes.js";
import type { Clock } from "../ports/clock.js";
import type { Logger } from "../ports/logger.js";
import type { AbortSignals } from "./abort-signals.js";
import type { GivenBack } from "./decline.js";
import type { HeartbeatLedger } from "./heartbeat-ledger.js";
import type { InboxLanes } from "../send/inbox-lanes.js";
import type { RunStates, WantedState } from "./run-states.js";
import { CLOSE_CODES } from "./worker-link.js";
import type { StepTimes } from "./step-times.js";
import type { Worker, WorkerPool } from "./worker-pool.js";

export interface WorkerSessionDeps {
  readonly app: string;
  readonly lanes: InboxLanes;
  readonly pool: WorkerPool;
  readonly states: RunStates;
  readonly heartbeats: HeartbeatLedger;
  readonly aborts: AbortSignals;
  readonly givenBack: GivenBack;
  readonly times: StepTimes;
  readonly clock: Clock;
  readonly logger: Logger;
}

type RunningInvocations = Extract<WorkerFrame, { kind: "heartbeat" }>["running"];

/** A request that is missing in this many heartbeats after it was sent is not running: its slot is free. */
const MISSING_HEARTBEATS = 2;
/** States being read for one worker at the same time: each may have LIMITS.runStateBytesMax. */
export const STATES_MAX = 4;
/** Pause before a failed look-up is tried again, in ms. */
const STATE_RETRY_MS = 500;

export class WorkerSession {
  readonly #deps: WorkerSessionDeps;
  readonly #worker: Worker;
  readonly #closed = new AbortController();
  /** States that the worker asked for and that are not being read yet. */
  readonly #wanted: WantedState[] = [];
  #reading = 0;

  constructor(deps: WorkerSessionDeps, worker: Worker) {
    this.#deps = deps;
    this.#worker = worker;
  }

  get worker(): Worker {
    return this.#worker;
  }

  receive(frame: WorkerFrame): void {
    switch (frame.kind) {
      case "hello":
        return this.#break("a connection says hello once");
      case "report":
        return this.#report(frame.seq, frame.report);
      case "heartbeat":
        return this.#heartbeat(frame.running);
      case "released":
        return this.#released(frame.runId, frame.invocation);
      case "needState":
        if (!isRunId(frame.runId)) return this.#break(`needState: ${frame.runId} is not a run id`);
        return this.#needState(frame.runId, frame.invocation);
      case "drain":
        return this.#deps.pool.drain(this.#worker);
      case "leaving":
        return this.#leaving(frame.running);
    }
  }

  writable(): void {
    this.#deps.pool.serve();
    this.#readStates();
  }

  /** The connection is gone. Idempotent. */
  detach(): void {
    this.#closed.abort();
    this.#deps.pool.remove(this.#worker);
  }

  /** What a draining worker lets go of is on its way to another one at once; its steps have ended. */
  #released(runId: string, invocation: number): void {
    const { pool, givenBack } = this.#deps;
    const isOut = this.#worker.inFlight.get(runId)?.invocation === invocation;
    pool.release(this.#worker, runId, invocation);
    if (isOut && this.#worker.isDraining) givenBack.giveBack({ runId, invocation });
  }

  /**
   * What was sent and the worker did not get any more, or not begin, would else wait for a lease that nobody has. What was
   * not sent yet goes to another worker as it is: given back too, it would be worked on twice.
   */
  #leaving(running: RunningInvocations): void {
    const { pool, givenBack } = this.#deps;
    pool.drain(this.#worker);
    const begun = new Map(running.map(({ runId, invocation }) => [runId, invocation]));
    for (const [runId, { invocation, isSent, isEnding }] of [...this.#worker.inFlight]) {
      if (!isSent || isEnding || begun.get(runId) === invocation) continue;
      pool.release(this.#worker, runId, invocation);
      givenBack.giveBack({ runId, invocation });
    }
  }

  #report(seq: number, report: StepReport): void {
    const { runId } = report;
    if (!isRunId(runId)) return this.#break(`report: ${runId} is not a run id`);
    this.#deps.times.reported(report);
    const out = this.#worker.inFlight.get(runId);
    if (report.outcome !== null && out?.invocation === report.invocation) out.isEnding = true;
    void this.#append(seq, report);
  }

  async #append(seq: number, report: StepReport): Promise<void> {
    const { lanes, pool, logger, app } = this.#deps;
    const { link } = this.#worker;
    const { runId, invocation, outcome } = report;
    const partition = partitionOfShard(shardOfRun(runId), lanes.partitions);
    try {
      await lanes.append(partition, [{ key: runId, value: encodeInbox({ kind: "report", report }) }]);
    } catch (err) {
      if (err instanceof BadRecordError) {
        const out = this.#worker.inFlight.get(runId);
        if (out?.invocation === invocation) out.isEnding = false;
        return link.send({ kind: "nack", seq, code: "REPORT_TOO_LARGE", message: err.message });
      }
      // Whether the log has it is unknown: the worker has to say it again, on a new connection.
      logger.warn({ err, app, runId, invocation }, "a report could not be written");
      return link.close(CLOSE_CODES.tryAgain, "the log does not take reports now; connect again");
    }
    link.send({ kind: "ack", seq });
    if (outcome?.kind === "threw") pool.failedAt(runId, this.#worker.id);
    if (outcome !== null) this.#release(pool, runId, invocation);
  }

  /** The slot is with whichever connection the worker has now. */
  #release(pool: WorkerPool, runId: string, invocation: number): void {
    for (const [worker] of pool.outOf(runId)) {
      if (worker.id === this.#worker.id) pool.release(worker, runId, invocation);
    }
  }

  #heartbeat(running: RunningInvocations): void {
    const bad = running.find(({ runId }) => !isRunId(runId));
    if (bad !== undefined) return this.#break(`heartbeat: ${bad.runId} is not a run id`);
    this.#reconcile(new Map(running.map(({ runId, invocation }) => [runId, invocation])));
    this.#deps.heartbeats.add(this.#worker.link, running);
    for (const { runId, invocation } of running) void this.#abortIfOver(runId, invocation);
  }

  /**
   * A worker that was away when its run was cancelled has missed the abort: it would go on, step by step, and each
   * report would be dropped. So what it says it runs is looked up.
   */
  async #abortIfOver(runId: string, invocation: number): Promise<void> {
    const { states, aborts, logger, app } = this.#deps;
    const { link, inFlight } = this.#worker;
    const cause = inFlight.get(runId)?.cause ?? null;
    try {
      const isOver =
        aborts.isAborted(runId, cause) ||
        (await states.isOver({ runId, invocation, atOffset: cause?.offset ?? null }, this.#closed.signal));
      // Its own end may be on the way, or its next invocation here already: then there is nothing to abort.
      const out = inFlight.get(runId);
      if (isOver && out?.invocation === invocation && !out.isEnding) link.send({ kind: "abort", runId });
    } catch (err) {
      logger.debug(
        { err, app, runId, invocation },
        "could not tell whether a run still lives; the next heartbeat asks again",
      );
    }
  }

  /**
   * Slots follow what the worker says it runs: what it had before it connected takes a slot, and a request that did not
   * reach it gives its slot back. Frames of a connection are in order, so a request sent before the former heartbeat
   * came has arrived before this one was written.
   */
  #reconcile(running: ReadonlyMap<string, number>): void {
    const { inFlight } = this.#worker;
    for (const [runId, out] of inFlight) {
      if (!out.isSent) continue;
      out.heartbeats += 1;
      const isMissing = (running.get(runId) ?? 0) < out.invocation;
      if (isMissing && !out.isEnding && out.heartbeats >= MISSING_HEARTBEATS) {
        this.#deps.pool.release(this.#worker, runId, out.invocation);
      }
    }
    for (const [runId, invocation] of running) {
      if (inFlight.has(runId)) continue;
      inFlight.set(runId, { invocation, cause: null, isSent: true, isEnding: false, heartbeats: 1 });
    }
  }

  #needState(runId: string, invocation: number): void {
    const out = this.#worker.inFlight.get(runId);
    const atOffset = out?.invocation === invocation ? (out.cause?.offset ?? null) : null;
    this.#wanted.push({ runId, invocation, atOffset });
    this.#readStates();
  }

  /** Runs may be large: few are read at once, and none while the worker has not taken what it was sent. */
  #readStates(): void {
    while (this.#reading < STATES_MAX && !this.#worker.link.isCongested && !this.#closed.signal.aborted) {
      const wanted = this.#wanted.shift();
      if (wanted === undefined) return;
      this.#reading += 1;
      void this.#answerState(wanted);
    }
  }

  async #answerState(wanted: WantedState): Promise<void> {
    const { states, pool, clock, logger, app } = this.#deps;
    const { runId, invocation } = wanted;
    const { signal } = this.#closed;
    let hasFailed = false;
    try {
      const state = await states.stateOf(wanted, signal);
      if (state !== undefined) this.#worker.link.send({ kind: "state", runId, invocation, state });
      if (state === null) pool.release(this.#worker, runId, invocation);
    } catch (err) {
      logger.warn({ err, app, runId, invocation }, "the state of a run could not be read, trying again");
      hasFailed = true;
    }
    this.#reading -= 1;
    this.#readStates();
    if (!hasFailed) return;
    await clock.sleep(STATE_RETRY_MS);
    if (signal.aborted) return;
    this.#wanted.push(wanted);
    this.#readStates();
  }

  #break(reason: string): void {
    this.#worker.link.close(CLOSE_CODES.brokenFrame, reason);
  }
}
