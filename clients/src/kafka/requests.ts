/**
 * The requests that kafkajs cannot express, or loses something of: produce and fetch with an answer per partition,
 * metadata and fetch with topic ids, topic settings changed one by one. Versions that Kafka 3.1 and later speak.
 */
import { decodeBatches } from "./record-batch.js";
import type { AbortedTransaction, DecodedRecords } from "./record-batch.js";
import { WireError, WireReader, WireWriter } from "./wire.js";

/** A request and how to read its answer; `WireRequest<T>` is sent by `BrokerLink.call`. */
export interface WireRequest<T> {
  readonly apiKey: number;
  readonly apiName: string;
  readonly apiVersion: number;
  readonly encode: () => Buffer;
  readonly decode: (payload: Buffer) => T;
}

export interface ProduceRequest {
  readonly topic: string;
  readonly partition: number;
  readonly batch: Buffer;
  readonly transactionalId: string | null;
  /** How long the broker may wait for its followers. */
  readonly timeoutMs: number;
}

export interface ProducedPartition {
  readonly topic: string;
  readonly partition: number;
  /** Kafka's number; 0 is success. */
  readonly errorCode: number;
  readonly errorMessage: string | null;
  readonly baseOffset: number;
  /** -1 in topics with create times. */
  readonly appendTimeMs: number;
}

const ACKS_ALL = -1;

/** Exactly one partition per request (KAFKA.md, 1 and 2). */
export function produceRequest(given: ProduceRequest): WireRequest<readonly ProducedPartition[]> {
  return {
    apiKey: 0,
    apiName: "Produce",
    apiVersion: 8,
    encode: () => {
      const out = new WireWriter(given.batch.length + 512);
      out.text(given.transactionalId).int16(ACKS_ALL).int32(given.timeoutMs);
      out.array([given], ({ topic, partition, batch }) => {
        out.text(topic).array([partition], (index) => out.int32(index).bytes32(batch));
      });
      return out.bytes;
    },
    decode: (payload) => {
      const from = new WireReader(payload);
      const topics = from.array(() => {
        const topic = required(from.text());
        return from.array((): ProducedPartition => {
          const [partition, errorCode, baseOffset, appendTimeMs] = [
            from.int32(),
            from.int16(),
            from.int64(),
            from.int64(),
          ];
          from.skip(8);
          from.array(() => [from.int32(), from.text()]);
          return { topic, partition, errorCode, baseOffset, appendTimeMs, errorMessage: from.text() };
        });
      });
      return topics.flat();
    },
  };
}

export interface FetchWish {
  /** Hexadecimal. */
  readonly topicId: string;
  readonly partition: number;
  readonly from: number;
}

export interface FetchRequest {
  readonly wishes: readonly FetchWish[];
  /** Leave out what is not committed, or was aborted. */
  readonly committedOnly: boolean;
  /** How long the broker may wait for a first byte; 0: not at all. */
  readonly waitMs: number;
  /** Of the answer; a larger first batch comes whole nevertheless. */
  readonly bytesMax: number;
  readonly partitionBytesMax: number;
}

export interface FetchedPartition {
  readonly topicId: string;
  readonly partition: number;
  readonly errorCode: number;
  /** Reads the records; a damaged one throws a WireError that concerns this partition alone. */
  readonly decode: (from: number) => DecodedRecords;
}

export interface Fetched {
  readonly errorCode: number;
  readonly partitions: readonly FetchedPartition[];
}

const NO_EPOCH = -1;

export function fetchRequest(given: FetchRequest): WireRequest<Fetched> {
  return {
    apiKey: 1,
    apiName: "Fetch",
    apiVersion: 13,
    encode: () => encodeFetch(given),
    decode: (payload) => decodeFetch(new WireReader(payload)),
  };
}

function encodeFetch({ wishes, committedOnly, waitMs, bytesMax, partitionBytesMax }: FetchRequest): Buffer {
  const out = new WireWriter(64 + wishes.length * 64);
  // The tags of a flexible request's header come first: kafkajs writes the older header without them.
  out.noTags();
  out
    .int32(-1)
    .int32(waitMs)
    .int32(1)
    .int32(bytesMax)
    .int8(committedOnly ? 1 : 0);
  out.int32(0).int32(-1); // No fetch session.
  // One entry per partition keeps the order of `wishes`, by which the broker shares out `bytesMax`.
  out.compactArray(wishes, ({ topicId, partition, from }) => {
    out.raw(Buffer.from(topicId, "hex")).compactArray([partition], (index) => {
      out.int32(index).int32(NO_EPOCH).int64(from).int32(NO_EPOCH).int64(-1).int32(partitionBytesMax).noTags();
    });
    out.noTags();
  });
  return out
    .compactArray([], () => undefined)
    .compactText("")
    .noTags().bytes;
}

