import { describe, expect, it } from "vitest";
import { expectedSettings, settingProblems, topicSettings } from "../../src/kafka/topic-settings.js";
import type { TopicSpec } from "../../src/ports/log.js";

const PRODUCTION = { dev: false, factor: 3, minInsync: 2 };
const DEV = { ...PRODUCTION, dev: true };
const INBOX: TopicSpec = { name: "inbox", partitions: 4, policy: "delete", retentionMs: 5_000 };

describe("settings of a topic", () => {
  it("that we make pass our own check", () => {
    for (const replication of [PRODUCTION, DEV]) {
      const settings = topicSettings(INBOX, replication);
      expect(settingProblems(settings, expectedSettings(replication))).toEqual([]);
    }
  });
  it("bound what is kept by its policy", () => {
    expect(topicSettings(INBOX, DEV)).toMatchObject({ "cleanup.policy": "delete", "retention.ms": "5000" });
    const compacted = topicSettings({ ...INBOX, policy: "compact" }, DEV);
    expect(compacted).toMatchObject({ "cleanup.policy": "compact", "delete.retention.ms": "5000" });
    expect(compacted).not.toHaveProperty("retention.ms");
  });
  it.each([
    ["message.timestamp.type", "CreateTime", "LogAppendTime"],
    ["max.message.bytes", "6291455", "6291456"],
    ["compression.type", "zstd", "uncompressed"],
    ["compression.type", "producer", "uncompressed"],
    ["min.insync.replicas", "1", "2"],
  ])("that are wrong (%s=%s) are named with what to do", (name, wrong, right) => {
    const settings = { ...topicSettings(INBOX, PRODUCTION), [name]: wrong };
    const problems = settingProblems(settings, expectedSettings(PRODUCTION));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`${name}=${wrong}`);
    expect(problems[0]).toContain(`--add-config ${name}=${right}`);
  });
  it("may be larger than needed, and in dev need no second copy", () => {
    const larger = { ...topicSettings(INBOX, PRODUCTION), "max.message.bytes": "6291457", "min.insync.replicas": "3" };
    expect(settingProblems(larger, expectedSettings(PRODUCTION))).toEqual([]);
    const single = { ...topicSettings(INBOX, DEV), "min.insync.replicas": "1" };
    expect(settingProblems(single, expectedSettings(DEV))).toEqual([]);
  });
});
