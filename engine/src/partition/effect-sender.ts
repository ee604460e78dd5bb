/**
 * Carries effects out: one lane per destination partition. A lane has one append under way at a time and sends what
 * has gathered meanwhile as the next one, so that order holds: effect n+1 of a destination is not sent unless n was.
 * Lanes run side by side, but for barriers: what comes after one is not sent before it is acknowledged. A try whose
 * outcome is unknown is repeated: receivers drop what they have.
 */
import type { Cause } from "@eddy/schemas";
import { compareCauses } from "@eddy/schemas";
import { ClosedError, invariant } from "@eddy/clients/errors";
import type { Clock, Log, Meter } from "@eddy/clients";
import { retrying, type RetryPolicy } from "./backoff.js";
import { asError, deferred, type Deferred } from "./deferred.js";
import type { Outgoing } from "./outgoing.js";

/** Records of one append stay below this many bytes together; a larger record travels alone. */
const APPEND_BYTES_MAX = 900 * 1_024;
const RECORD_OVERHEAD_BYTES = 64;
/** Tries left to an append once the task is stopping. */
const LAST_TRIES_MAX = 3;

/** Effects between two cuts. */
interface Section {
  unacked: number;
  closed: Deferred | null;
}

interface Item {
  /** Counts all effects. */
  readonly no: number;
  readonly cause: Cause;
  readonly out: Outgoing;
  readonly bytes: number;
  readonly section: Section;
}

interface Lane {
  readonly topic: string;
  readonly partition: number;
  /** Unacknowledged, the ones under way first. */
  readonly items: Item[];
  sending: Promise<void> | null;
}

export interface EffectSenderDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly meter: Meter;
  readonly options: {
    readonly triesMax: number;
    readonly unackedEffectsMax: number;
    readonly unackedBytesMax: number;
  };
  /** Told once, when an append has failed for good. */
  readonly onFailure: (error: Error) => void;
}

export class EffectSender {
  readonly #deps: EffectSenderDeps;
  readonly #lanes = new Map<string, Lane>();
  readonly #abort = new AbortController();
  readonly #retry: RetryPolicy;
  #nextNo = 0;
  /** Numbers of barriers that are not acknowledged, ascending. */
  readonly #barriers: number[] = [];
  #section: Section = { unacked: 0, closed: null };
  #cutting: Section | null = null;
  #unacked = 0;
  #unackedBytes = 0;
  #room: Deferred | null = null;
  #failure: Error | null = null;
  #hurried = false;

  constructor(deps: EffectSenderDeps) {
    this.#deps = deps;
    this.#retry = {
      clock: deps.clock,
      signal: this.#abort.signal,
      triesMax: () => (this.#hurried ? LAST_TRIES_MAX : deps.options.triesMax),
      onRetry: () => deps.meter.count("eddy_append_retries_total", 1),
    };
  }

  /** Takes an effect over; nothing is sent before `flush`. Causes come in order. */
  enqueue(cause: Cause, out: Outgoing): void {
    const { key, value } = out.record;
    const bytes = (value?.length ?? 0) + (key?.length ?? 0) + RECORD_OVERHEAD_BYTES;
    const no = this.#nextNo++;
    if (out.isBarrier === true) this.#barriers.push(no);
    this.#laneOf(out).items.push({ no, cause, out, bytes, section: this.#section });
    this.#section.unacked++;
    this.#unacked++;
    this.#unackedBytes += bytes;
  }

