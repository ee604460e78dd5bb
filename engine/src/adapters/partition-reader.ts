/** The `LogReader` of every log that lives in this process: it waits for appends without polling. */
import type { Offset } from "@eddy/schemas";
import { ClosedError, invariant } from "../errors/codes.js";
import type { Clock } from "../ports/clock.js";
import type { LogReader, LogRecord, ReadLimits } from "../ports/log.js";

export interface Fetched {
  readonly records: readonly LogRecord[];
  /** Where the next fetch starts: behind the last record and the gaps after it. */
  readonly next: Offset;
}

/** One partition, as its readers see it. */
export interface RecordSource {
  /** @throws OffsetOutOfRangeError unless start <= from <= end. */
  fetch(from: Offset, recordsMax: number): Promise<Fetched>;
  /**
   * Calls `wake` once when there is a record at or behind `from`: at once, if it is there already.
   * @returns takes the call back.
   */
  onRecordAt(from: Offset, wake: () => void): () => void;
}

const NOTHING: readonly LogRecord[] = [];

export class PartitionReader implements LogReader {
  readonly #source: RecordSource;
  readonly #clock: Clock;
  readonly #onClose: (reader: PartitionReader) => void;
  #position: Offset;
  #reading = false;
  #closed = false;
  #endWait: () => void = () => undefined;

  constructor(source: RecordSource, from: Offset, clock: Clock, onClose: (reader: PartitionReader) => void) {
    this.#source = source;
    this.#position = from;
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
      const ready = await this.#fetch(limits.recordsMax);
      if (ready.length > 0 || limits.waitMs <= 0 || this.#closed) return ready;
      await this.#nextRecord(limits.waitMs);
      return this.#closed ? NOTHING : await this.#fetch(limits.recordsMax);
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

  async #fetch(recordsMax: number): Promise<readonly LogRecord[]> {
    const { records, next } = await this.#source.fetch(this.#position, recordsMax);
    if (this.#closed) return NOTHING;
    this.#position = next;
    return records;
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
