/**
 * A simulated worker: takes step requests from the partitions that its group gives it, says what was delivered, keeps
 * its leases with heartbeats, and runs invocations (invocation.ts). A request is run only after its delivery was
 * committed, so that no other worker can get it too.
 */
import {
  decodeSignal,
  decodeStepsRecord,
  encodeInbox,
  HEARTBEAT_MS,
  LEASE_MS,
  offset,
  type Cause,
  type InboxRecord,
  type RunState,
  type StepRequest,
} from "@eddy/schemas";
import { FencedError, TransientError } from "@eddy/clients/errors";
import { takeRecord, type Gathered, type LogRecord, type Topics } from "@eddy/clients";
import type { SimClock } from "../ports/sim-clock.js";
import type { SimLog } from "../ports/sim-log.js";
import type { Prng } from "../prng.js";
import type { SimProcess } from "../process.js";
import type { Scheduler } from "../scheduler.js";
import type { Memo, Script } from "../script/script.js";
import type { Facts } from "./facts.js";
import type { Group, Member } from "./group.js";
import { Invocation } from "./invocation.js";
import type { SimEvent } from "./send.js";

/** How a worker misbehaves; the protocol must hold all the same. */
export interface Habits {
  /** Goes on though its lease is over. */
  readonly ignoresLease: boolean;
  /** Chance that a report is appended twice, or long after it was due. */
  readonly twice: number;
  readonly late: number;
  /** Reports the last step and the outcome in one report, or each for itself. */
  readonly merges: boolean;
  /** Reports failures of steps as they come, ahead of the outcome. */
  readonly splits: boolean;
  /** Asks again for what the engine holds, and tries failed steps before their time. */
  readonly ignoresPending: boolean;
  /**
   * Chance that this worker's host does not own the partition of a run whose state it lacks: then it asks nobody, but
   * declines the request through the inbox, and the engine sends it again, whole.
   */
  readonly declines: number;
  /** Runs requests again that it has had: a planted bug. */
  readonly forgetsMark?: boolean;
}

export interface WorkerDeps {
  readonly process: SimProcess;
  readonly log: SimLog;
  readonly clock: SimClock;
  readonly scheduler: Scheduler;
  readonly rng: Prng;
  readonly topics: Topics;
  readonly app: string;
  readonly group: Group;
  readonly scripts: ReadonlyMap<string, Script>;
  /** Of its code. */
  readonly version: number;
  readonly facts: Facts;
  readonly habits: Habits;
  /** "unavailable": nobody can answer now. */
  readonly askState: (partition: number, runId: string, invocation: number) => Promise<RunState | null | "unavailable">;
  readonly send: (event: SimEvent) => Promise<void>;
  /** End of an inbox partition, for the judge. */
  readonly inboxEnd: (partition: number) => number;
}

interface Assignment {
  readonly partition: number;
  readonly generation: number;
  active: boolean;
  /** Delivered and committed up to here. */
  mark: Cause | null;
  /** Parts of the next request. */
  gathered: Gathered | null;
  announced: Cause | null;
  announcing: boolean;
}

/** A handler that may be resumed: what its last invocation here knew. */
export interface Suspended {
  readonly invocation: number;
  readonly event: Uint8Array;
  readonly memo: Memo;
}

export interface Running {
  readonly runId: string;
  readonly invocation: number;
  readonly partition: number;
  /** By this process's clock: the last moment that surely lies before a heartbeat or the delivery was logged. */
  heardAtMs: number;
  aborted: boolean;
}

const CACHE_MAX = 8;

export class SimWorker implements Member {
  readonly deps: WorkerDeps;
  readonly cache = new Map<string, Suspended>();
  readonly #assignments = new Map<number, Assignment>();
  readonly #running = new Set<Running>();
  #heartbeats = false;

  constructor(deps: WorkerDeps) {
    this.deps = deps;
  }

  get process(): SimProcess {
    return this.deps.process;
  }
  get idle(): boolean {
    return this.#running.size === 0;
  }

  start(): void {
    this.deps.group.join(this);
    void this.#readSignals();
  }

  assigned(partition: number, generation: number): void {
    const nothing = { mark: null, gathered: null, announced: null };
    const assignment = { partition, generation, active: true, ...nothing, announcing: false };
    this.#assignments.set(partition, assignment);
    void this.#consume(assignment);
  }

  revoked(partition: number): void {
    const assignment = this.#assignments.get(partition);
    if (assignment !== undefined) assignment.active = false;
  }

