import { offset } from "@eddy/schemas";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lastOffsetOf, recordsKey } from "../../src/adapters/embedded/keys.js";
import {
  BATCH_BYTES_MAX,
  BATCH_RECORDS_MAX,
  batchHeader,
  batchesOf,
  decodeBatch,
  encodeBatch,
  recordBytesMax,
} from "../../src/adapters/embedded/record-batch.js";
import { StateCorruptedError } from "../../../clients/src/errors/codes.js";
import type { LogRecord } from "../../../clients/src/ports/log.js";

const gap = fc.oneof(fc.constant(0), fc.nat(300), fc.nat(2 ** 31));
const entry = fc.record({
  key: fc.option(fc.string({ unit: "grapheme" })),
  value: fc.option(fc.uint8Array({ maxLength: 300 })),
  offsetGap: gap,
  timeGap: gap,
});
const someRecords = fc
  .tuple(fc.nat(2 ** 45), fc.nat(2 ** 43), fc.array(entry, { minLength: 1, maxLength: 30 }))
  .map(([base, time, entries]) => {
    let at = base - 1;
    let appendTimeMs = time;
    return entries.map(({ key, value, offsetGap, timeGap }): LogRecord => {
      at += 1 + offsetGap;
      appendTimeMs += timeGap;
      return { offset: offset(at), key, value: value === null ? null : Buffer.from(value), appendTimeMs };
    });
  });

const record = (n: number, valueBytes = 10): LogRecord => ({
  offset: offset(n),
  key: `k${n}`,
  value: Buffer.alloc(valueBytes, n),
  appendTimeMs: 1_000,
});

describe("record batch", () => {
  it("comes back as it went in, from any offset on", () => {
    fc.assert(
      fc.property(someRecords, fc.nat(), (records, pick) => {
        const bytes = encodeBatch(records);
        expect(decodeBatch(bytes)).toEqual(records);
        expect(bytes.length).toBeLessThanOrEqual(records.reduce((sum, r) => sum + recordBytesMax(r), 21));
        const from = records[pick % records.length]?.offset ?? offset(0);
        expect(decodeBatch(bytes, from)).toEqual(records.filter((r) => r.offset >= from));
        const [first] = records;
        expect(batchHeader(bytes)).toEqual({ baseOffset: first?.offset, appendTimeMs: first?.appendTimeMs });
      }),
    );
  });
  it("tells of damage instead of giving wrong records: another version, or bytes cut off", () => {
    const bytes = encodeBatch([record(1), record(2)]);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeBatch(bytes.subarray(0, length))).toThrow(StateCorruptedError);
    }
    expect(() => decodeBatch(Buffer.concat([Buffer.of(2), bytes.subarray(1)]))).toThrow(StateCorruptedError);
  });
});

describe("batchesOf", () => {
  const cut = (records: readonly LogRecord[]): readonly number[] => [...batchesOf(records)].map((part) => part.length);
  const many = (n: number, bytes?: number): readonly LogRecord[] =>
    Array.from({ length: n }, (_, i) => record(i, bytes));

  it("keeps every record, in order", () => {
    const records = many(1_300);
    expect([...batchesOf(records)].flat()).toEqual(records);
    expect(cut([])).toEqual([]);
  });
  it.each([
    [BATCH_RECORDS_MAX - 1, [BATCH_RECORDS_MAX - 1]],
    [BATCH_RECORDS_MAX, [BATCH_RECORDS_MAX]],
    [BATCH_RECORDS_MAX + 1, [BATCH_RECORDS_MAX, 1]],
  ])("cuts %i small records by count", (n, sizes) => {
    expect(cut(many(n))).toEqual(sizes);
  });
  it("cuts by bytes, at the bound and not before; a larger record is alone", () => {
    const half = BATCH_BYTES_MAX / 2 - recordBytesMax(record(1, 0));
    expect(cut([record(1, half), record(2, half)])).toEqual([2]);
    expect(cut([record(1, half), record(2, half + 1)])).toEqual([1, 1]);
    expect(cut([record(1), record(2, BATCH_BYTES_MAX * 3), record(3)])).toEqual([1, 1, 1]);
  });
});

describe("records key", () => {
  it("sorts as topic, partition and offset do, and gives the offset back", () => {
    const place = fc.tuple(fc.nat(3), fc.nat(3), fc.oneof(fc.nat(300), fc.maxSafeNat()));
    fc.assert(
      fc.property(place, place, (a, b) => {
        const order = a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
        expect(Math.sign(Buffer.compare(recordsKey(...a), recordsKey(...b)))).toBe(Math.sign(order));
        expect(lastOffsetOf(recordsKey(...a))).toBe(a[2]);
      }),
    );
  });
});
