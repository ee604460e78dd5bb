/** What every log of ours asks of topics and records, as a Kafka broker would. */
import { BadRecordError, ConfigError, InvariantViolation, invariant } from "./errors/codes.js";
import type { NewRecord, TopicSpec } from "./ports/log.js";

/** One record, key and value, in bytes; inclusive. What partitions write stays below LIMITS.recordBytesMax anywhere. */
export const RECORD_BYTES_MAX = 40 * 1_048_576;

/**
 * @param bytesMax of one record, key and value; inclusive.
 * @throws BadRecordError; the caller has stored nothing yet.
 */
export function checkRecords(
  spec: Pick<TopicSpec, "name" | "policy">,
  partition: number,
  records: readonly NewRecord[],
  bytesMax: number = RECORD_BYTES_MAX,
): void {
  for (const { key, value } of records) {
    const fields = { topic: spec.name, partition, key };
    if (spec.policy === "compact" && key === null) {
      throw new BadRecordError(`a record of the compacted topic ${spec.name} needs a key`, fields);
    }
    if (spec.policy === "delete" && value === null) {
      throw new BadRecordError(`the topic ${spec.name} is not compacted: it takes no tombstones`, fields);
    }
    const bytes = (value?.byteLength ?? 0) + (key === null ? 0 : Buffer.byteLength(key));
    if (bytes > bytesMax) {
      throw new BadRecordError(`a record of ${bytes} bytes; at most ${bytesMax} are taken`, fields);
    }
  }
}

/** @throws ConfigError where `wanted` cannot be had without making the topic anew. */
export function checkSameTopic(existing: TopicSpec, wanted: TopicSpec): void {
  for (const property of ["partitions", "policy"] as const) {
    if (existing[property] !== wanted[property]) {
      throw new ConfigError(
        `topic ${wanted.name} has ${property} ${existing[property]}, not ${wanted[property]}; ` +
          `start with the former value, or with an empty log`,
        { topic: wanted.name, property, expected: wanted[property], actual: existing[property] },
      );
    }
  }
}

/** @throws InvariantViolation for an impossible spec. */
export function checkSpec(spec: TopicSpec): void {
  invariant(Number.isInteger(spec.partitions) && spec.partitions >= 1, "a topic has at least one partition", { spec });
  invariant(spec.retentionMs > 0, "retention is above 0 ms", { spec });
}

/** What to throw for a topic or partition that `ensureTopics` never made. */
export function unknownPartition(topic: string, partition: number): InvariantViolation {
  return new InvariantViolation(`there is no partition ${partition} of topic ${topic}`, { topic, partition });
}