function decodeFetch(from: WireReader): Fetched {
  from.skipTags();
  from.int32();
  const errorCode = from.int16();
  from.int32();
  const topics = from.compactArray(() => {
    const topicId = from.uuid();
    const partitions = from.compactArray(() => fetchedPartition(topicId, from));
    from.skipTags();
    return partitions;
  });
  return { errorCode, partitions: topics.flat() };
}

function fetchedPartition(topicId: string, from: WireReader): FetchedPartition {
  const [partition, errorCode] = [from.int32(), from.int16()];
  from.skip(24);
  const aborted = from.compactArray((): AbortedTransaction => {
    const transaction = { producerId: from.id64(), firstOffset: from.int64() };
    from.skipTags();
    return transaction;
  });
  from.int32();
  const records = from.raw(Math.max(from.uvarint() - 1, 0));
  from.skipTags();
  return { topicId, partition, errorCode, decode: (at) => decodeBatches(records, at, aborted) };
}

export interface NodeAddress {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

export interface PartitionMetadata {
  readonly partition: number;
  /** Node id; -1: none at present. */
  readonly leader: number;
  readonly replicas: readonly number[];
}

export interface TopicMetadata {
  readonly name: string;
  readonly errorCode: number;
  /** Hexadecimal. */
  readonly topicId: string;
  readonly partitions: readonly PartitionMetadata[];
}

export interface Metadata {
  readonly nodes: readonly NodeAddress[];
  readonly clusterId: string | null;
  readonly topics: readonly TopicMetadata[];
}

const NO_UUID = Buffer.alloc(16);

/** @param topics empty: of none, the nodes alone. Nothing is made by asking. */
export function metadataRequest(topics: readonly string[]): WireRequest<Metadata> {
  return {
    apiKey: 3,
    apiName: "Metadata",
    apiVersion: 12,
    encode: () => {
      const out = new WireWriter();
      out.noTags();
      out.compactArray(topics, (name) => out.raw(NO_UUID).compactText(name).noTags());
      return out.bool(false).bool(false).noTags().bytes;
    },
    decode: (payload) => {
      const from = new WireReader(payload);
      from.skipTags();
      from.int32();
      const nodes = from.compactArray((): NodeAddress => {
        const node = { nodeId: from.int32(), host: required(from.compactText()), port: from.int32() };
        from.compactText();
        from.skipTags();
        return node;
      });
      const clusterId = from.compactText();
      from.int32();
      return { nodes, clusterId, topics: from.compactArray(() => topicMetadata(from)) };
    },
  };
}

function topicMetadata(from: WireReader): TopicMetadata {
  const [errorCode, name, topicId] = [from.int16(), from.compactText() ?? "", from.uuid()];
  from.bool();
  const partitions = from.compactArray((): PartitionMetadata => {
    from.int16();
    const [partition, leader] = [from.int32(), from.int32()];
    from.int32();
    const replicas = from.compactArray(() => from.int32());
    from.compactArray(() => from.int32());
    from.compactArray(() => from.int32());
    from.skipTags();
    return { partition, leader, replicas };
  });
  from.int32();
  from.skipTags();
  return { name, errorCode, topicId, partitions };
}

export interface SettingsChange {
  readonly topic: string;
  readonly settings: Readonly<Record<string, string>>;
}

export interface SettingsChanged {
  readonly topic: string;
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

const TOPIC_RESOURCE = 2;
const SET = 0;

/** Sets these settings and leaves the others; kafkajs can only replace all of them. */
export function changeSettingsRequest(changes: readonly SettingsChange[]): WireRequest<readonly SettingsChanged[]> {
  return {
    apiKey: 44,
    apiName: "IncrementalAlterConfigs",
    apiVersion: 0,
    encode: () => {
      const out = new WireWriter();
      out.array(changes, ({ topic, settings }) => {
        out.int8(TOPIC_RESOURCE).text(topic);
        out.array(Object.entries(settings), ([name, value]) => out.text(name).int8(SET).text(value));
      });
      return out.bool(false).bytes;
    },
    decode: (payload) => {
      const from = new WireReader(payload);
      from.int32();
      return from.array(() => {
        const [errorCode, errorMessage] = [from.int16(), from.text()];
        from.int8();
        return { topic: required(from.text()), errorCode, errorMessage };
      });
    },
  };
}

function required(text: string | null): string {
  if (text === null) throw new WireError("a name is missing");
  return text;
}

/** What a broker must speak: [api key, version]. */
export const NEEDED_VERSIONS: readonly (readonly [apiKey: number, version: number, name: string])[] = [
  [0, 8, "Produce"],
  [1, 13, "Fetch"],
  [3, 12, "Metadata"],
  [11, 5, "JoinGroup"],
  [12, 3, "Heartbeat"],
  [13, 2, "LeaveGroup"],
  [14, 3, "SyncGroup"],
  [44, 0, "IncrementalAlterConfigs"],
];
