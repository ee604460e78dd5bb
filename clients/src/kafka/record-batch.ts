/**
 * Kafka's record batches (format 2), both ways: what a partition is sent, and what a fetch of it gives. The only file
 * that knows this format.
 *
 *   base offset 8 | length 4 | leader epoch 4 | magic 1 | crc 4 | attributes 2 | last offset delta 4 | base time 8 |
 *   max time 8 | producer id 8 | epoch 2 | sequence 4 | count 4 | records
 *   record: length, attributes 1, time delta, offset delta, key length, key, value length, value, headers; varints
 *
 * Decoded keys and values are copies: a slice would keep the whole response of a fetch in memory.
 */
import { offset } from "@eddy/schemas";
import type { LogRecord, NewRecord, RecordHeaders } from "../ports/log.js";
import { crc32c } from "./crc32c.js";
import { unpack } from "./unpack.js";
import { WireError, WireReader, WireWriter, varintSize } from "./wire.js";

/** Of a batch, before its records. */
export const BATCH_OVERHEAD_BYTES = 61;
/** At most what a record takes beside key and value: lengths, deltas, no headers. */
export const RECORD_OVERHEAD_BYTES = 26;
const LENGTH_END = 12;
const CRC_AT = 17;
const CRC_END = 21;
const MAGIC = 2;

const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;
const LOG_APPEND_TIME = 0x08;
const COMPRESSION_MASK = 0x07;

/** Who writes a batch: lets the broker drop what it has. */
export interface BatchProducer {
  readonly id: bigint;
  readonly epoch: number;
  /** Sequence number of the first record; see `nextSequence`. */
  readonly sequence: number;
  readonly transactional: boolean;
}

/** Sequence numbers go round at 2^31. */
export function nextSequence(sequence: number, records: number): number {
  return (sequence + records) % 0x8000_0000;
}

/** Bytes of a batch of these records, at most. */
export function batchBytesMax(records: readonly NewRecord[]): number {
  let bytes = BATCH_OVERHEAD_BYTES;
  for (const record of records) bytes += recordBytesMax(record);
  return bytes;
}

export function recordBytesMax({ key, value }: NewRecord): number {
  return RECORD_OVERHEAD_BYTES + (key === null ? 0 : Buffer.byteLength(key)) + (value?.length ?? 0);
}

/** @param timeMs create time; brokers replace it by the append time. */
export function encodeBatch(records: readonly NewRecord[], producer: BatchProducer, timeMs: number): Buffer {
  const out = new WireWriter(batchBytesMax(records));
  out.int64(0).int32(0).int32(-1).int8(MAGIC).uint32(0);
  out.int16(producer.transactional ? TRANSACTIONAL : 0).int32(records.length - 1);
  out.int64(timeMs).int64(timeMs).int64(producer.id).int16(producer.epoch).int32(producer.sequence);
  out.int32(records.length);
  for (const [delta, { key, value }] of records.entries()) {
    const keyBytes = key === null ? -1 : Buffer.byteLength(key);
    const valueBytes = value === null ? -1 : value.length;
    const size =
      3 +
      varintSize(delta) +
      varintSize(keyBytes) +
      Math.max(keyBytes, 0) +
      varintSize(valueBytes) +
      Math.max(valueBytes, 0);
    out.varint(size).int8(0).varint(0).varint(delta).varint(keyBytes);
    if (key !== null) out.rawText(key, keyBytes);
    out.varint(valueBytes);
    if (value !== null) out.raw(value);
    out.varint(0);
  }
  out.patchUint32(LENGTH_END - 4, out.length - LENGTH_END);
  out.patchUint32(CRC_AT, crc32c(out.bytes, CRC_END));
  return out.bytes;
}

/** A transaction that was aborted: its records lie at or behind `firstOffset`. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

export interface DecodedRecords {
  readonly records: readonly LogRecord[];
  /** The offset after everything that was looked at, left out or not; `from` if there was nothing whole. */
  readonly next: number;
  /** Offset of the first batch that was looked at; null: there was none. */
  readonly firstBaseOffset: number | null;
}

/**
 * @param from records before it are left out: a batch comes whole, although the fetch began inside.
 * @param aborted records of these transactions are left out; control records always are.
 * @throws WireError for bytes that are no batches, or packed by a method that is not built in
 */
