import { describe, expect, it } from "vitest";
import { batchesOf } from "../../src/kafka/changelog-transactions.js";
import { verdictOf } from "../../src/kafka/kafka-errors.js";
import { GATHERED_BYTES_MAX } from "../../src/kafka/limits.js";
import { soleAnswer } from "../../src/kafka/produce.js";
import { batchBytesMax } from "../../src/kafka/record-batch.js";
import type { ProducedPartition } from "../../src/kafka/requests.js";
import type { NewRecord } from "../../src/ports/log.js";

const TO = { topic: "t", partition: 1 };
const answer = (changes: Partial<ProducedPartition> = {}): ProducedPartition => ({
  ...TO,
  errorCode: 0,
  errorMessage: null,
  baseOffset: 7,
  appendTimeMs: 1,
  ...changes,
});
const verdictFor = (answers: readonly ProducedPartition[]): string => {
  try {
    soleAnswer(answers, TO);
    return "taken";
  } catch (error) {
    return verdictOf(error);
  }
};

describe("the answer to a produce request (KAFKA.md, 1)", () => {
  it.each<readonly [string, readonly ProducedPartition[], string]>([
    ["for what was sent is taken", [answer()], "taken"],
    ["with an error is the caller's to judge", [answer({ errorCode: 6, baseOffset: -1 })], "taken"],
    ["for nothing is none", [], "leader"],
    ["for another partition is none", [answer({ partition: 2 })], "leader"],
    ["for another topic is none", [answer({ topic: "u" })], "leader"],
    ["for more than was sent is none", [answer(), answer({ partition: 2 })], "leader"],
    ["without an offset leaves the outcome unknown", [answer({ baseOffset: -1 })], "lost"],
  ])("%s", (_, answers, expected) => expect(verdictFor(answers)).toBe(expected));
});

describe("the batches of a commit (KAFKA.md, 6)", () => {
  const record = (bytes: number): NewRecord => ({ key: "k", value: new Uint8Array(bytes) });
  it("stay below the limit, in order, with nothing left out", () => {
    const records = Array.from({ length: 500 }, (_, i) => record((i * 7_919) % 40_000));
    const batches = batchesOf(records);
    expect(batches.flat()).toEqual(records);
    expect(batches.length).toBeGreaterThan(5);
    for (const batch of batches) expect(batchBytesMax(batch)).toBeLessThanOrEqual(GATHERED_BYTES_MAX);
  });
  it("a larger record travels alone", () => {
    const sizes = batchesOf([record(10), record(2_000_000), record(20), record(30)]).map((batch) => batch.length);
    expect(sizes).toEqual([1, 1, 2]);
  });
  it("of nothing are none", () => expect(batchesOf([])).toEqual([]));
});
