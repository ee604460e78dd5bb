/** Answers what a worker lacks to re-enter a handler, from the partition that owns the run. */
import { partitionOfShard, shardOfRun, type RunState } from "@eddy/schemas";
import type { Clock } from "../ports/clock.js";

/** As much of a partition task as is asked here. */
export interface RunStateSource {
  readonly status: string;
  /** null: the run is over, or another invocation is current. */
  runState(runId: string, invocation: number): Promise<RunState | null>;
  time(): { readonly processedOffset: number };
}

export interface RunStates {
  /**
   * @param atOffset the inbox record that caused the request: an answer from before it would be a lie. null: unknown.
   * @returns null where the run or this invocation of it is over; undefined when `signal` aborts before an answer.
   */
  stateOf(
    wanted: { readonly runId: string; readonly invocation: number; readonly atOffset: number | null },
    signal: AbortSignal,
  ): Promise<RunState | null | undefined>;
}

const LOOK_AGAIN_MS = 20;

/** Waits while a partition is taken over, or has not replayed as far as the request. */
export function runStatesOf(sources: readonly RunStateSource[], clock: Clock): RunStates {
  return {
    async stateOf({ runId, invocation, atOffset }, signal) {
      const source = sources[partitionOfShard(shardOfRun(runId), sources.length)] as RunStateSource;
      while (!signal.aborted) {
        const isThere = source.status === "running" && (atOffset === null || source.time().processedOffset >= atOffset);
        if (isThere) return source.runState(runId, invocation);
        // Without the signal: many may be waiting on the one of their connection, and the pause is short.
        await clock.sleep(LOOK_AGAIN_MS);
      }
      return undefined;
    },
  };
}
