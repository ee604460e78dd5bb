/** Where partitions begin and end. */
import { offset } from "@eddy/schemas";
import type { OffsetRange } from "../ports/log.js";
import type { KafkaClient } from "./kafka-client.js";
import { BrokerError } from "./kafka-errors.js";
import type { Destination } from "./produce.js";

const EARLIEST = -2;
const LATEST = -1;
const UP_TO_HIGH_WATERMARK = 0;
const UP_TO_LAST_STABLE = 1;
const UNKNOWN_TOPIC_OR_PARTITION = 3;

/** Everything that is stored, committed or not: the end is the high watermark. */
export function offsetRange(client: KafkaClient, of: Destination): Promise<OffsetRange> {
  const failing = { doing: `tell the offsets of ${of.topic}/${of.partition}`, fields: { ...of } };
  return client.persist(failing, async () => {
    const [start, end] = await Promise.all([
      query(client, of, EARLIEST, UP_TO_HIGH_WATERMARK),
      query(client, of, LATEST, UP_TO_HIGH_WATERMARK),
    ]);
    return { start: offset(start), end: offset(end) };
  }, [of.topic]);
}

/** Up to where readers of committed records may read: below the first record of an open transaction. Asks once. */
export function lastStableOffset(client: KafkaClient, of: Destination): Promise<number> {
  return query(client, of, LATEST, UP_TO_LAST_STABLE);
}

async function query(
  client: KafkaClient,
  { topic, partition }: Destination,
  timestamp: number,
  isolationLevel: 0 | 1,
): Promise<number> {
  const link = client.cluster.leaderLink(topic, partition, "control");
  const { responses } = await link.ask("ListOffsets", client.requestMsMax, (broker) =>
    broker.listOffsets({ isolationLevel, topics: [{ topic, partitions: [{ partition, timestamp }] }] }),
  );
  const found = responses[0]?.partitions[0];
  if (found?.partition !== partition) throw new BrokerError(UNKNOWN_TOPIC_OR_PARTITION, `${topic}/${partition}`);
  return Number(found.offset);
}
