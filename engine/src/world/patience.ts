/** Waiting for a log that is not there yet: as long as it takes, with one message a minute. */
import { ClosedError, TransientError } from "@eddy/clients/errors";
import type { Clock, Logger } from "@eddy/clients";

export interface PatienceDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborted: nobody waits any more. */
  readonly signal: AbortSignal;
}

const AGAIN_MS = 1_000;
const REPEAT_MESSAGE_MS = 60_000;

export class Patience {
  readonly #deps: PatienceDeps;
  #trouble: string | null = null;
  #saidAtMs = Number.NEGATIVE_INFINITY;

  constructor(deps: PatienceDeps) {
    this.#deps = deps;
  }

  /** What is waited for, and why; null while all goes well. */
  get trouble(): string | null {
    return this.#trouble;
  }

  /** Repeats `action` while it throws a TransientError. @throws anything else; ClosedError once `signal` aborts */
  async untilDone<T>(action: () => Promise<T>): Promise<T> {
    const { clock, logger, signal } = this.#deps;
    for (;;) {
      if (signal.aborted) throw new ClosedError("the engine is closing");
      try {
        const done = await action();
        if (this.#trouble !== null) logger.info({}, "the log answers");
        this.#trouble = null;
        this.#saidAtMs = Number.NEGATIVE_INFINITY;
        return done;
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
        this.#trouble = `waiting for the log: ${error.message}`;
        if (clock.nowMs() - this.#saidAtMs >= REPEAT_MESSAGE_MS) {
          this.#saidAtMs = clock.nowMs();
          logger.warn(error.fields, this.#trouble);
        }
        await clock.sleep(AGAIN_MS, signal);
      }
    }
  }
}
