/**
 * Tells when a handler has come to rest, as far as that can be seen: no step was asked for or settled during a whole
 * turn of the event loop, after all promise callbacks.
 *
 * It also keeps a balance. Whatever the handler gets (its start, a step's result) is normally answered by something that
 * it asks for. More got than asked means that a part of the handler either waits for other steps (`Promise.all`) or does
 * work of its own outside of steps; the two look the same from here.
 */
import type { WorkerClock } from "./clock.js";

export class QuietTurn {
  readonly #clock: WorkerClock;
  readonly #onQuiet: () => void;
  #touched = 0;
  #isScheduled = false;
  /** Got minus asked since the last quiet turn. */
  #window = 0;
  #unanswered = 0;

  constructor(clock: WorkerClock, onQuiet: () => void) {
    this.#clock = clock;
    this.#onQuiet = onQuiet;
  }

  /** Something happened: the next quiet turn is the one after. */
  touch(): void {
    this.#touched += 1;
    if (!this.#isScheduled) this.#schedule();
  }
  got(): void {
    this.#window += 1;
    this.touch();
  }
  asked(): void {
    this.#window -= 1;
    this.touch();
  }

  /** Was everything that the handler got answered by something that it asked for? */
  get isEven(): boolean {
    return this.#unanswered === 0;
  }
  /** A new invocation: what was open before was taken for `Promise.all`. */
  reset(): void {
    this.#window = 0;
    this.#unanswered = 0;
  }

  #schedule(): void {
    this.#isScheduled = true;
    const seen = this.#touched;
    this.#clock.nextTurn(() => {
      if (seen !== this.#touched) return this.#schedule();
      this.#isScheduled = false;
      // Steps asked for in surplus, as by Promise.all, are no credit: each may be answered by further steps.
      this.#unanswered = Math.max(0, this.#unanswered + this.#window);
      this.#window = 0;
      this.#onQuiet();
    });
  }
}
