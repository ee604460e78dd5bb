/** What the actors did and saw, for the judge; no part of the simulated world can read it. */
import type { MemoEntry } from "@eddy/schemas";

/** User code of a step began to run. */
export interface Execution {
  readonly runId: string;
  readonly stepId: string;
  readonly invocation: number;
  readonly worker: string;
  /** Of the worker's code: which version of the function it ran. */
  readonly version: number;
  /** Did this worker hold to its lease? */
  readonly honest: boolean;
  /** End of the run's inbox partition at that moment: what stood before it was recorded before. */
  readonly inboxEnd: number;
  readonly atMs: number;
}

/** A worker entered a handler. */
export interface Entry {
  readonly runId: string;
  readonly invocation: number;
  /** Of the worker's code. */
  readonly version: number;
  /** What the handler was given as its memo. */
  readonly memo: readonly MemoEntry[];
}

/** An engine process was asked what a worker needs to re-enter a run. */
export interface Answer {
  readonly runId: string;
  readonly invocation: number;
  /**
   * The answer is as of some moment between these: the last record that the process had applied whole when it was asked,
   * and the last one of the log when it answered.
   */
  readonly fromOffset: number;
  readonly toOffset: number;
  /** null: it said that the run, or this invocation of it, is over. */
  readonly memo: readonly MemoEntry[] | null;
}

/** Somebody was told that the log has an event. */
export interface Acknowledged {
  readonly eventId: string;
  /** Where the sender wrote a copy, by the routes that it knew. */
  readonly partitions: readonly number[];
  /** Virtual time. */
  readonly atMs: number;
}

export class Facts {
  readonly executions: Execution[] = [];
  readonly entries: Entry[] = [];
  readonly answers: Answer[] = [];
  readonly acknowledged: Acknowledged[] = [];
  /** Why a task closed by itself, where that tells of a bug. */
  readonly failures: string[] = [];
  /** How often each kind of trouble was met. */
  readonly counts = new Map<string, number>();

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}
