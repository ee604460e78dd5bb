/** The topics of a namespace, made or checked without an engine: by whoever may make topics where engines may not. */
import { appTopicSpecs, coreTopicSpecs, SystemClock, topicsOf } from "@eddy/clients";
import type { Logger, TopicSpec } from "@eddy/clients";
import type { KafkaEngineConfig } from "../config/kafka-config.js";
import { openKafkaLog } from "./kafka-world.js";
import { Patience } from "./patience.js";

/**
 * Waits for a broker, and changes nothing of topics that are as they have to be.
 * @param apps whose topics are made, too. @returns the topics' names
 * @throws ConfigError where a topic is not as it has to be, or Kafka refuses to make it
 */
export async function makeTopics(
  config: KafkaEngineConfig,
  apps: readonly string[],
  logger: Logger,
): Promise<readonly string[]> {
  const clock = new SystemClock();
  const patience = new Patience({ clock, logger, signal: new AbortController().signal });
  const topics = topicsOf(config.namespace);
  const specs: readonly TopicSpec[] = [
    ...coreTopicSpecs(topics, config.partitions),
    ...apps.flatMap((app) => appTopicSpecs(topics, app, config.partitions)),
  ];
  const log = await openKafkaLog(config, { clock, logger, patience });
  try {
    await patience.untilDone(() => log.ensureTopics(specs));
    return specs.map(({ name }) => name);
  } finally {
    await log.close();
  }
}
