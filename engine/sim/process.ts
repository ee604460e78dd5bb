/** One simulated operating-system process, from its start to its crash. */
import type { Prng } from "./prng.js";
import type { OpKind } from "./scheduler.js";

/** How slow the world is for one process, in ms of virtual time added to the operations of a kind. */
export interface Weather {
  /** Until when reads of the log take `lagMs` longer: lag. */
  lagUntilMs: number;
  lagMs: number;
  /** Until when writes to the log take up to `slowWritesMsMax` longer. */
  slowWritesUntilMs: number;
  slowWritesMsMax: number;
}

export class SimProcess {
  readonly name: string;
  readonly weather: Weather = { lagUntilMs: 0, lagMs: 0, slowWritesUntilMs: 0, slowWritesMsMax: 0 };
  /** How far its clock is ahead of virtual time, in ms; may be negative. */
  skewMs: number;
  alive = true;
  /** Until then nothing in it goes on: stopped by the operating system, or cut off. */
  pausedUntilMs = 0;
  readonly #rng: Prng;
  readonly #now: () => number;

  constructor(options: { name: string; skewMs: number; rng: Prng; now: () => number }) {
    this.name = options.name;
    this.skewMs = options.skewMs;
    this.#rng = options.rng;
    this.#now = options.now;
  }

  get nowMs(): number {
    return this.#now() + this.skewMs;
  }

  /** How long an operation of this kind takes now. */
  delayMs(kind: OpKind): number {
    if (kind === "storeOpen" || kind === "storeRead" || kind === "storeWrite") return this.#rng.between(0, 2);
    const usual = this.#rng.float();
    const delay =
      usual < 0.75 ? this.#rng.between(0, 2) : usual < 0.97 ? this.#rng.between(3, 25) : this.#rng.between(26, 400);
    const { lagUntilMs, lagMs, slowWritesUntilMs, slowWritesMsMax } = this.weather;
    if (kind === "read") return lagUntilMs > this.#now() ? delay + lagMs : delay;
    const isSlow = slowWritesUntilMs > this.#now() && (kind === "append" || kind === "commit" || kind === "openWriter");
    return isSlow ? delay + this.#rng.between(0, slowWritesMsMax) : delay;
  }
}