export function decodeBatches(
  bytes: Buffer,
  from: number,
  aborted: readonly AbortedTransaction[] = [],
): DecodedRecords {
  const records: LogRecord[] = [];
  const filter = new AbortedFilter(aborted);
  let next = from;
  let firstBaseOffset: number | null = null;
  let at = 0;
  // The last batch may be cut short: the broker gives what fits.
  while (at + LENGTH_END <= bytes.length) {
    const end = at + LENGTH_END + bytes.readInt32BE(at + 8);
    if (end > bytes.length) break;
    if (end < at + BATCH_OVERHEAD_BYTES) throw new WireError(`a record batch of ${end - at} bytes`);
    const batch = readHeader(new WireReader(bytes, at, end));
    firstBaseOffset ??= batch.baseOffset;
    if (!filter.leavesOut(batch)) readRecords(batch, from, records);
    next = Math.max(next, batch.lastOffset + 1);
    at = end;
  }
  return { records, next, firstBaseOffset };
}

interface BatchHeader {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly attributes: number;
  readonly baseTimeMs: number;
  readonly maxTimeMs: number;
  readonly producerId: bigint;
  readonly count: number;
  /** Behind the header. */
  readonly body: WireReader;
}

function readHeader(body: WireReader): BatchHeader {
  const baseOffset = body.int64();
  body.skip(8);
  const magic = body.int8();
  if (magic !== MAGIC) throw new WireError(`a record batch of format ${magic}`);
  body.skip(4);
  const attributes = body.int16();
  const lastOffset = baseOffset + body.int32();
  const [baseTimeMs, maxTimeMs, producerId] = [body.int64(), body.int64(), body.id64()];
  body.skip(6);
  return { baseOffset, lastOffset, attributes, baseTimeMs, maxTimeMs, producerId, count: body.int32(), body };
}

function readRecords(batch: BatchHeader, from: number, into: LogRecord[]): void {
  const body = unpacked(batch);
  const byAppendTime = (batch.attributes & LOG_APPEND_TIME) !== 0;
  for (let i = 0; i < batch.count; i += 1) {
    const end = body.varint() + body.at;
    body.skip(1);
    const timeDelta = readDelta(body, byAppendTime);
    const at = batch.baseOffset + body.varint();
    if (at >= from) {
      const keyLength = body.varint();
      const key = keyLength < 0 ? null : body.rawText(keyLength);
      const valueLength = body.varint();
      const value = valueLength < 0 ? null : copyOf(body.raw(valueLength));
      const appendTimeMs = byAppendTime ? batch.maxTimeMs : batch.baseTimeMs + timeDelta;
      const headers = readHeaders(body);
      into.push({ offset: offset(at), key, value, appendTimeMs, ...(headers === null ? {} : { headers }) });
    }
    body.skip(end - body.at);
  }
}

/** Of topics with append times nobody needs it. */
function readDelta(body: WireReader, byAppendTime: boolean): number {
  if (!byAppendTime) return body.varlong();
  body.skipVarlong();
  return 0;
}

/** @returns null where there are none */
function readHeaders(body: WireReader): RecordHeaders | null {
  const count = body.varint();
  if (count <= 0) return null;
  const headers = new Map<string, Uint8Array | null>();
  for (let i = 0; i < count; i += 1) {
    const name = body.rawText(body.varint());
    const length = body.varint();
    headers.set(name, length < 0 ? null : copyOf(body.raw(length)));
  }
  return headers;
}

function copyOf(bytes: Buffer): Uint8Array {
  const copy = Buffer.allocUnsafe(bytes.length);
  bytes.copy(copy);
  return copy;
}

function unpacked({ attributes, body }: BatchHeader): WireReader {
  const compression = attributes & COMPRESSION_MASK;
  return compression === 0 ? body : new WireReader(unpack(compression, body.raw(body.left)));
}

/** Which batches belong to aborted transactions, batch by batch in offset order. */
class AbortedFilter {
  readonly #waiting: AbortedTransaction[];
  readonly #open = new Set<bigint>();

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#waiting = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  }

  leavesOut({ attributes, producerId, lastOffset }: BatchHeader): boolean {
    for (
      let first = this.#waiting[0];
      first !== undefined && first.firstOffset <= lastOffset;
      first = this.#waiting[0]
    ) {
      this.#open.add(first.producerId);
      this.#waiting.shift();
    }
    if ((attributes & CONTROL) !== 0) {
      // The marker ends the producer's transaction, aborted or not: a transaction that it starts behind is another one.
      this.#open.delete(producerId);
      return true;
    }
    return (attributes & TRANSACTIONAL) !== 0 && this.#open.has(producerId);
  }
}
