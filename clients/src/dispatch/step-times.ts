/**
 * How long steps take, as the process sees it that hands them out: from a request, or the last report on it, to the
 * report with the step's result. What waits in a worker for its turn counts as the step's.
 */
import { LRUCache } from "lru-cache";
import type { StepReport, StepRequest } from "@eddy/schemas";
import type { Clock } from "../ports/clock.js";
import type { Meter } from "../ports/meter.js";

/** Runs that are remembered; of others the next step is not measured. */
const RUNS_MAX = 100_000;

interface Going {
  readonly functionId: string;
  readonly invocation: number;
  sinceMs: number;
}

export class StepTimes {
  readonly #clock: Clock;
  readonly #meter: Meter;
  readonly #going = new LRUCache<string, Going>({ max: RUNS_MAX });

  constructor({ clock, meter }: { readonly clock: Clock; readonly meter: Meter }) {
    this.#clock = clock;
    this.#meter = meter;
  }

  /** A request has left for its worker. */
  sent({ runId, functionId, invocation }: Pick<StepRequest, "runId" | "functionId" | "invocation">): void {
    this.#going.set(runId, { functionId, invocation, sinceMs: this.#clock.nowMs() });
  }

  /** A worker has reported. */
  reported({ runId, invocation, ops, outcome }: StepReport): void {
    const going = this.#going.get(runId);
    if (going?.invocation !== invocation) return;
    const nowMs = this.#clock.nowMs();
    const labels = { function: going.functionId };
    for (const { kind } of ops) {
      if (kind !== "stepCompleted" && kind !== "stepFailed") continue;
      this.#meter.observe("eddy_step_seconds", (nowMs - going.sinceMs) / 1_000, labels);
    }
    if (outcome === null) going.sinceMs = nowMs;
    else this.#going.delete(runId);
  }
}
