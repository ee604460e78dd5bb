import { describe } from "vitest";
import { SystemClock } from "@eddy/clients";
import { MemoryGroups, MemoryLog } from "../../src/adapters/memory/index.js";
import { sourceFlows } from "./sources.js";

describe("sources on a log in memory", () => {
  sourceFlows(async () => {
    const log = new MemoryLog(new SystemClock());
    const counts = new Map<string, number>();
    return {
      log,
      groups: new MemoryGroups(log),
      userTopics: { partitionsOf: (topic) => Promise.resolve(counts.get(topic) ?? null) },
      make: async (name, partitions) => {
        await log.ensureTopics([{ name, partitions, policy: "delete", retentionMs: 86_400_000 }]);
        counts.set(name, partitions);
      },
      produce: async (topic, partition, values) => {
        const records = values.map((value) => ({ key: null, value: new TextEncoder().encode(value ?? "") }));
        await log.append(topic, partition, records);
      },
    };
  });
});
