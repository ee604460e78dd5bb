/**
 * Keys of the embedded log. One letter of kind comes first:
 *
 *   T | name                                     a topic
 *   P | topic number u32 | partition u32         what a partition remembers besides its records
 *   G | JSON [group, topic, partition]           a group offset
 *   R | topic number u32 | partition u32 | u64   a batch of records, by the offset of its *last* record: a seek to
 *                                                any offset finds the batch that holds it, or the next one
 *
 * Numbers are big-endian, so that a partition is one contiguous range in the order of its offsets.
 */
import { offset } from "@eddy/schemas";
import type { Offset } from "@eddy/schemas";

const KINDS = { topic: 0x54, partition: 0x50, group: 0x47, records: 0x52 } as const;
const TWO_TO_32 = 0x1_0000_0000;
const RECORDS_KEY_BYTES = 17;

/** All keys of a kind: from inclusive, to exclusive. */
export function kindRange(kind: keyof typeof KINDS): { readonly from: Buffer; readonly to: Buffer } {
  return { from: Buffer.of(KINDS[kind]), to: Buffer.of(KINDS[kind] + 1) };
}

export function topicKey(name: string): Buffer {
  return textKey(KINDS.topic, name);
}

export function groupKey(group: string, topic: string, partition: number): Buffer {
  return textKey(KINDS.group, JSON.stringify([group, topic, partition]));
}

export function partitionKey(topicNo: number, partition: number): Buffer {
  const key = Buffer.alloc(9);
  key[0] = KINDS.partition;
  key.writeUInt32BE(topicNo, 1);
  key.writeUInt32BE(partition, 5);
  return key;
}

export function recordsKey(topicNo: number, partition: number, lastOffset: number): Buffer {
  const key = Buffer.alloc(RECORDS_KEY_BYTES);
  key[0] = KINDS.records;
  key.writeUInt32BE(topicNo, 1);
  key.writeUInt32BE(partition, 5);
  key.writeUInt32BE(Math.floor(lastOffset / TWO_TO_32), 9);
  key.writeUInt32BE(lastOffset % TWO_TO_32, 13);
  return key;
}

/** @returns the last offset of the batch that the key of kind `records` names. */
export function lastOffsetOf(key: Buffer): Offset {
  return offset(key.readUInt32BE(9) * TWO_TO_32 + key.readUInt32BE(13));
}

function textKey(kind: number, text: string): Buffer {
  return Buffer.concat([Buffer.of(kind), Buffer.from(text)]);
}
