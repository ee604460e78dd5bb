/**
 * Answers what a worker lacks to re-enter a handler: from the partition that owns the run where this process has it.
 * Elsewhere the question is declined over the log: the owner sends the whole run again, as its next invocation.
 */
import { partitionOfShard, shardOfRun, type RunState } from "@eddy/schemas";
import { invariant } from "../errors/codes.js";
import type { Clock } from "../ports/clock.js";
import type { InboxLanes } from "../send/inbox-lanes.js";
import { decline } from "./decline.js";

/** As much of a partition task as is asked here. */
export interface RunStateSource {
  readonly status: string;
  /** null: the run is over, or another invocation is current. */
  runState(runId: string, invocation: number): Promise<RunState | null>;
  /** Would `runState` give one? Without putting it together: it may be large. */
  isCurrent(runId: string, invocation: number): Promise<boolean>;
  time(): { readonly processedOffset: number };
}

export interface WantedState {
  readonly runId: string;
  readonly invocation: number;
  /** The inbox record that caused the request: an answer from before it would be a lie. null: unknown. */
  readonly atOffset: number | null;
}

export interface RunStates {
  /**
   * @returns null where the worker has to drop the request: the run or this invocation of it is over, or it was declined
   * and comes again; undefined when `signal` aborts before an answer.
   */
  stateOf(wanted: WantedState, signal: AbortSignal): Promise<RunState | null | undefined>;
  /** Is the run, or this invocation of it, known to be over? false where this process cannot know. Changes nothing. */
  isOver(wanted: WantedState, signal: AbortSignal): Promise<boolean>;
}

const LOOK_AGAIN_MS = 20;

/**
 * From sources for all partitions, by number. Waits while a partition is taken over, or has not replayed as far as the
 * request.
 */
export function runStatesOf(sources: readonly RunStateSource[], clock: Clock): RunStates {
  return sourced({
    clock,
    sourceOf: ({ runId }) => sources[partitionOfShard(shardOfRun(runId), sources.length)] ?? null,
    otherwise: null,
  });
}

/**
 * For a process that owns no partition. `stateOf` resolves with null once the inbox of the run's partition has the
 * record that asks for the whole run. @throws TransientError as `lanes` does
 */
export function decliningRunStates(lanes: InboxLanes, partitions: number): RunStates {
  invariant(lanes.partitions === partitions, "runs lie where the lanes lead", { partitions, lanes: lanes.partitions });
  return {
    async stateOf(wanted) {
      await decline(lanes, wanted);
      return null;
    },
    isOver: () => Promise.resolve(false),
  };
}

export interface OwnedRunStates {
  readonly partitions: number;
  /** null: this process does not own the partition. Asked anew each time. */
  readonly sourceOf: (partition: number) => RunStateSource | null;
  readonly elsewhere: RunStates;
  readonly clock: Clock;
}

/** Local sources where this process owns the partition and it is running, else what `elsewhere` says. */
export function ownedRunStates({ partitions, sourceOf, elsewhere, clock }: OwnedRunStates): RunStates {
  return sourced({
    clock,
    sourceOf: ({ runId }) => sourceOf(partitionOfShard(shardOfRun(runId), partitions)),
    otherwise: elsewhere,
  });
}

interface Sourced {
  readonly clock: Clock;
  readonly sourceOf: (wanted: WantedState) => RunStateSource | null;
  /** Asked where there is no running source; null: one is waited for. */
  readonly otherwise: RunStates | null;
}

function sourced({ clock, sourceOf, otherwise }: Sourced): RunStates {
  /** @returns the source once it has seen what caused the request; null where there is none, or `signal` aborted. */
  const ready = async (wanted: WantedState, signal: AbortSignal): Promise<RunStateSource | null> => {
    while (!signal.aborted) {
      const source = sourceOf(wanted);
      const isRunning = source?.status === "running";
      if (!isRunning && otherwise !== null) return null;
      if (isRunning && (wanted.atOffset === null || source.time().processedOffset >= wanted.atOffset)) return source;
      // Without the signal: many may be waiting on the one of their connection, and the pause is short.
      await clock.sleep(LOOK_AGAIN_MS);
    }
    return null;
  };
  return {
    async stateOf(wanted, signal) {
      const source = await ready(wanted, signal);
      if (source !== null) return source.runState(wanted.runId, wanted.invocation);
      return signal.aborted ? undefined : otherwise?.stateOf(wanted, signal);
    },
    async isOver(wanted, signal) {
      const source = await ready(wanted, signal);
      if (source !== null) return !(await source.isCurrent(wanted.runId, wanted.invocation));
      return signal.aborted || otherwise === null ? false : otherwise.isOver(wanted, signal);
    },
  };
}
