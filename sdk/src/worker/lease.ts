/**
 * The worker's own view of its claim on one invocation, by its monotonic clock. It starts when the request arrives, which
 * is before the engine's begins, and is renewed to the time at which an acknowledged heartbeat was *sent*: so it ends
 * before the engine's does, whatever was slow in between.
 */
import type { WorkerClock } from "../step/clock.js";

/** Steps begin only while more than this part of the lease is left. */
export const INLINE_PART = 1 / 3;

export class Lease {
  readonly #clock: WorkerClock;
  readonly #leaseMs: number;
  #renewedAtMs: number;
  #cancel: () => void = () => undefined;

  constructor(clock: WorkerClock, leaseMs: number) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
    this.#renewedAtMs = clock.nowMs();
  }

  get leftMs(): number {
    return this.#renewedAtMs + this.#leaseMs - this.#clock.nowMs();
  }
  get mayGoOn(): boolean {
    return this.leftMs > this.#leaseMs * INLINE_PART;
  }

  /** @param atMs by the same clock. A lease that is over stays over: the engine may have given the run away. */
  renew(atMs: number): void {
    if (this.leftMs > 0) this.#renewedAtMs = Math.max(this.#renewedAtMs, atMs);
  }

  /** Calls back once, when the lease is over, until `cancel`. */
  onLost(callback: () => void): void {
    this.#cancel = this.#clock.after(this.leftMs, () => (this.leftMs > 0 ? this.onLost(callback) : callback()));
  }
  cancel(): void {
    this.#cancel();
  }
}
