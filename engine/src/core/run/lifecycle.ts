/**
 * States of a live run. They are read off its row, never stored beside it:
 *
 *   delayed ──(ts)──> executing ──(suspended)──> waiting
 *                      ^   |  ^                     |
 *                      |   |  └──(timer, event)─────┘
 *                      |   └──(failed attempt)──> backing off ──(timer)──> executing
 *
 *   from any: completed, failed, cancelled: the row is deleted.
 */
import type { Row } from "../state/view.js";

export type RunState = "delayed" | "executing" | "backingOff" | "waiting";

/** A request is out and its invocation has not reported an end. */
export function isInFlight(run: Row<"run">): boolean {
  return run.invocation.cause !== null;
}

/** In flight, or about to be again by itself: what it has done so far may have caused events that it will wait for. */
export function isExecuting(run: Row<"run">): boolean {
  return isInFlight(run) || run.pending.some((item) => item.kind === "retry");
}

export function stateOf(run: Row<"run">): RunState {
  if (isInFlight(run)) return "executing";
  if (run.pending.some((item) => item.kind === "start")) return "delayed";
  return isExecuting(run) ? "backingOff" : "waiting";
}

/** Does it listen for waits at this key of its own partition? */
export function listensAt({ subscriptions }: Row<"run">, routeKey: string): boolean {
  return subscriptions.some((s) => s.purpose === "wait" && s.routeKey === routeKey);
}
