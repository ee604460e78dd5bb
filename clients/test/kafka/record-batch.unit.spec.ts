/** Record batches, judged by kafkajs's own encoder and decoder where it has one. */
import { createRequire } from "node:module";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32c } from "../../src/kafka/crc32c.js";
import { batchBytesMax, decodeBatches, encodeBatch, nextSequence } from "../../src/kafka/record-batch.js";
import type { BatchProducer } from "../../src/kafka/record-batch.js";
import { WireError } from "../../src/kafka/wire.js";
import type { NewRecord } from "../../src/ports/log.js";

const load = createRequire(import.meta.url);
const kafkaJsCrc = load("kafkajs/src/protocol/recordBatch/crc32C");
const KafkaJsDecoder = load("kafkajs/src/protocol/decoder");
const kafkaJsDecodeBatch = load("kafkajs/src/protocol/recordBatch/v0/decoder");
const { RecordBatch: kafkaJsEncodeBatch } = load("kafkajs/src/protocol/recordBatch/v0");
const kafkaJsEncodeRecord = load("kafkajs/src/protocol/recordBatch/record/v0");

const NOBODY: BatchProducer = { id: -1n, epoch: -1, sequence: -1, transactional: false };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const record = (key: string | null, value: string | null): NewRecord => ({
  key,
  value: value === null ? null : bytes(value),
});
const entry = ({ key, value }: NewRecord) => [key, value === null ? null : new TextDecoder().decode(value)] as const;

interface Stored {
  readonly base: number;
  readonly appendTimeMs?: number;
  /** Added to what the batch has: 32 a control batch, 16 a transactional one. */
  readonly attributes?: number;
  /** Of the last offset beyond the last record: what compaction leaves. */
  readonly lastOffsetDelta?: number;
}

/** As a broker stores a batch: with offsets and append time of its own. */
function stored(batch: Buffer, { base, appendTimeMs = 1_000, attributes = 0, lastOffsetDelta }: Stored): Buffer {
  const copy = Buffer.from(batch);
  copy.writeBigInt64BE(BigInt(base), 0);
  copy.writeInt16BE(copy.readInt16BE(21) | 0x08 | attributes, 21);
  copy.writeBigInt64BE(BigInt(appendTimeMs), 35);
  if (lastOffsetDelta !== undefined) copy.writeInt32BE(lastOffsetDelta, 23);
  return copy;
}

const batchOf = (records: readonly NewRecord[], at: Stored, producer = NOBODY): Buffer =>
  stored(encodeBatch(records, producer, 0), at);

/** The marker at a transaction's end: a control batch of one record. */
const marker = (base: number, producer: BatchProducer): Buffer =>
  batchOf([record("\u0000\u0000\u0000\u0001", "")], { base, attributes: 0x20 }, producer);

const anyRecord = fc.record({
  key: fc.option(fc.string({ unit: "grapheme", maxLength: 300 }), { nil: null }),
  value: fc.option(fc.uint8Array({ maxLength: 300 }), { nil: null }),
});

describe("CRC-32C", () => {
  it("is the one of the published test vector", () => expect(crc32c(bytes("123456789"))).toBe(0xe3069283));
  it("agrees with kafkajs at every length and start", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(20), (data, from) => {
        const start = Math.min(from, data.length);
        expect(crc32c(data, start)).toBe(kafkaJsCrc(Buffer.from(data).subarray(start)));
      }),
    );
  });
});

describe("a record batch", () => {
  it("comes back as it went in, within the size that was foreseen", () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 40 }), fc.nat(2 ** 40), (records, base) => {
        const batch = batchOf(records, { base, appendTimeMs: 7 });
        expect(batch.length).toBeLessThanOrEqual(batchBytesMax(records));
        const { records: found, next, firstBaseOffset } = decodeBatches(batch, base);
        expect(found.map(({ key, value }) => [key, value === null ? null : [...value]])).toEqual(
          records.map(({ key, value }) => [key, value === null ? null : [...value]]),
        );
        expect(found.map((r) => r.offset)).toEqual(records.map((_, i) => base + i));
        expect(found.every((r) => r.appendTimeMs === 7)).toBe(true);
        expect([next, firstBaseOffset]).toEqual([base + records.length, base]);
      }),
    );
  });
  it("is read by kafkajs as meant", async () => {
    const producer = { id: 2n ** 60n, epoch: 12, sequence: 2 ** 31 - 1, transactional: true };
    const records = [record("k", "v"), record(null, "no key"), record("gone", null), record("", "")];
    const batch = encodeBatch(records, producer, 1_700_000_000_123);
    const read = await kafkaJsDecodeBatch(new KafkaJsDecoder(batch));
    expect(read).toMatchObject({ producerId: String(2n ** 60n), producerEpoch: 12, firstSequence: 2 ** 31 - 1 });
    expect(read).toMatchObject({ inTransaction: true, lastOffsetDelta: 3, firstTimestamp: "1700000000123" });
    const texts = read.records.map((r: { key: Buffer | null; value: Buffer | null }) => [
      r.key?.toString() ?? null,
      r.value?.toString() ?? null,
    ]);
    expect(texts).toEqual(records.map(entry));
    expect(batch.readUInt32BE(17)).toBe(kafkaJsCrc(batch.subarray(21)));
  });
  it("of kafkajs is read as meant, with headers and create times", async () => {
    const make = (offsetDelta: number, key: string, timestampDelta: number) =>
      kafkaJsEncodeRecord({ offsetDelta, timestampDelta, key, value: `v${key}`, headers: { h: ["1", "2"] } });
    const encoder = await kafkaJsEncodeBatch({
      firstTimestamp: 5_000,
      maxTimestamp: 5_300,
      lastOffsetDelta: 1,
      records: [make(0, "a", 0), make(1, "b", 300)],
    });
    const { records } = decodeBatches(encoder.buffer, 0);
    expect(records.map(entry)).toEqual([
      ["a", "va"],
      ["b", "vb"],
    ]);
    expect(records.map((r) => r.appendTimeMs)).toEqual([5_000, 5_300]);
  });
  it("does not keep the answer that it came in alive", () => {
    const answer = Buffer.concat(
      Array.from({ length: 200 }, (_, i) => batchOf([record("k", "v".repeat(5_000))], { base: i })),
    );
    // Node copies small values into pools of its own, of 8 to 64 KiB.
    for (const { value } of decodeBatches(answer, 0).records) {
      expect(value?.buffer.byteLength).toBeLessThan(answer.byteLength / 10);
    }
  });
});

