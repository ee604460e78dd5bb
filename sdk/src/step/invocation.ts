/** One invocation of a run, as the step engine sees it: the worker gives it, and hears of its end. */
import type { InvocationOutcome, StepOp } from "@eddy/schemas";
import type { RunMemory } from "./run-memory.js";

/** Why an invocation ends without telling the engine, which delivers the run again where it is still alive. */
export type StopReason =
  /** The run was cancelled. */
  | "aborted"
  /** Too little of the lease is left to begin another step. */
  | "leaseShort"
  /** The lease is over. */
  | "leaseLost"
  /** The worker closes: no further steps here. */
  | "draining"
  /** A newer invocation of the run is here. */
  | "superseded"
  /** The gateway did not take a report. */
  | "refused";

/**
 * suspended: the handler waits, or has yielded. failed: it threw and may be tried again. finished: the run is over. released: no outcome
 * was reported.
 */
export type InvocationEnd = "suspended" | "failed" | "finished" | "released";

/** How long a handler may seem to do nothing, in ms; see S5 and S6 of session.ts. */
export interface Graces {
  readonly idleGraceMs: number;
  readonly replayGraceMs: number;
}

export interface Invocation {
  readonly no: number;
  /** Failed attempts of steps. */
  readonly stepAttempts: ReadonlyMap<string, number>;
  readonly maxAttempts: number;
  /** Steps that the engine holds: neither asked for again nor tried again. null where the request did not say. */
  readonly pending: ReadonlySet<string> | null;
  /** Steps that the engine gave up because they had lost a race. null where the request did not say. */
  readonly withdrawn: ReadonlySet<string> | null;
  /** Why no further step may begin now; null: it may. */
  heldBack(): StopReason | null;
  /** Resolves once the log has it; rejects if it never will. One at a time. */
  report(ops: readonly StepOp[], outcome: InvocationOutcome | null): Promise<void>;
  /** The last call of an invocation. Nothing of it runs any more, but for user code that ignores its signal. */
  ended(end: InvocationEnd): void;
}

/** Steps that a handler had come to before this invocation: those that are recorded, failed, held or given up. */
export function stepsAskedBefore(invocation: Invocation, memory: RunMemory): Set<string> {
  const { stepAttempts, pending, withdrawn } = invocation;
  const recorded = [...memory.entries()].map(({ stepId }) => stepId);
  return new Set([...recorded, ...stepAttempts.keys(), ...(pending ?? []), ...(withdrawn ?? [])]);
}
