/** Groups on the run's brokers: every member in a log of its own, as processes have them. */
import { expect, vi } from "vitest";
import { PARTITIONS, TOPIC } from "../../../engine/test/contracts/groups-world.js";
import type { GroupsWorld } from "../../../engine/test/contracts/groups-world.js";
import type { GroupTimes, KafkaLog, KafkaLogOptions } from "../../src/kafka/index.js";
import type { Groups } from "../../src/ports/groups.js";
import type { TopicSpec } from "../../src/ports/log.js";
import { kafkaLog, prefixed, uniquePrefix } from "./kafka-world.js";

/** As short as a busy machine allows. */
export const QUICK: GroupTimes = { sessionMs: 3_000, heartbeatMs: 100, rebalanceMs: 10_000 };
/** Where the test shows that nobody waits for a session to end. */
export const LASTING: GroupTimes = { ...QUICK, sessionMs: 10_000 };

export const STEPS: TopicSpec = { name: TOPIC, partitions: PARTITIONS, policy: "delete", retentionMs: 60_000 };

/** The same groups under other names, so that tests share brokers without seeing each other. */
export function prefixedGroups(groups: Groups, prefix: string): Groups {
  return {
    join: (spec, listener) =>
      groups.join({ ...spec, group: `${prefix}${spec.group}`, topic: `${prefix}${spec.topic}` }, listener),
  };
}

export interface KafkaGroupsWorld extends GroupsWorld {
  readonly prefix: string;
  process(options?: Partial<KafkaLogOptions>): Promise<Groups & { readonly log: KafkaLog }>;
}

export async function kafkaGroupsWorld(
  brokers: readonly string[],
  topics: readonly TopicSpec[] = [STEPS],
): Promise<KafkaGroupsWorld> {
  const prefix = uniquePrefix();
  const opened: KafkaLog[] = [];
  const open = async (options: Partial<KafkaLogOptions> = {}): Promise<KafkaLog> => {
    const log = await kafkaLog(brokers, { groupTimes: QUICK, ...options });
    opened.push(log);
    return log;
  };
  const log = prefixed(await open(), prefix);
  await log.ensureTopics(topics);
  return {
    prefix,
    log,
    process: async (options) => {
      const own = await open(options);
      return { ...prefixedGroups(own, prefix), log: own };
    },
    until: async (isDone, what) => {
      const check = async (): Promise<void> => expect(await isDone(), what).toBe(true);
      await vi.waitFor(check, { timeout: 20_000, interval: 20 });
    },
    dispose: async () => {
      for (const each of opened) await each.close();
    },
  };
}
