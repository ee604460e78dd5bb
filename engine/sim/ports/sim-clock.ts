import type { Clock } from "@eddy/clients";
import type { SimProcess } from "../process.js";
import type { Scheduler } from "../scheduler.js";

/** The clock of one process: virtual time with that process's skew. Only good for pacing, as the port says. */
export class SimClock implements Clock {
  readonly #scheduler: Scheduler;
  readonly #process: SimProcess;

  constructor(scheduler: Scheduler, process: SimProcess) {
    this.#scheduler = scheduler;
    this.#process = process;
  }

  nowMs(): number {
    return this.#process.nowMs;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return;
    const { done, wake } = this.#scheduler.suspendWakeable(this.#process, {
      kind: "sleep",
      what: `sleep ${ms}`,
      delayMs: Math.max(0, Math.ceil(ms)),
      act: () => undefined,
    });
    signal?.addEventListener("abort", wake, { once: true });
    await done;
    signal?.removeEventListener("abort", wake);
  }
}
