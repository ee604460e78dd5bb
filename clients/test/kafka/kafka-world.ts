/** What the suites on Kafka share: logs on the run's brokers, each test with topics, groups and ids of its own. */
import { randomUUID } from "node:crypto";
import { SystemClock } from "../../../engine/src/adapters/memory/index.js";
import { KAFKA_RECORD_BYTES_MAX, KafkaLog } from "../../src/kafka/index.js";
import type { KafkaLogOptions } from "../../src/kafka/index.js";
import type { GroupOffset, Log, NewRecord, TopicSpec } from "../../src/ports/log.js";
import type { Offset } from "@eddy/schemas";
import type { Logger } from "../../src/ports/logger.js";
import type { LogWorld } from "../../../engine/test/contracts/log-world.js";

export const SILENT: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export function kafkaLog(brokers: readonly string[], options: Partial<KafkaLogOptions> = {}): Promise<KafkaLog> {
  return KafkaLog.open({
    brokers,
    clientId: "eddy-test",
    dev: true,
    clock: new SystemClock(),
    logger: SILENT,
    ...options,
  });
}

/** A prefix that no other test has. */
export const uniquePrefix = (): string => `t${randomUUID().slice(0, 8)}.`;

/** The same log under other names of topics and groups, so that tests share brokers without seeing each other. */
export function prefixed(log: Log, prefix: string): Log {
  const name = (topic: string): string => `${prefix}${topic}`;
  return {
    ensureTopics: (specs: readonly TopicSpec[]) =>
      log.ensureTopics(specs.map((spec) => ({ ...spec, name: name(spec.name) }))),
    topicId: (topic: string) => log.topicId(name(topic)),
    append: (topic: string, partition: number, records: readonly NewRecord[]) =>
      log.append(name(topic), partition, records),
    offsets: (topic: string, partition: number) => log.offsets(name(topic), partition),
    reader: (topic: string, partition: number, from: Offset) => log.reader(name(topic), partition, from),
    openChangelogWriter: (topic: string, partition: number) => log.openChangelogWriter(name(topic), partition),
    commitGroupOffset: (group: string, topic: string, partition: number, at: GroupOffset) =>
      log.commitGroupOffset(name(group), name(topic), partition, at),
    groupOffset: (group: string, topic: string, partition: number) =>
      log.groupOffset(name(group), name(topic), partition),
    close: () => log.close(),
  };
}

export async function kafkaWorld(brokers: readonly string[]): Promise<LogWorld> {
  const prefix = uniquePrefix();
  const opened: Log[] = [];
  const open = async (): Promise<Log> => {
    const log = prefixed(await kafkaLog(brokers), prefix);
    opened.push(log);
    return log;
  };
  return {
    log: await open(),
    reopen: async () => {
      await opened.at(-1)?.close();
      return open();
    },
    passMs: () => undefined,
    recordBytesMax: KAFKA_RECORD_BYTES_MAX,
    // The topics go with the brokers.
    dispose: async () => {
      for (const log of opened) await log.close();
    },
  };
}