  /** Is more than a third of the lease left, by our own clock? */
  holdsLease(running: Running): boolean {
    return this.deps.habits.ignoresLease || this.#leaseIsFresh(running);
  }
  #leaseIsFresh({ heardAtMs }: Running): boolean {
    return this.process.nowMs - heardAtMs < (LEASE_MS * 2) / 3;
  }

  remember(runId: string, suspended: Suspended): void {
    this.cache.delete(runId);
    this.cache.set(runId, suspended);
    const oldest = this.cache.keys().next();
    if (this.cache.size > CACHE_MAX && oldest.done !== true) this.cache.delete(oldest.value);
  }

  /** Appends until the log says yes, as a worker does; may store the record more than once. */
  async append(partition: number, record: InboxRecord): Promise<void> {
    const records = [{ key: null, value: encodeInbox(record) }];
    await this.retrying(() => this.deps.log.append(this.deps.topics.inbox, partition, records));
  }

  async retrying<T>(action: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await action();
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
        await this.deps.clock.sleep(this.deps.rng.between(10, 500));
      }
    }
  }

  async #consume(assignment: Assignment): Promise<void> {
    const { log, topics, app } = this.deps;
    const { partition } = assignment;
    const steps = topics.steps(app);
    const committed = await this.retrying(() => log.groupOffset(app, steps, partition));
    if (committed !== null) assignment.mark = JSON.parse(committed.metadata) as Cause;
    if (assignment.mark !== null) void this.#announce(assignment); // work that was lost in between gets its lease
    const reader = log.reader(steps, partition, committed?.offset ?? offset(0));
    while (assignment.active) {
      const records = await this.retrying(() => reader.read({ recordsMax: 20, waitMs: 300_000 }));
      if (records.length === 0 || !assignment.active) continue;
      const receivedAtMs = this.process.nowMs;
      const fresh = this.#fresh(assignment, records);
      if (!(await this.#commit(assignment, assignment.gathered?.from ?? reader.position))) break;
      if (assignment.announced !== assignment.mark) void this.#announce(assignment);
      for (const request of fresh) this.#run(request, partition, receivedAtMs);
    }
    await reader.close();
  }

  /** Requests behind the mark; repeats are dropped. */
  #fresh(assignment: Assignment, records: readonly LogRecord[]): StepRequest[] {
    const fresh: StepRequest[] = [];
    const { facts, habits } = this.deps;
    for (const { value, offset: at } of records) {
      const record = decodeStepsRecord(value as Uint8Array);
      const taken = takeRecord(record, at, assignment);
      if (taken.kind === "part") {
        assignment.gathered = taken.gathered;
        facts.count("parts of requests");
      } else if (taken.kind !== "repeat") {
        if (taken.kind === "torn") facts.failures.push(`a request without its parts at offset ${at}`);
        else fresh.push(taken.request);
        assignment.mark = taken.cause;
        assignment.gathered = null;
      } else if (habits.forgetsMark === true && record.kind === "request") fresh.push(record.body);
    }
    return fresh;
  }

  /** @returns false when the group has given the partition to somebody else. */
  async #commit(assignment: Assignment, at: LogRecord["offset"]): Promise<boolean> {
    const { log, topics, app, group } = this.deps;
    const where = { topic: topics.steps(app), partition: assignment.partition };
    const to = { offset: at, metadata: JSON.stringify(assignment.mark) };
    const isMember = (): boolean => group.generationOf(assignment.partition) === assignment.generation;
    try {
      await this.retrying(() => log.commitAsMember(app, where, to, isMember));
      return true;
    } catch (error) {
      if (!(error instanceof FencedError)) throw error;
      assignment.active = false;
      return false;
    }
  }

  /** At most once a second while the mark moves. */
  async #announce(assignment: Assignment): Promise<void> {
    if (assignment.announcing) return;
    assignment.announcing = true;
    while (assignment.mark !== null && assignment.announced !== assignment.mark) {
      const mark = assignment.mark;
      await this.append(assignment.partition, { kind: "delivered", app: this.deps.app, mark });
      assignment.announced = mark;
      await this.deps.clock.sleep(1_000);
    }
    assignment.announcing = false;
  }

  #run(request: StepRequest, partition: number, heardAtMs: number): void {
    const running = { runId: request.runId, invocation: request.invocation, partition, heardAtMs, aborted: false };
    this.#running.add(running);
    if (!this.#heartbeats) void this.#heartbeat();
    void new Invocation(this, request, running).run().finally(() => this.#running.delete(running));
  }

  async #heartbeat(): Promise<void> {
    this.#heartbeats = true;
    for (;;) {
      await this.deps.clock.sleep(HEARTBEAT_MS);
      if (this.#running.size === 0) break;
      for (const partition of new Set([...this.#running].map((r) => r.partition))) {
        const running = [...this.#running].filter((r) => r.partition === partition);
        const sentAtMs = this.process.nowMs;
        const listed = running.map(({ runId, invocation }) => ({ runId, invocation }));
        await this.append(partition, { kind: "heartbeat", app: this.deps.app, running: listed });
        // A lease that may be over stays over: the log took the heartbeat, but the engine may have given the run away.
        for (const r of running) if (this.#leaseIsFresh(r)) r.heardAtMs = sentAtMs;
      }
    }
    this.#heartbeats = false;
  }

  async #readSignals(): Promise<void> {
    const { log, topics, app } = this.deps;
    const topic = topics.signals(app);
    const { end } = await this.retrying(() => log.offsets(topic, 0));
    const reader = log.reader(topic, 0, end);
    for (;;) {
      const records = await this.retrying(() => reader.read({ recordsMax: 100, waitMs: 3_600_000 }));
      for (const { value } of records) {
        const { runId } = decodeSignal(value as Uint8Array).body;
        for (const running of this.#running) if (running.runId === runId) running.aborted = true;
      }
    }
  }
}
