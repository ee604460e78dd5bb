/** What an invocation has to report, in order. A report is bounded in bytes: a Kafka record holds 6 MiB. */
import type { StepOp } from "@eddy/schemas";

/** One report, in bytes. */
export const REPORT_BYTES_MAX = 5 * 1_048_576;

export class Outbox {
  #ops: StepOp[] = [];

  push(op: StepOp): void {
    this.#ops.push(op);
  }

  get isEmpty(): boolean {
    return this.#ops.length === 0;
  }
  /** More than one report's worth waits: what does not fit goes ahead of the one that ends the invocation. */
  get overflows(): boolean {
    const bytes = this.#ops.reduce((sum, op) => sum + bytesOf(op), 0);
    return this.#ops.length > 1 && bytes > REPORT_BYTES_MAX;
  }

  /** Takes out as many as go into one report; at least one, if there is one. */
  take(): StepOp[] {
    let bytes = 0;
    let count = 0;
    for (const op of this.#ops) {
      bytes += bytesOf(op);
      if (count > 0 && bytes > REPORT_BYTES_MAX) break;
      count += 1;
    }
    return this.#ops.splice(0, count);
  }

  /** Takes back what was to be asked of the engine about a step. */
  drop(stepId: string): void {
    this.#ops = this.#ops.filter((op) => op.stepId !== stepId);
  }
}

function bytesOf(op: StepOp): number {
  return op.kind === "stepCompleted" ? op.data.length : 0;
}
