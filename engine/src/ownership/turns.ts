/** How many may do something costly at once; the others wait, first come first served. */
export class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** @param atOnce at least 1. */
  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  /** @returns what gives the turn back, to be called once; null when `signal` aborts before it is ours. */
  take(signal: AbortSignal): Promise<(() => void) | null> {
    if (signal.aborted) return Promise.resolve(null);
    const giveBack = (): void => {
      this.#free += 1;
      this.#waiting.shift()?.();
    };
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve(giveBack);
    }
    return new Promise((resolve) => {
      const giveUp = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        resolve(null);
      };
      const enter = (): void => {
        signal.removeEventListener("abort", giveUp);
        this.#free -= 1;
        resolve(giveBack);
      };
      this.#waiting.push(enter);
      signal.addEventListener("abort", giveUp, { once: true });
    });
  }
}
