/**
 * A batch of records as one value of the database, as Kafka stores them: a tenth of the cost of a value per record.
 *
 *   u8 version | f64 base offset | f64 base append time in ms | u32 count
 *   then per record: offset - base | append time - base | key bytes + 1, or 0 for none | key
 *                    | value bytes + 1, or 0 for a tombstone | value
 *
 * Numbers of a record are variable-length, seven bits a byte, the lowest first. Offsets ascend, with gaps after
 * compaction; append times never go back.
 */
import { offset } from "@eddy/schemas";
import type { Offset } from "@eddy/schemas";
import { StateCorruptedError, invariant } from "@eddy/clients/errors";
import type { LogRecord } from "@eddy/clients";

const VERSION = 1;
const HEADER_BYTES = 21;
/** The four numbers of a record, at their longest: two of 53 bits, two of 32 bits. */
const RECORD_NUMBERS_BYTES_MAX = 26;

/** One value of the database is split above either: bounds what a read decodes at once. A larger record is alone. */
export const BATCH_BYTES_MAX = 131_072;
export const BATCH_RECORDS_MAX = 512;

/** Upper bound of what a record takes in a batch, in bytes. A UTF-16 unit takes at most three bytes in UTF-8. */
export function recordBytesMax({ key, value }: Pick<LogRecord, "key" | "value">): number {
  return RECORD_NUMBERS_BYTES_MAX + (key?.length ?? 0) * 3 + (value?.byteLength ?? 0);
}

/** Cuts records, in offset order, into runs that fit a batch each. */
export function* batchesOf(records: readonly LogRecord[]): Generator<readonly LogRecord[]> {
  let first = 0;
  let bytes = 0;
  for (const [i, record] of records.entries()) {
    const size = recordBytesMax(record);
    if (i > first && (bytes + size > BATCH_BYTES_MAX || i - first >= BATCH_RECORDS_MAX)) {
      yield records.slice(first, i);
      first = i;
      bytes = 0;
    }
    bytes += size;
  }
  if (first < records.length) yield records.slice(first);
}

/** @param records not empty, in offset order. */
export function encodeBatch(records: readonly LogRecord[]): Buffer {
  const first = records[0];
  invariant(first !== undefined, "a batch holds at least one record");
  const bytes = Buffer.allocUnsafe(records.reduce((sum, record) => sum + recordBytesMax(record), HEADER_BYTES));
  bytes[0] = VERSION;
  bytes.writeDoubleBE(first.offset, 1);
  bytes.writeDoubleBE(first.appendTimeMs, 9);
  bytes.writeUInt32BE(records.length, 17);
  let at = HEADER_BYTES;
  for (const record of records) {
    at = writeNumber(bytes, at, record.offset - first.offset);
    at = writeNumber(bytes, at, record.appendTimeMs - first.appendTimeMs);
    at = writeKey(bytes, at, record.key);
    at = writeNumber(bytes, at, record.value === null ? 0 : record.value.byteLength + 1);
    if (record.value !== null) {
      bytes.set(record.value, at);
      at += record.value.byteLength;
    }
  }
  return bytes.subarray(0, at);
}

/**
 * @returns the records from offset `from` on. Values are views of `bytes`.
 * @throws StateCorruptedError for bytes that `encodeBatch` did not make.
 */
export function decodeBatch(bytes: Buffer, from: Offset = offset(0)): LogRecord[] {
  try {
    return decode(bytes, from);
  } catch (cause) {
    throw new StateCorruptedError("a batch of records in the embedded log cannot be read", {}, { cause });
  }
}

/** @returns where the batch starts, without its records. */
export function batchHeader(bytes: Buffer): { readonly baseOffset: Offset; readonly appendTimeMs: number } {
  if (bytes[0] !== VERSION) throw new StateCorruptedError(`version ${bytes[0]} of a batch of records is unknown`);
  return { baseOffset: offset(bytes.readDoubleBE(1)), appendTimeMs: bytes.readDoubleBE(9) };
}

function decode(bytes: Buffer, from: Offset): LogRecord[] {
  const { baseOffset, appendTimeMs } = batchHeader(bytes);
  const count = bytes.readUInt32BE(17);
  const cursor: Cursor = { bytes, at: HEADER_BYTES };
  const records: LogRecord[] = [];
  for (let i = 0; i < count; i += 1) {
    const at = offset(baseOffset + readNumber(cursor));
    const timeMs = appendTimeMs + readNumber(cursor);
    const keyBytes = readNumber(cursor) - 1;
    const keyAt = skip(cursor, keyBytes);
    const valueBytes = readNumber(cursor) - 1;
    const valueAt = skip(cursor, valueBytes);
    if (at < from) continue;
    records.push({
      offset: at,
      key: keyBytes < 0 ? null : bytes.toString("utf8", keyAt, keyAt + keyBytes),
      value: valueBytes < 0 ? null : bytes.subarray(valueAt, valueAt + valueBytes),
      appendTimeMs: timeMs,
    });
  }
  return records;
}

interface Cursor {
  readonly bytes: Buffer;
  at: number;
}

/** Moves over a field of `length` bytes; none if it is negative. @returns where the field starts. */
function skip(cursor: Cursor, length: number): number {
  const start = cursor.at;
  if (length > 0) cursor.at += length;
  if (cursor.at > cursor.bytes.length) throw new RangeError(`a field ends at ${cursor.at} of ${cursor.bytes.length}`);
  return start;
}

function writeKey(bytes: Buffer, at: number, key: string | null): number {
  if (key === null) return writeNumber(bytes, at, 0);
  const length = Buffer.byteLength(key);
  const keyAt = writeNumber(bytes, at, length + 1);
  return keyAt + bytes.write(key, keyAt);
}

/** @param n an integer from 0 to 2^53 - 1. @returns the position behind it. */
function writeNumber(bytes: Buffer, at: number, n: number): number {
  let rest = n;
  let next = at;
  while (rest >= 0x80) {
    bytes[next] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
    next += 1;
  }
  bytes[next] = rest;
  return next + 1;
}

function readNumber(cursor: Cursor): number {
  let n = 0;
  for (let scale = 1; ; scale *= 0x80) {
    const byte = cursor.bytes[cursor.at];
    if (byte === undefined) throw new RangeError(`a number ends at ${cursor.at} of ${cursor.bytes.length}`);
    cursor.at += 1;
    n += (byte & 0x7f) * scale;
    if (byte < 0x80) return n;
  }
}