describe("what a fetch gives", () => {
  const three = batchOf([record("a", "1"), record("b", "2"), record("c", "3")], { base: 10 });
  it("starts inside a batch where the fetch did", () => {
    const { records, next, firstBaseOffset } = decodeBatches(three, 11);
    expect(records.map((r) => r.offset)).toEqual([11, 12]);
    expect([next, firstBaseOffset]).toEqual([13, 10]);
  });
  it("leaves a last batch that is cut short for the next fetch", () => {
    const more = batchOf([record("d", "4")], { base: 13 });
    for (let cut = 0; cut < more.length; cut += 1) {
      const found = decodeBatches(Buffer.concat([three, more.subarray(0, cut)]), 10);
      expect([found.records.length, found.next]).toEqual([3, 13]);
    }
  });
  it("moves over batches that compaction emptied, and over gaps at their ends", () => {
    const empty = Buffer.from(encodeBatch([record("x", "x")], NOBODY, 0).subarray(0, 61));
    empty.writeInt32BE(61 - 12, 8);
    empty.writeInt32BE(0, 57);
    const found = decodeBatches(stored(empty, { base: 20, lastOffsetDelta: 9 }), 20);
    expect([found.records.length, found.next]).toEqual([0, 30]);
    const gap = batchOf([record("a", "1")], { base: 30, lastOffsetDelta: 4 });
    expect(decodeBatches(gap, 30).next).toBe(35);
  });
  it("is where it was, when there is nothing", () => {
    expect(decodeBatches(Buffer.alloc(0), 5)).toEqual({ records: [], next: 5, firstBaseOffset: null });
  });
  it("leaves out markers and aborted transactions, and nothing else", () => {
    const [one, two] = [1n, 2n].map((id) => ({ id, epoch: 0, sequence: 0, transactional: true }));
    if (one === undefined || two === undefined) throw new Error("two producers");
    const answer = Buffer.concat([
      batchOf([record("a", "committed")], { base: 0 }, two),
      batchOf([record("b", "aborted")], { base: 1 }, one),
      batchOf([record("c", "plain")], { base: 2 }),
      batchOf([record("d", "aborted too")], { base: 3 }, one),
      marker(4, one),
      batchOf([record("e", "the next transaction")], { base: 5 }, one),
      marker(6, one),
      marker(7, two),
    ]);
    const { records, next } = decodeBatches(answer, 0, [{ producerId: 1n, firstOffset: 1 }]);
    expect(records.map(({ key }) => key)).toEqual(["a", "c", "e"]);
    expect(next).toBe(8);
  });
  it("understands gzip, and says so of what it does not", () => {
    const plain = batchOf([record("a", "1"), record("b", "2")], { base: 0 });
    const packed = Buffer.concat([plain.subarray(0, 61), gzipSync(plain.subarray(61))]);
    packed.writeInt32BE(packed.length - 12, 8);
    packed.writeInt16BE(packed.readInt16BE(21) | 1, 21);
    expect(decodeBatches(packed, 0).records.map(entry)).toEqual([
      ["a", "1"],
      ["b", "2"],
    ]);
    packed.writeInt16BE((packed.readInt16BE(21) & ~7) | 4, 21);
    expect(() => decodeBatches(packed, 0)).toThrow(/zstd/);
  });
  it("that is damaged is an error, never a crash or a wrong record", () => {
    fc.assert(
      fc.property(fc.nat(three.length - 1), fc.nat(255), (at, byte) => {
        const damaged = Buffer.from(three);
        damaged[at] = byte;
        try {
          decodeBatches(damaged, 10);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
          expect((error as Error).name).toMatch(/^(WireError|Error)$/);
        }
      }),
    );
    expect(() =>
      decodeBatches(Buffer.concat([three.subarray(0, 16), Buffer.from([1]), three.subarray(17)]), 10),
    ).toThrow(WireError);
  });
});

it("sequence numbers go round at 2^31, as the broker's do", () => {
  expect(nextSequence(0, 5)).toBe(5);
  expect(nextSequence(2 ** 31 - 1, 1)).toBe(0);
  expect(nextSequence(2 ** 31 - 2, 5)).toBe(3);
});