  /** Starts to send what waits. */
  flush(): void {
    if (this.#failure !== null || this.#abort.signal.aborted) return;
    for (const lane of this.#lanes.values()) {
      const first = lane.items[0];
      if (lane.sending === null && first !== undefined && first.no <= this.#last) lane.sending = this.#drain(lane);
    }
  }

  /** The last effect that may go now. */
  get #last(): number {
    return this.#barriers[0] ?? Infinity;
  }

  /**
   * Draws a line: resolves when all effects taken over so far are acknowledged. One at a time.
   * Rejects when one of them has failed, or on close.
   */
  cut(): Promise<void> {
    invariant(this.#cutting === null, "one cut at a time");
    const section = this.#section;
    section.closed = deferred();
    this.#section = { unacked: 0, closed: null };
    if (this.#failure !== null) section.closed.reject(this.#failure);
    else if (section.unacked === 0) section.closed.resolve();
    else this.#cutting = section;
    this.flush();
    return section.closed.promise;
  }

  /** The lowest cause with an effect that is not acknowledged; null: all are. */
  lowestUnacked(): Cause | null {
    let lowest: Cause | null = null;
    for (const { items } of this.#lanes.values()) {
      const first = items[0]?.cause;
      if (first !== undefined && (lowest === null || compareCauses(first, lowest) < 0)) lowest = first;
    }
    return lowest;
  }

  /** So much is under way that the task should wait for `room`. */
  get overloaded(): boolean {
    const { unackedEffectsMax, unackedBytesMax } = this.#deps.options;
    return this.#unacked > unackedEffectsMax || this.#unackedBytes > unackedBytesMax;
  }
  /** Resolves when no longer overloaded; rejects when an append has failed, or on close. */
  room(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (!this.overloaded) return Promise.resolve();
    this.#room ??= deferred();
    this.flush();
    return this.#room.promise;
  }

  /** The task is stopping: appends get few tries from here on. */
  hurry(): void {
    this.#hurried = true;
  }

  /** Sends nothing more. Resolves when the appends under way have ended. Idempotent. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#end(new ClosedError("the sender of effects is closed"));
    for (const { sending } of this.#lanes.values()) if (sending !== null) await sending;
  }

  async #drain(lane: Lane): Promise<void> {
    try {
      while (lane.items.length > 0 && !this.#abort.signal.aborted) {
        const batch = nextBatch(lane.items, this.#last);
        if (batch.length === 0) return; // Held back: the acknowledgement of the barrier flushes.
        const records = batch.map(({ out }) => out.record);
        await retrying(this.#retry, () => this.#deps.log.append(lane.topic, lane.partition, records));
        this.#acknowledged(lane, batch);
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#fail(asError(error));
    } finally {
      lane.sending = null;
    }
  }

  #acknowledged(lane: Lane, batch: readonly Item[]): void {
    lane.items.splice(0, batch.length);
    this.#unacked -= batch.length;
    const passed = batch.filter(({ out }) => out.isBarrier === true);
    if (passed.length > 0) {
      this.#barriers.splice(0, passed.length); // All barriers share a lane, so they are acknowledged in order.
      this.flush();
    }
    for (const { bytes, section } of batch) {
      this.#unackedBytes -= bytes;
      section.unacked--;
    }
    if (this.#cutting?.unacked === 0) {
      this.#cutting.closed?.resolve();
      this.#cutting = null;
    }
    if (this.#room !== null && !this.overloaded) {
      this.#room.resolve();
      this.#room = null;
    }
  }

  #fail(error: Error): void {
    if (this.#failure !== null) return;
    this.#end(error);
    this.#deps.onFailure(error);
  }
  #end(error: Error): void {
    this.#failure ??= error;
    this.#cutting?.closed?.reject(error);
    this.#cutting = null;
    this.#room?.reject(error);
    this.#room = null;
  }

  #laneOf({ topic, partition }: Outgoing): Lane {
    const name = `${topic}/${partition}`;
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = { topic, partition, items: [], sending: null };
      this.#lanes.set(name, lane);
    }
    return lane;
  }
}

/** The first items that go together, up to number `last`; where that allows any, at least one. */
function nextBatch(items: readonly Item[], last: number): readonly Item[] {
  let bytes = 0;
  let count = 0;
  for (const item of items) {
    if (item.no > last || (count > 0 && bytes + item.bytes > APPEND_BYTES_MAX)) break;
    bytes += item.bytes;
    count++;
  }
  return items.slice(0, count);
}
