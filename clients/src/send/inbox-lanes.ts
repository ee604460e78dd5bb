/**
 * Appends to the inbox, one lane per partition. A record goes out at once when its lane is idle; while an append is in
 * flight, what arrives is gathered into the next one.
 *
 * Invariants: order is kept per lane, over calls and within them. When a batch fails for good, the rest of the calls
 * that were part of it is dropped, so that no later record of a failed call is stored. Held bytes are bounded.
 */
import { setMaxListeners } from "node:events";
import { BadRecordError, TransientError } from "../errors/codes.js";
import type { Clock } from "../ports/clock.js";
import type { Log, NewRecord } from "../ports/log.js";
import type { Meter } from "../ports/meter.js";

export interface InboxLanesDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly meter: Meter;
  /** Name of the inbox topic. */
  readonly topic: string;
  readonly partitions: number;
}

/** A batch of several records stays below this; a larger record travels alone. Kafka refuses more than 1 MiB. */
export const BATCH_BYTES_MAX = 900 * 1_024;
/** Records of one batch. */
export const BATCH_RECORDS_MAX = 5_000;
/** Bytes that wait in all lanes together before calls are refused. */
const QUEUED_BYTES_MAX = 256 * 1_048_576;
/** What a record costs beside its key and value. */
const RECORD_OVERHEAD_BYTES = 64;
/**
 * A batch is tried again while its oldest call is younger than this, in ms. A log that has tried for longer by itself, as
 * the one on Kafka does for 10 s, is not asked again: the caller is to hear of it.
 */
const RETRY_MS_MAX = 3_000;
/** Pause before the second try, in ms; it doubles. */
const RETRY_PAUSE_MS = 50;

/** Asked before each try. @throws TransientError: the rest of the call is given up. */
export type Permit = () => Promise<void> | void;

interface Call {
  readonly permit: Permit | null;
  /** When it came, in ms by the clock. */
  readonly sinceMs: number;
  /** Records not yet acknowledged. */
  open: number;
  failed: boolean;
  /** Its records share no batch with those of other calls. */
  alone: boolean;
  resolve(): void;
  reject(error: unknown): void;
}

interface Entry {
  readonly record: NewRecord;
  readonly bytes: number;
  readonly call: Call;
}

function bytesOf({ key, value }: NewRecord): number {
  return (value?.byteLength ?? 0) + (key?.length ?? 0) + RECORD_OVERHEAD_BYTES;
}

export class InboxLanes {
  readonly partitions: number;
  readonly #clock: Clock;
  readonly #lanes: readonly Lane[];
  readonly #closing = new AbortController();
  #queuedBytes = 0;

