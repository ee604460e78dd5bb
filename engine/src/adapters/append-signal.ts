import type { Offset } from "@eddy/schemas";

/** Who waits for a record of one partition that is not there yet. */
export class AppendSignal {
  readonly #waiting = new Map<() => void, Offset>();

  /** Calls `wake` once, when `announce` is told of an end behind `from`. @returns takes the call back. */
  wait(from: Offset, wake: () => void): () => void {
    this.#waiting.set(wake, from);
    return () => void this.#waiting.delete(wake);
  }

  /** @param end the offset after the newest record that may be read. */
  announce(end: Offset): void {
    for (const [wake, from] of this.#waiting) {
      if (from >= end) continue;
      this.#waiting.delete(wake);
      wake();
    }
  }
}
