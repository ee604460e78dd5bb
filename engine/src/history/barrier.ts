/** Waits until a tail has taken all that its topic held at the call: an answer after that is not older than its question. */
import type { Clock, Log } from "@eddy/clients";
import { TransientError } from "@eddy/clients/errors";
import type { Offset } from "@eddy/schemas";

export interface BarrierDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly topic: string;
  readonly partition: number;
  /** Resolves when every record before `end` is taken. */
  readonly reached: (end: Offset) => Promise<void>;
}

/** How long a look-up waits for what was logged before it, in ms. */
export const CATCH_UP_MS_MAX = 2_000;

export class Barrier {
  readonly #deps: BarrierDeps;
  /** Asked, and not answered yet: of use to nobody who comes later. */
  #asking: Promise<Offset> | null = null;
  /** Asked as soon as that is answered, for all who come until then. */
  #next: Promise<Offset> | null = null;

  constructor(deps: BarrierDeps) {
    this.#deps = deps;
  }

  /** @throws TransientError where the topic cannot be asked, or is not taken in time; ClosedError when the tail stops. */
  async pass(): Promise<void> {
    const { clock, topic, partition, reached } = this.#deps;
    const end = await this.#end();
    const settled = new AbortController();
    const late = clock.sleep(CATCH_UP_MS_MAX, settled.signal).then(() => {
      const message = `what ${topic}/${partition} holds is not read within ${CATCH_UP_MS_MAX} ms; try again`;
      throw new TransientError(message, { topic, partition, end });
    });
    const taken = reached(end);
    for (const promise of [late, taken]) promise.catch(() => undefined); // Whichever comes second.
    try {
      await Promise.race([taken, late]);
    } finally {
      settled.abort();
    }
  }

  /** Many who ask at once cost one question. */
  #end(): Promise<Offset> {
    if (this.#asking === null) return this.#ask();
    this.#next ??= this.#asking.then(
      () => this.#ask(),
      () => this.#ask(),
    );
    return this.#next;
  }

  #ask(): Promise<Offset> {
    this.#next = null;
    const { log, topic, partition } = this.#deps;
    const asking = log.offsets(topic, partition).then(({ end }) => end);
    this.#asking = asking;
    const answered = (): void => {
      if (this.#asking === asking) this.#asking = null;
    };
    asking.then(answered, answered);
    return asking;
  }
}
