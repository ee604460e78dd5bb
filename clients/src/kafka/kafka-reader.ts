/** One reader of one partition: takes what the fetch loop puts into its cursor. */
import type { Offset } from "@eddy/schemas";
import { ClosedError, EddyError, OffsetOutOfRangeError, invariant } from "../errors/codes.js";
import type { LogReader, LogRecord, ReadLimits } from "../ports/log.js";
import { FetchCursor } from "./fetch-cursor.js";
import type { CursorPlace } from "./fetch-cursor.js";
import type { FetchLoop } from "./fetch-loop.js";
import type { KafkaClient } from "./kafka-client.js";
import { portError, verdictOf } from "./kafka-errors.js";
import { offsetRange } from "./offset-queries.js";

export interface KafkaReaderDeps {
  readonly client: KafkaClient;
  readonly loop: FetchLoop;
  readonly place: CursorPlace;
  readonly from: Offset;
  readonly onClose: (reader: KafkaReader) => void;
}

const NOTHING: readonly LogRecord[] = [];

export class KafkaReader implements LogReader {
  readonly #client: KafkaClient;
  readonly #loop: FetchLoop;
  readonly #cursor: FetchCursor;
  readonly #onClose: (reader: KafkaReader) => void;
  #isReading = false;
  #wake: () => void = () => undefined;

  constructor({ client, loop, place, from, onClose }: KafkaReaderDeps) {
    this.#client = client;
    this.#loop = loop;
    this.#cursor = new FetchCursor(place, from, () => this.#wake());
    this.#onClose = onClose;
  }

  get position(): Offset {
    return this.#cursor.position;
  }

  /**
   * An empty answer says that a fetch which was sent after the call found nothing; so a broker that does not answer ends
   * in a TransientError, within `waitMs` and the log's patience.
   */
  async read({ recordsMax, waitMs }: ReadLimits): Promise<readonly LogRecord[]> {
    const cursor = this.#cursor;
    if (cursor.isClosed) throw new ClosedError("this reader is closed", { ...cursor.place });
    invariant(!this.#isReading, "reads of one reader must not overlap", { ...cursor.place });
    invariant(recordsMax >= 1, "a read asks for at least one record", { recordsMax });
    this.#isReading = true;
    const { turn } = this.#loop;
    cursor.beginRead();
    try {
      if (!cursor.isReady && waitMs > 0) await this.#wait(waitMs);
      if (!this.#isSettledSince(turn)) await this.#lookNow();
      if (this.#hasClosed()) return NOTHING;
      const failure = cursor.takeFailure();
      if (failure !== null) throw await this.#explained(failure);
      return cursor.take(recordsMax);
    } finally {
      cursor.endRead();
      this.#isReading = false;
    }
  }

  close(): Promise<void> {
    if (!this.#cursor.isClosed) {
      this.#cursor.close();
      this.#loop.forget(this.#cursor);
      this.#wake();
      this.#onClose(this);
    }
    return Promise.resolve();
  }

  /** There is something to give back, or it is known that there is nothing. */
  #isSettledSince(turn: number): boolean {
    const cursor = this.#cursor;
    return cursor.isReady || cursor.isClosed || (cursor.answeredTurn > turn && cursor.trouble === null);
  }

  /** Resolves at the next record or failure, after `waitMs`, or on close. */
  async #wait(waitMs: number): Promise<void> {
    const stop = new AbortController();
    const ready = this.#ready();
    this.#loop.want(this.#cursor);
    await Promise.race([ready, this.#client.clock.sleep(waitMs, stop.signal)]);
    stop.abort();
  }

  /** Asks the broker, once it answers. Resolves on close too. */
  async #lookNow(): Promise<void> {
    const cursor = this.#cursor;
    const { topic, partition } = cursor.place;
    const failing = { doing: `read ${topic}/${partition}`, fields: { topic, partition, from: cursor.next } };
    const looked = this.#client.persist(failing, async () => {
      if (cursor.isReady || cursor.isClosed) return;
      await this.#loop.fetchNow(cursor);
      if (cursor.trouble !== null && !cursor.isReady) throw cursor.trouble;
    }, [topic]);
    await Promise.race([looked, this.#ready()]);
  }

  #ready(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async #explained(failure: unknown): Promise<Error> {
    const { topic, partition } = this.#cursor.place;
    const from = this.#cursor.next;
    const isRange = !(failure instanceof EddyError) && verdictOf(failure) === "range";
    if (!isRange)
      return portError(failure, { doing: `read ${topic}/${partition}`, fields: { topic, partition, from } });
    const { start, end } = await offsetRange(this.#client, { topic, partition });
    const message = `offset ${from} is not in ${start}..${end} of ${topic}/${partition}`;
    return new OffsetOutOfRangeError(message, { topic, partition, from, start, end }, { cause: failure });
  }

  /** Asked after an await, in which it may have changed. */
  #hasClosed(): boolean {
    return this.#cursor.isClosed;
  }
}
