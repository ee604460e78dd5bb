/** KAFKA.md, 13: a reader takes what continues where it stands, and nothing else. */
import { offset } from "@eddy/schemas";
import { beforeEach, describe, expect, it } from "vitest";
import { FetchCursor } from "../../src/kafka/fetch-cursor.js";
import type { DecodedRecords } from "../../src/kafka/record-batch.js";
import { OffsetOutOfRangeError } from "../../src/errors/codes.js";
import type { LogRecord } from "../../src/ports/log.js";

const INBOX = { topic: "inbox", partition: 3, topicId: "aa", committedOnly: false, gapless: true };
const CHANGELOG = { ...INBOX, topic: "changelog", committedOnly: true, gapless: false };

const recordAt = (at: number): LogRecord => ({ offset: offset(at), key: null, value: null, appendTimeMs: 0 });

/** A fetch that found one batch with these offsets. */
function fetched(...offsets: readonly number[]): DecodedRecords {
  const last = offsets.at(-1) ?? 0;
  return { records: offsets.map(recordAt), next: last + 1, firstBaseOffset: offsets[0] ?? null };
}
const nothing = (at: number): DecodedRecords => ({ records: [], next: at, firstBaseOffset: null });

let woken: number;
beforeEach(() => {
  woken = 0;
});
const cursorAt = (at: number, place = INBOX): FetchCursor => {
  const cursor = new FetchCursor(place, offset(at), () => {
    woken += 1;
  });
  cursor.beginRead();
  return cursor;
};
const offsetsOf = (records: readonly LogRecord[]): readonly number[] => records.map((r) => r.offset);

describe("a cursor", () => {
  it("gives what was fetched in pages, and then stands behind it and its gaps", () => {
    const cursor = cursorAt(5);
    cursor.deliver(5, { ...fetched(5, 6, 7), next: 12 }, 1);
    expect(woken).toBe(1);
    expect(offsetsOf(cursor.take(2))).toEqual([5, 6]);
    expect(cursor.position).toBe(7);
    expect(offsetsOf(cursor.take(2))).toEqual([7]);
    expect(cursor.position).toBe(12);
    expect(cursor.next).toBe(12);
  });
  it("drops an answer to a fetch from where it no longer stands", () => {
    const cursor = cursorAt(5);
    cursor.deliver(5, fetched(5, 6), 1);
    cursor.take(10);
    cursor.deliver(5, fetched(5, 6), 2);
    cursor.deliver(3, fetched(3, 4, 5, 6, 7), 3);
    cursor.deliver(9, fetched(9), 4);
    expect(offsetsOf(cursor.take(10))).toEqual([]);
    expect(cursor.position).toBe(7);
    expect(cursor.answeredTurn).toBe(1);
  });
  it("drops an answer while records wait to be read, and after it was closed", () => {
    const cursor = cursorAt(5);
    cursor.deliver(5, fetched(5), 1);
    cursor.deliver(6, fetched(6), 2);
    expect(offsetsOf(cursor.take(10))).toEqual([5]);
    cursor.close();
    cursor.deliver(6, fetched(6), 3);
    expect(offsetsOf(cursor.take(10))).toEqual([]);
  });
  it("fails when the first record of a topic without gaps is not the one that was asked for", () => {
    const cursor = cursorAt(5);
    cursor.deliver(5, fetched(8, 9), 1);
    expect(woken).toBe(1);
    expect(cursor.takeFailure()).toBeInstanceOf(OffsetOutOfRangeError);
    expect(cursor.position).toBe(5);
    expect(cursor.take(10)).toEqual([]);
  });
  it("takes a batch that began before, and gaps in a compacted topic", () => {
    const inside = cursorAt(5);
    inside.deliver(5, { ...fetched(5, 6), firstBaseOffset: 2 }, 1);
    expect(offsetsOf(inside.take(10))).toEqual([5, 6]);
    const compacted = cursorAt(5, CHANGELOG);
    compacted.deliver(5, fetched(8, 9), 1);
    expect(offsetsOf(compacted.take(10))).toEqual([8, 9]);
  });
  it("fails when the topic was made again, and not while nobody knows", () => {
    const cursor = cursorAt(5);
    cursor.checkTopicId("aa");
    cursor.checkTopicId(undefined);
    expect(cursor.isReady).toBe(false);
    cursor.checkTopicId("bb");
    expect(String(cursor.takeFailure())).toMatch(/made again/);
  });
  it("notes that there was nothing, which wakes nobody", () => {
    const cursor = cursorAt(5);
    cursor.trouble = new Error("before");
    cursor.deliver(5, nothing(5), 7);
    expect([cursor.answeredTurn, cursor.trouble, woken]).toEqual([7, null, 0]);
    cursor.deliver(5, { ...nothing(5), next: 9, firstBaseOffset: 5 }, 8);
    expect([cursor.position, woken]).toEqual([9, 0]);
  });
  it("wants a fetch only while it is read, with nothing in hand", () => {
    const cursor = cursorAt(5);
    expect(cursor.isWanting).toBe(true);
    cursor.deliver(5, fetched(5), 1);
    expect(cursor.isWanting).toBe(false);
    cursor.take(1);
    expect(cursor.isWanting).toBe(true);
    cursor.endRead();
    expect(cursor.isWanting).toBe(false);
    cursor.beginRead();
    cursor.close();
    expect(cursor.isWanting).toBe(false);
  });
});
