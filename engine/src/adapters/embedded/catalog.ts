/** What the embedded log's database says about topics and partitions; read once, at open. */
import { offset } from "@eddy/schemas";
import type { LogRecord, TopicSpec } from "@eddy/clients";
import type { NativeDb } from "../rocksdb/native-db.js";
import { EmbeddedPartition } from "./embedded-partition.js";
import type { EmbeddedTopic, PartitionMemory } from "./embedded-partition.js";
import { kindRange, partitionKey, recordsKey, topicKey } from "./keys.js";
import { decodeBatch } from "./record-batch.js";

/** A database holds far fewer; a scan without a limit there is none. */
const ROWS_MAX = 1_000_000;
const OFFSET_END = Number.MAX_SAFE_INTEGER;

export interface TopicRow {
  readonly no: number;
  readonly id: string;
  readonly spec: TopicSpec;
}

export function topicRow(row: TopicRow): readonly [key: Buffer, value: Buffer] {
  return [topicKey(row.spec.name), Buffer.from(JSON.stringify({ no: row.no, id: row.id, spec: row.spec }))];
}

/** A topic that has no records yet. */
export function newTopic(db: NativeDb, row: TopicRow): EmbeddedTopic {
  return makeTopic(row, (topic, p) => new EmbeddedPartition(db, topic, p, null, null));
}

/** @throws StateCorruptedError where a batch of records cannot be read. */
export async function loadTopics(db: NativeDb): Promise<Map<string, EmbeddedTopic>> {
  const memories = new Map<string, PartitionMemory>();
  for (const { key, value } of await db.scan({ ...kindRange("partition"), limit: ROWS_MAX })) {
    memories.set(key.toString("hex"), JSON.parse(value.toString()) as PartitionMemory);
  }
  const topics = new Map<string, EmbeddedTopic>();
  for (const { value } of await db.scan({ ...kindRange("topic"), limit: ROWS_MAX })) {
    const row = JSON.parse(value.toString()) as TopicRow;
    const newest = await Promise.all(
      Array.from({ length: row.spec.partitions }, (_, p) => newestRecord(db, row.no, p, memories)),
    );
    const topic = makeTopic(row, (made, p) => {
      const memory = memories.get(partitionKey(row.no, p).toString("hex")) ?? null;
      return new EmbeddedPartition(db, made, p, memory, newest[p] ?? null);
    });
    topics.set(row.spec.name, topic);
  }
  return topics;
}

function makeTopic(
  row: TopicRow,
  makePartition: (topic: EmbeddedTopic, partition: number) => EmbeddedPartition,
): EmbeddedTopic {
  const partitions: EmbeddedPartition[] = [];
  const topic: EmbeddedTopic = { no: row.no, id: row.id, spec: row.spec, partitions };
  for (let p = 0; p < row.spec.partitions; p += 1) partitions.push(makePartition(topic, p));
  return topic;
}

async function newestRecord(
  db: NativeDb,
  topicNo: number,
  partition: number,
  memories: ReadonlyMap<string, PartitionMemory>,
): Promise<LogRecord | null> {
  // Not from 0: what retention deleted lies there still, as a mark that a scan would have to cross.
  const start = memories.get(partitionKey(topicNo, partition).toString("hex"))?.start ?? offset(0);
  const range = { from: recordsKey(topicNo, partition, start), to: recordsKey(topicNo, partition, OFFSET_END) };
  const [row] = await db.scan({ ...range, limit: 1, reverse: true });
  return row === undefined ? null : (decodeBatch(row.value).at(-1) ?? null);
}
