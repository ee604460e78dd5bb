/** Keeps the newest records of all partitions in memory, within one bound: who reads at the end reads no disk. */
import type { Offset } from "@eddy/schemas";
import type { LogRecord } from "@eddy/clients";
import { FrontQueue } from "../front-queue.js";

/** What a record and a piece take besides their bytes, roughly. */
const RECORD_OVERHEAD_BYTES = 150;
const PIECE_OVERHEAD_BYTES = 150;

interface Piece {
  readonly tail: Tail;
  readonly base: Offset;
  readonly records: readonly LogRecord[];
  readonly bytes: number;
}

/** The newest records of one partition, without gaps. */
export class Tail {
  readonly #pieces = new FrontQueue<Piece>();

  /** @returns up to `recordsMax` records from `from` on; null if the tail starts behind it, or is empty. */
  read(from: Offset, recordsMax: number): readonly LogRecord[] | null {
    const after = this.#pieces.firstIndex(({ base }) => base > from);
    if (after === 0) return null;
    const found: LogRecord[] = [];
    for (let i = after - 1; found.length < recordsMax; i += 1) {
      const piece = this.#pieces.at(i);
      if (piece === undefined) break;
      const start = Math.max(0, from - piece.base);
      for (const record of piece.records.slice(start, start + recordsMax - found.length)) found.push(record);
    }
    return found;
  }

  push(piece: Piece): void {
    this.#pieces.push(piece);
  }

  /** Forgets the oldest piece, if it is this one. */
  drop(piece: Piece): void {
    if (this.#pieces.at(0) === piece) this.#pieces.drop(1);
  }

  clear(): void {
    this.#pieces.clear();
  }
}

export class TailCache {
  readonly #bytesMax: number;
  /** Of all partitions, in the order in which they came. */
  readonly #pieces = new FrontQueue<Piece>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** @param records consecutive ones, not empty, that follow what `tail` has. */
  add(tail: Tail, records: readonly LogRecord[]): void {
    const first = records[0];
    if (first === undefined) return;
    let bytes = PIECE_OVERHEAD_BYTES;
    for (const { key, value } of records) {
      bytes += RECORD_OVERHEAD_BYTES + (key?.length ?? 0) + (value?.byteLength ?? 0);
    }
    const piece = { tail, base: first.offset, records, bytes };
    tail.push(piece);
    this.#pieces.push(piece);
    this.#bytes += bytes;
    while (this.#bytes > this.#bytesMax) {
      const oldest = this.#pieces.at(0);
      if (oldest === undefined) break;
      this.#pieces.drop(1);
      this.#bytes -= oldest.bytes;
      oldest.tail.drop(oldest);
    }
  }
}