  constructor(deps: InboxLanesDeps) {
    this.partitions = deps.partitions;
    this.#clock = deps.clock;
    setMaxListeners(deps.partitions, this.#closing.signal); // Each lane may be in a pause.
    this.#lanes = Array.from(
      { length: deps.partitions },
      (_, partition) => new Lane(deps, partition, this.#closing.signal, (bytes) => (this.#queuedBytes -= bytes)),
    );
  }

  /**
   * Appends `records` (not empty) in their order. Resolves when the log has all of them.
   * A try whose outcome is unknown is repeated: receivers must be able to drop repeats.
   * @throws TransientError after about 3 s of failing, or when the log gives up if that takes longer (Kafka: 10 s, and
   * little more for those who wait behind); at once when too much is waiting; what `permit` throws; BadRecordError,
   * FencedError.
   */
  append(partition: number, records: readonly NewRecord[], permit: Permit | null = null): Promise<void> {
    const bytes = records.reduce((sum, record) => sum + bytesOf(record), 0);
    if (this.#closing.signal.aborted) return Promise.reject(new TransientError("the engine is closing"));
    if (this.#queuedBytes + bytes > QUEUED_BYTES_MAX) {
      return Promise.reject(new TransientError("the log does not keep up with what is sent; try again later"));
    }
    const lane = this.#lanes[partition];
    if (lane === undefined) return Promise.reject(new RangeError(`there is no inbox partition ${partition}`));
    this.#queuedBytes += bytes;
    return new Promise((resolve, reject) => {
      const sinceMs = this.#clock.nowMs();
      lane.add(records, { permit, sinceMs, open: records.length, failed: false, alone: false, resolve, reject });
    });
  }

  /** Refuses new calls, resolves when those under way are settled. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#lanes.map((lane) => lane.idle()));
  }
}

class Lane {
  readonly #deps: InboxLanesDeps;
  readonly #partition: number;
  readonly #closing: AbortSignal;
  readonly #settled: (bytes: number) => void;
  #queue: Entry[] = [];
  #pumping = false;
  #running: Promise<void> = Promise.resolve();

  constructor(deps: InboxLanesDeps, partition: number, closing: AbortSignal, settled: (bytes: number) => void) {
    this.#deps = deps;
    this.#partition = partition;
    this.#closing = closing;
    this.#settled = settled;
  }

  add(records: readonly NewRecord[], call: Call): void {
    for (const record of records) this.#queue.push({ record, bytes: bytesOf(record), call });
    if (this.#pumping) return;
    this.#pumping = true;
    this.#running = this.#pump();
  }

  async idle(): Promise<void> {
    await this.#running;
  }

  async #pump(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#takeBatch();
      if (batch.length === 0) continue;
      try {
        const isStored = await this.#appendWithRetries(batch);
        if (!isStored) {
          this.#queue = [...batch, ...this.#queue];
          continue;
        }
        for (const { call } of batch) if (--call.open === 0) call.resolve();
        this.#release(batch);
      } catch (error) {
        this.#fail(batch, error);
      }
    }
    this.#pumping = false;
  }

  /** The longest prefix that fits one batch, without what belongs to failed calls. */
  #takeBatch(): readonly Entry[] {
    const batch: Entry[] = [];
    const skipped: Entry[] = [];
    let bytes = 0;
    for (const entry of this.#queue) {
      if (entry.call.failed) {
        skipped.push(entry);
        continue;
      }
      const first = batch[0];
      const full = bytes + entry.bytes > BATCH_BYTES_MAX || batch.length >= BATCH_RECORDS_MAX;
      const apart = first !== undefined && first.call !== entry.call && (first.call.alone || entry.call.alone);
      if (first !== undefined && (full || apart)) break;
      batch.push(entry);
      bytes += entry.bytes;
    }
    this.#queue = this.#queue.slice(batch.length + skipped.length);
    this.#release(skipped);
    return batch;
  }

  /** @returns false where one of the calls is not to be tried any more: it has failed, the others are to go without it. */
  async #appendWithRetries(batch: readonly Entry[]): Promise<boolean> {
    const { log, clock, meter, topic } = this.#deps;
    const records = batch.map(({ record }) => record);
    const giveUpAtMs = Math.min(...batch.map(({ call }) => call.sinceMs)) + RETRY_MS_MAX;
    for (let pauseMs = RETRY_PAUSE_MS; ; pauseMs *= 2) {
      if (!(await this.#permitted(batch))) return false;
      try {
        await log.append(topic, this.#partition, records);
        meter.count("eddy_inbox_appended_records_total", records.length);
        return true;
      } catch (error) {
        const isLast = this.#closing.aborted || clock.nowMs() + pauseMs > giveUpAtMs;
        if (!(error instanceof TransientError) || isLast) throw error;
        await clock.sleep(pauseMs, this.#closing);
      }
    }
  }

  /** Rejects the calls that may not be tried now. @returns whether all may. */
  async #permitted(batch: readonly Entry[]): Promise<boolean> {
    let isWhole = true;
    for (const call of new Set(batch.map((entry) => entry.call))) {
      try {
        await call.permit?.();
      } catch (error) {
        call.failed = true;
        call.reject(error);
        isWhole = false;
      }
    }
    return isWhole;
  }

  /** One bad record must not fail its neighbours: the calls of its batch are tried again, each by itself. */
  #fail(batch: readonly Entry[], error: unknown): void {
    const calls = new Set(batch.map(({ call }) => call));
    if (error instanceof BadRecordError && calls.size > 1) {
      for (const call of calls) call.alone = true;
      this.#queue = [...batch, ...this.#queue];
      return;
    }
    for (const call of calls) {
      call.failed = true;
      call.reject(error);
    }
    this.#release(batch);
  }

  #release(entries: readonly Entry[]): void {
    this.#settled(entries.reduce((sum, { bytes }) => sum + bytes, 0));
  }
}
