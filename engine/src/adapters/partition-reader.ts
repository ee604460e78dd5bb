/** The `LogReader` of every log that lives in this process: it waits for appends without polling. */
import { offset } from "@eddy/schemas";
import type { Offset } from "@eddy/schemas";
import { ClosedError, OffsetOutOfRangeError, invariant } from "@eddy/clients/errors";
import type { Clock, LogReader, LogRecord, OffsetRange, ReadLimits } from "@eddy/clients";

export interface Fetched {
  readonly records: readonly LogRecord[];
  /** Where the next fetch starts: behind the last record and the gaps after it. */
  readonly next: Offset;
}

/** One partition, as its readers see it. */
export interface RecordSource {
  /** Topic and partition, for messages. */
  readonly name: string;
  readonly range: OffsetRange;
  /**
   * @param from within `range`, both ends included.
   * @returns records from there on; it may give more than `recordsMax`, where they are at hand anyway.
   * @throws OffsetOutOfRangeError if retention passed `from` meanwhile.
   */
  fetch(from: Offset, recordsMax: number): Promise<Fetched>;
  /**
   * Calls `wake` once when there is a record at or behind `from`: at once, if it is there already.
   * @returns takes the call back.
   */
  onRecordAt(from: Offset, wake: () => void): () => void;
}

/** @throws OffsetOutOfRangeError unless start <= from <= end. */
export function checkInRange(source: RecordSource, from: Offset): void {
  const { start, end } = source.range;
  if (from >= start && from <= end) return;
  const message = `offset ${from} is not in ${start}..${end} of ${source.name}`;
  throw new OffsetOutOfRangeError(message, { partition: source.name, from, start, end });
}

const NOTHING: readonly LogRecord[] = [];

export class PartitionReader implements LogReader {
  readonly #source: RecordSource;
  readonly #clock: Clock;
  readonly #onClose: (reader: PartitionReader) => void;
  #position: Offset;
  /** Fetched, but not read yet; behind them, the next fetch starts at `#next`. */
  #ahead = NOTHING;
  #next: Offset;
  #reading = false;
  #closed = false;
  #endWait: () => void = () => undefined;

  constructor(source: RecordSource, from: Offset, clock: Clock, onClose: (reader: PartitionReader) => void) {
    this.#source = source;
    this.#position = from;
    this.#next = from;
    this.#clock = clock;
    this.#onClose = onClose;
  }

  get position(): Offset {
    return this.#position;
  }

  async read(limits: ReadLimits): Promise<readonly LogRecord[]> {
    if (this.#closed) throw new ClosedError("this reader is closed");
    invariant(!this.#reading, "reads of one reader must not overlap");
    invariant(limits.recordsMax >= 1, "a read asks for at least one record", { ...limits });
    this.#reading = true;
    try {
      const ready = await this.#take(limits.recordsMax);
      if (ready.length > 0 || limits.waitMs <= 0 || this.#closed) return ready;
      await this.#nextRecord(limits.waitMs);
      return this.#closed ? NOTHING : await this.#take(limits.recordsMax);
    } finally {
      this.#reading = false;
    }
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#endWait();
      this.#onClose(this);
    }
    return Promise.resolve();
  }

  async #take(recordsMax: number): Promise<readonly LogRecord[]> {
    checkInRange(this.#source, this.#position);
    if (this.#ahead.length === 0) {
      const fetched = await this.#fetch(recordsMax);
      if (this.#closed) return NOTHING;
      this.#ahead = fetched.records;
      this.#next = fetched.next;
    }
    const taken = this.#ahead.slice(0, recordsMax);
    this.#ahead = this.#ahead.slice(recordsMax);
    const last = taken.at(-1);
    this.#position = this.#ahead.length > 0 && last !== undefined ? offset(last.offset + 1) : this.#next;
    return taken;
  }

  /** A close meanwhile ends the read with nothing, whatever it did to the source. */
  async #fetch(recordsMax: number): Promise<Fetched> {
    try {
      return await this.#source.fetch(this.#position, recordsMax);
    } catch (error) {
      if (this.#closed) return { records: NOTHING, next: this.#position };
      throw error;
    }
  }

  /** Resolves at the next record, after `waitMs`, or on close. */
  async #nextRecord(waitMs: number): Promise<void> {
    const stop = new AbortController();
    let forget = (): void => undefined;
    const woken = new Promise<void>((resolve) => {
      this.#endWait = resolve;
      forget = this.#source.onRecordAt(this.#position, resolve);
    });
    await Promise.race([woken, this.#clock.sleep(waitMs, stop.signal)]);
    stop.abort();
    forget();
  }
}
