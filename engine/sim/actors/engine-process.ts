/**
 * A machine that runs engine processes, one after the other, on one disk. A process takes the partitions that its group
 * gives it, one task each, and gives a partition a new task when the old one has closed though it is still the owner.
 */
import type { RunState } from "@eddy/schemas";
import type { Core } from "../../src/core/index.js";
import { ClosedError, TransientError } from "@eddy/clients/errors";
import { PartitionTask } from "../../src/partition/task.js";
import type { PartitionOptions } from "../../src/partition/options.js";
import { type Clock, type Log, type Logger, NO_METER, type Topics } from "@eddy/clients";
import type { StoreFactory } from "../../src/ports/store.js";
import type { SimProcess } from "../process.js";
import type { Answer } from "./facts.js";
import type { Group, Member } from "./group.js";

export interface EnginePorts {
  readonly core: Core;
  readonly log: Log;
  readonly stores: StoreFactory;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface EngineDeps {
  readonly process: SimProcess;
  readonly ports: EnginePorts;
  readonly topics: Topics;
  readonly partitions: number;
  readonly group: Group;
  readonly options: Partial<PartitionOptions>;
  /** End of an inbox partition, for the judge. */
  readonly inboxEnd: (partition: number) => number;
  /** Told what was answered, and as of when. */
  readonly onAnswer: (answer: Answer) => void;
  /** Told why a task closed by itself. */
  readonly onFailure: (partition: number, error: Error) => void;
}

interface Seat {
  wanted: boolean;
  task: PartitionTask | null;
  /** Loops until the partition is no longer ours. */
  running: boolean;
}

export class EngineProcess implements Member {
  readonly #deps: EngineDeps;
  readonly #seats = new Map<number, Seat>();
  #stopping = false;

  constructor(deps: EngineDeps) {
    this.#deps = deps;
  }

  get process(): SimProcess {
    return this.#deps.process;
  }

  start(): void {
    this.#deps.group.join(this);
  }

  assigned(partition: number): void {
    if (this.#stopping) return;
    const seat = this.#seats.get(partition) ?? { wanted: false, task: null, running: false };
    this.#seats.set(partition, seat);
    seat.wanted = true;
    if (!seat.running) void this.#serve(partition, seat);
  }

  revoked(partition: number): void {
    const seat = this.#seats.get(partition);
    if (seat === undefined) return;
    seat.wanted = false;
    void seat.task?.stop();
  }

  taskOf(partition: number): PartitionTask | null {
    return this.#seats.get(partition)?.task ?? null;
  }

  /** Null: the run, or this invocation of it, is over. */
  async runState(partition: number, runId: string, invocation: number): Promise<RunState | null | "unavailable"> {
    const task = this.taskOf(partition);
    if (task === null) return "unavailable";
    try {
      const { state, answer } = await askTask(task, { runId, invocation }, () => this.#deps.inboxEnd(partition));
      this.#deps.onAnswer(answer);
      return state;
    } catch (error) {
      if (error instanceof TransientError || error instanceof ClosedError) return "unavailable";
      throw error;
    }
  }

  /** Ends all tasks in good order. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const [partition] of this.#seats) this.revoked(partition);
    for (const { task } of this.#seats.values()) await task?.closed;
  }

  async #serve(partition: number, seat: Seat): Promise<void> {
    const { ports, topics, partitions, options, onFailure } = this.#deps;
    seat.running = true;
    while (seat.wanted) {
      const task = new PartitionTask({ ...ports, meter: NO_METER, topics, partition, partitions, options });
      seat.task = task;
      task.start().catch(() => undefined); // why it did not start is its `failure`
      await task.closed;
      seat.task = null;
      if (task.failure !== null) onFailure(partition, task.failure);
      if (seat.wanted) await ports.clock.sleep(1_000);
    }
    seat.running = false;
  }
}

/** Asks a task, and says as of when its answer must be right. @throws as the task does */
export async function askTask(
  task: Pick<PartitionTask, "runState" | "time">,
  { runId, invocation }: Pick<Answer, "runId" | "invocation">,
  inboxEnd: () => number,
): Promise<{ readonly state: RunState | null; readonly answer: Answer }> {
  const { processedOffset: fromOffset } = task.time();
  const state = await task.runState(runId, invocation);
  // Not the task's own time now: it may have lost the partition while the row was read, and then it has none.
  const toOffset = inboxEnd() - 1;
  return { state, answer: { runId, invocation, fromOffset, toOffset, memo: state?.memo ?? null } };
}
