/** Topic names of one namespace, and how each topic is kept. DESIGN of each: docs/ARCHITECTURE.md, "Topics". */
import type { TopicSpec } from "./ports/log.js";

const DAY_MS = 86_400_000;

export interface Topics {
  readonly inbox: string;
  readonly changelog: string;
  readonly history: string;
  readonly dlq: string;
  readonly registry: string;
  readonly steps: (app: string) => string;
  readonly signals: (app: string) => string;
  /** Consumer groups: engines share the inbox and the topics of sources, the workers of an app its steps. */
  readonly engineGroup: string;
  readonly workerGroup: (app: string) => string;
  readonly sourceGroup: (topic: string) => string;
}

/** Partitions of the dead letter topic. */
export const DLQ_PARTITIONS = 4;

export function topicsOf(namespace: string): Topics {
  const prefix = `eddy.${namespace}.`;
  return {
    inbox: `${prefix}inbox`,
    changelog: `${prefix}changelog`,
    history: `${prefix}history`,
    dlq: `${prefix}dlq`,
    registry: `${prefix}registry`,
    steps: (app) => `${prefix}steps.${app}`,
    signals: (app) => `${prefix}signals.${app}`,
    engineGroup: `${prefix}engine`,
    workerGroup: (app) => `${prefix}workers.${app}`,
    sourceGroup: (topic) => `${prefix}source.${topic}`,
  };
}

/** Topics that exist from the start. */
export function coreTopicSpecs(topics: Topics, partitions: number): readonly TopicSpec[] {
  return [
    { name: topics.inbox, partitions, policy: "delete", retentionMs: 3 * DAY_MS },
    { name: topics.changelog, partitions, policy: "compact", retentionMs: 7 * DAY_MS },
    { name: topics.history, partitions, policy: "delete", retentionMs: 7 * DAY_MS },
    { name: topics.dlq, partitions: DLQ_PARTITIONS, policy: "delete", retentionMs: 30 * DAY_MS },
    { name: topics.registry, partitions: 1, policy: "compact", retentionMs: 7 * DAY_MS },
  ];
}

/** Topics of one app, made when it registers. */
export function appTopicSpecs(topics: Topics, app: string, partitions: number): readonly TopicSpec[] {
  return [
    { name: topics.steps(app), partitions, policy: "delete", retentionMs: DAY_MS },
    { name: topics.signals(app), partitions: 1, policy: "delete", retentionMs: DAY_MS / 24 },
  ];
}
