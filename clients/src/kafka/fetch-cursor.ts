/**
 * Where one reader stands, what was fetched for it and not read yet, and what went wrong. Filled by the fetch loop,
 * emptied by the reader.
 */
import { offset } from "@eddy/schemas";
import type { Offset } from "@eddy/schemas";
import { OffsetOutOfRangeError } from "../errors/codes.js";
import type { LogRecord } from "../ports/log.js";
import type { DecodedRecords } from "./record-batch.js";

export interface CursorPlace {
  readonly topic: string;
  readonly partition: number;
  /** Of the topic that the offsets belong to, hexadecimal. */
  readonly topicId: string;
  /** Leave out what is not committed, or was aborted. */
  readonly committedOnly: boolean;
  /** Offsets of this topic follow each other without gaps: neither compaction nor transactions of ours. */
  readonly gapless: boolean;
}

const NOTHING: readonly LogRecord[] = [];

export class FetchCursor {
  readonly place: CursorPlace;
  /** In a long poll at present. Kept by the fetch loop. */
  isOut = false;
  /** Offset that a fetch has looked at since the read at hand began; -1: none. Kept by the fetch loop. */
  lookedAt = -1;
  /** Why the last fetch gave nothing, if that may pass; null after one that succeeded. */
  trouble: Error | null = null;
  /** Number of the last fetch that was answered; see `FetchLoop.turn`. */
  answeredTurn = 0;
  readonly #onReady: () => void;
  #next: Offset;
  #position: Offset;
  #ahead = NOTHING;
  #failure: unknown = null;
  #isReading = false;
  #isClosed = false;

  /** @param onReady called when there are records, or a failure. */
  constructor(place: CursorPlace, from: Offset, onReady: () => void) {
    this.place = place;
    this.#next = from;
    this.#position = from;
    this.#onReady = onReady;
  }

  /** Offset that the next fetch starts at. */
  get next(): Offset {
    return this.#next;
  }
  /** Offset that the next read starts at. */
  get position(): Offset {
    return this.#position;
  }
  get isClosed(): boolean {
    return this.#isClosed;
  }
  /** There is something for the reader to take, or to throw. */
  get isReady(): boolean {
    return this.#ahead.length > 0 || this.#failure !== null;
  }
  /** A fetch would be of use now. */
  get isWanting(): boolean {
    return this.#isReading && !this.#isClosed && !this.isReady;
  }

  beginRead(): void {
    this.#isReading = true;
    this.lookedAt = -1;
  }
  endRead(): void {
    this.#isReading = false;
  }
  close(): void {
    this.#isClosed = true;
  }

  /** @returns and forgets what went wrong; null: nothing. */
  takeFailure(): unknown {
    const failure = this.#failure;
    this.#failure = null;
    return failure;
  }

  take(recordsMax: number): readonly LogRecord[] {
    const taken = this.#ahead.slice(0, recordsMax);
    this.#ahead = this.#ahead.slice(recordsMax);
    const last = taken.at(-1);
    this.#position = this.#ahead.length > 0 && last !== undefined ? offset(last.offset + 1) : this.#next;
    return taken;
  }

  /**
   * What a fetch from `from` on gave. It is left out unless the cursor still stands there: another fetch was faster.
   * @param turn number of that fetch.
   */
  deliver(from: number, fetched: DecodedRecords, turn: number): void {
    if (this.#isClosed || this.#next !== from || this.#ahead.length > 0) return;
    this.trouble = null;
    const { firstBaseOffset } = fetched;
    if (this.place.gapless && firstBaseOffset !== null && firstBaseOffset > from) {
      this.fail(this.#missing(`offsets ${from} to ${firstBaseOffset - 1} are missing`));
      return;
    }
    this.answeredTurn = Math.max(this.answeredTurn, turn);
    this.#next = offset(fetched.next);
    if (fetched.records.length > 0) {
      this.#ahead = fetched.records;
      this.#onReady();
    } else {
      this.#position = this.#next;
    }
  }

  /** The reader's next read throws it. */
  fail(error: unknown): void {
    if (this.#isClosed) return;
    this.#failure = error;
    this.#onReady();
  }

  /** @param current the id of the topic as it is now; undefined while it is not known. */
  checkTopicId(current: string | undefined): void {
    if (current === undefined || current === this.place.topicId) return;
    this.fail(this.#missing(`the topic was deleted and made again (id ${this.place.topicId}, now ${current})`));
  }

  #missing(what: string): OffsetOutOfRangeError {
    const { topic, partition } = this.place;
    const message = `cannot go on at offset ${this.#next} of ${topic}/${partition}: ${what}`;
    return new OffsetOutOfRangeError(message, { topic, partition, from: this.#next });
  }
}
