/** How our topics are set up in Kafka, and what is wrong with one that is set up otherwise. */
import type { TopicSpec } from "../ports/log.js";
import { MIB } from "./limits.js";
import { BATCH_BYTES_MAX } from "./limits.js";

export type Settings = Readonly<Record<string, string>>;

/** How often each record is kept. */
export interface Replication {
  /** Data may be lost: one copy is enough, and what exists is not checked. */
  readonly dev: boolean;
  /** Copies of each partition. */
  readonly factor: number;
  /** Copies that must have a record before it is acknowledged. */
  readonly minInsync: number;
}

/** Compaction works on closed segments alone: small ones keep a changelog, and so a takeover, short. */
const COMPACTED_SEGMENT_BYTES = 64 * MIB;

interface Expected {
  readonly name: string;
  readonly fits: (value: string) => boolean;
  /** To set it to. */
  readonly value: string;
  readonly why: string;
}

export const BY_APPEND_TIME: Expected = {
  name: "message.timestamp.type",
  value: "LogAppendTime",
  fits: (value) => value === "LogAppendTime",
  why: "timers go by the log's clock",
};

export function expectedSettings({ dev, minInsync }: Replication): readonly Expected[] {
  const atLeast = (min: number) => (value: string) => Number(value) >= min;
  const expected: Expected[] = [
    BY_APPEND_TIME,
    {
      name: "max.message.bytes",
      value: String(BATCH_BYTES_MAX),
      fits: atLeast(BATCH_BYTES_MAX),
      why: "run states and payloads may be that large",
    },
    {
      name: "compression.type",
      value: "uncompressed",
      fits: (value) => value === "uncompressed" || value === "gzip",
      why: "what other producers pack must be readable here",
    },
  ];
  if (!dev) {
    expected.push({
      name: "min.insync.replicas",
      value: String(minInsync),
      fits: atLeast(minInsync),
      why: "acknowledged records must survive the loss of a broker",
    });
  }
  return expected;
}

export function topicSettings(spec: TopicSpec, replication: Replication): Settings {
  const settings: Record<string, string> = { "cleanup.policy": spec.policy, ...retentionSettings(spec) };
  for (const { name, value } of expectedSettings(replication)) settings[name] = value;
  if (spec.policy === "compact") settings["segment.bytes"] = String(COMPACTED_SEGMENT_BYTES);
  return settings;
}

/** Records of a topic with policy delete, tombstones of a compacted one. */
export function retentionSettings({ policy, retentionMs }: TopicSpec): Settings {
  return { [policy === "delete" ? "retention.ms" : "delete.retention.ms"]: String(retentionMs) };
}

/** @returns a sentence for each setting that has to be another, with what to do. */
export function settingProblems(settings: Settings, expected: readonly Expected[]): string[] {
  return expected.flatMap(({ name, value, fits, why }) => {
    const found = settings[name] ?? "";
    if (fits(found)) return [];
    return [`has ${name}=${found}, not ${value} (${why}): kafka-configs --alter --add-config ${name}=${value}`];
  });
}
