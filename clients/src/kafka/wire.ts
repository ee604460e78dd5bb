/**
 * Bytes as Kafka's protocol writes them: big-endian numbers, text and arrays with their length before them. A "compact"
 * length is the length plus one as an unsigned varint, 0 for null; a number of Kafka's 64 bits is a JavaScript number
 * where it is an offset or a time (both stay below 2^53) and a bigint where it is an id.
 */
import { invariant } from "../errors/codes.js";

const MIN_CAPACITY = 512;

export class WireWriter {
  #buffer: Buffer;
  #length = 0;

  /** @param capacity expected bytes; more are fine. */
  constructor(capacity: number = MIN_CAPACITY) {
    this.#buffer = Buffer.allocUnsafe(Math.max(capacity, MIN_CAPACITY));
  }

  get length(): number {
    return this.#length;
  }

  /** What was written; valid until the next write. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  int8(value: number): this {
    const at = this.#take(1);
    this.#buffer.writeInt8(value, at);
    return this;
  }

  bool(value: boolean): this {
    return this.int8(value ? 1 : 0);
  }

  int16(value: number): this {
    const at = this.#take(2);
    this.#buffer.writeInt16BE(value, at);
    return this;
  }

  int32(value: number): this {
    const at = this.#take(4);
    this.#buffer.writeInt32BE(value, at);
    return this;
  }

  uint32(value: number): this {
    const at = this.#take(4);
    this.#buffer.writeUInt32BE(value, at);
    return this;
  }

  int64(value: number | bigint): this {
    const at = this.#take(8);
    this.#buffer.writeBigInt64BE(BigInt(value), at);
    return this;
  }

  /** Of 32 bits, zigzag: small numbers of either sign are short. */
  varint(value: number): this {
    return this.uvarint(((value << 1) ^ (value >> 31)) >>> 0);
  }

  uvarint(value: number): this {
    let rest = value;
    let at = this.#take(uvarintSize(value));
    while (rest > 0x7f) {
      this.#buffer[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[at] = rest;
    return this;
  }

  raw(bytes: Uint8Array): this {
    const at = this.#take(bytes.length);
    this.#buffer.set(bytes, at);
    return this;
  }

  /** UTF-8 without a length. */
  rawText(text: string, byteLength: number): this {
    const at = this.#take(byteLength);
    this.#buffer.write(text, at, byteLength, "utf8");
    return this;
  }

  text(value: string | null): this {
    if (value === null) return this.int16(-1);
    const length = Buffer.byteLength(value);
    return this.int16(length).rawText(value, length);
  }

  compactText(value: string | null): this {
    if (value === null) return this.uvarint(0);
    const length = Buffer.byteLength(value);
    return this.uvarint(length + 1).rawText(value, length);
  }

  bytes32(value: Uint8Array): this {
    return this.int32(value.length).raw(value);
  }

  array<T>(values: readonly T[], write: (value: T) => void): this {
    this.int32(values.length);
    for (const value of values) write(value);
    return this;
  }

  compactArray<T>(values: readonly T[], write: (value: T) => void): this {
    this.uvarint(values.length + 1);
    for (const value of values) write(value);
    return this;
  }

  /** The end of a flexible structure: no tagged fields. */
  noTags(): this {
    return this.uvarint(0);
  }

  /** Overwrites four bytes at `at`, which were written before. */
  patchUint32(at: number, value: number): void {
    invariant(at >= 0 && at + 4 <= this.#length, "only what was written can be patched", { at });
    this.#buffer.writeUInt32BE(value, at);
  }

  #take(count: number): number {
    const at = this.#length;
    const needed = at + count;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    this.#length = needed;
    return at;
  }
}

export function uvarintSize(value: number): number {
  let size = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) size += 1;
  return size;
}

export function varintSize(value: number): number {
  return uvarintSize(((value << 1) ^ (value >> 31)) >>> 0);
}

/** What a broker sent does not read as it should. */
export class WireError extends Error {
  override readonly name = "WireError";
}

export class WireReader {
  readonly #buffer: Buffer;
  #at: number;
  readonly #end: number;

  constructor(buffer: Buffer, from = 0, end: number = buffer.length) {
    this.#buffer = buffer;
    this.#at = from;
    this.#end = end;
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  int8(): number {
    return this.#buffer.readInt8(this.#take(1));
  }

  bool(): boolean {
    return this.int8() !== 0;
  }

  int16(): number {
    return this.#buffer.readInt16BE(this.#take(2));
  }

  int32(): number {
    return this.#buffer.readInt32BE(this.#take(4));
  }

  /** An offset or a time: exact below 2^53. */
  int64(): number {
    const at = this.#take(8);
    return this.#buffer.readInt32BE(at) * 0x1_0000_0000 + this.#buffer.readUInt32BE(at + 4);
  }

  id64(): bigint {
    return this.#buffer.readBigInt64BE(this.#take(8));
  }

  varint(): number {
    const value = this.uvarint();
    return (value >>> 1) ^ -(value & 1);
  }

  uvarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#buffer[this.#take(1)] ?? 0;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new WireError("a varint of more than five bytes");
  }

  /** A varint of up to 64 bits, such as a difference of times. Exact below 2^53. */
  varlong(): number {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#buffer[this.#take(1)] ?? 0;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number((value >> 1n) ^ -(value & 1n));
    }
    throw new WireError("a varint of more than ten bytes");
  }

  /** Passes over a varint of up to 64 bits. */
  skipVarlong(): void {
    for (let count = 0; count < 10; count += 1) if ((this.#buffer[this.#take(1)] ?? 0) < 0x80) return;
    throw new WireError("a varint of more than ten bytes");
  }

  /** A view, not a copy. */
  raw(length: number): Buffer {
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }

  rawText(length: number): string {
    const at = this.#take(length);
    return this.#buffer.toString("utf8", at, at + length);
  }

  skip(length: number): void {
    this.#take(length);
  }

  text(): string | null {
    const length = this.int16();
    return length < 0 ? null : this.rawText(length);
  }

  compactText(): string | null {
    const length = this.uvarint() - 1;
    return length < 0 ? null : this.rawText(length);
  }

  /** 16 bytes as hexadecimal text. */
  uuid(): string {
    return this.raw(16).toString("hex");
  }

  array<T>(read: () => T): T[] {
    return this.#many(this.int32(), read);
  }

  /** Null reads as empty. */
  compactArray<T>(read: () => T): T[] {
    return this.#many(this.uvarint() - 1, read);
  }

  /** Passes over the tagged fields at the end of a flexible structure. */
  skipTags(): void {
    for (let count = this.uvarint(); count > 0; count -= 1) {
      this.uvarint();
      this.skip(this.uvarint());
    }
  }

  #many<T>(count: number, read: () => T): T[] {
    if (count > this.left) throw new WireError(`an array of ${count} elements in ${this.left} bytes`);
    const values: T[] = [];
    for (let i = 0; i < count; i += 1) values.push(read());
    return values;
  }

  #take(count: number): number {
    const at = this.#at;
    if (count < 0 || at + count > this.#end) throw new WireError(`${count} bytes wanted, ${this.#end - at} are left`);
    this.#at = at + count;
    return at;
  }
}
