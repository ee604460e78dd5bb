/**
 * The topics of this process: looked up once, made where they are missing, and checked. Names, partition counts and
 * policies are kept; who leads is the cluster view's to know.
 */
import { ConfigError } from "../errors/codes.js";
import type { TopicPolicy, TopicSpec } from "../ports/log.js";
import { checkSameTopic, checkSpec, unknownPartition } from "../topic-rules.js";
import { failOn } from "./cluster-view.js";
import type { KafkaClient } from "./kafka-client.js";
import { BrokerError } from "./kafka-errors.js";
import { changeSettingsRequest } from "./requests.js";
import type { TopicMetadata } from "./requests.js";
import {
  BY_APPEND_TIME,
  expectedSettings,
  retentionSettings,
  settingProblems,
  topicSettings,
} from "./topic-settings.js";
import type { Replication, Settings } from "./topic-settings.js";

export interface KnownTopic {
  readonly name: string;
  readonly partitions: number;
  readonly policy: TopicPolicy;
}

const TOPIC_RESOURCE = 2;
const TOPIC_ALREADY_EXISTS = 36;
const INVALID_REPLICATION_FACTOR = 38;
const UNKNOWN_TOPIC_OR_PARTITION = 3;

export class TopicCatalog {
  readonly #client: KafkaClient;
  readonly #replication: Replication;
  readonly #known = new Map<string, KnownTopic>();
  readonly #loading = new Map<string, Promise<KnownTopic>>();

  constructor(client: KafkaClient, replication: Replication) {
    this.#client = client;
    this.#replication = replication;
  }

  /** null for a topic that this process did not look up yet. */
  find(name: string): KnownTopic | null {
    return this.#known.get(name) ?? null;
  }

  /** @throws InvariantViolation where there is no such partition; TransientError, ConfigError */
  async partition(name: string, partition: number): Promise<KnownTopic> {
    const topic = this.#known.get(name) ?? (await this.#load(name));
    if (!(partition >= 0 && partition < topic.partitions)) throw unknownPartition(name, partition);
    return topic;
  }

  /** Always asked anew: a topic may have been made again. @throws InvariantViolation where there is none */
  async id(name: string): Promise<string> {
    const request = { doing: `tell the id of topic ${name}`, fields: { topic: name } };
    return this.#client.persist(request, async () => {
      const { topics } = await this.#client.cluster.metadata([name]);
      const topic = topics.find((each) => each.name === name);
      const errorCode = topic?.errorCode ?? UNKNOWN_TOPIC_OR_PARTITION;
      // A broker that is starting up may not know a topic yet that we know to be there.
      if (errorCode === UNKNOWN_TOPIC_OR_PARTITION && !this.#known.has(name)) throw unknownPartition(name, 0);
      failOn(errorCode, name);
      return topic?.topicId ?? "";
    });
  }

  /**
   * A topic of users, as it is now: its settings are theirs. It is read as a compacted one, whose offsets may have gaps.
   * @returns null where there is none
   */
  async ofUsers(name: string): Promise<KnownTopic | null> {
    const metadata = (await this.#metadata([name])).get(name);
    if (metadata === undefined) return null;
    const topic = { name, partitions: metadata.partitions.length, policy: "compact" } as const;
    this.#known.set(name, topic);
    return topic;
  }

  /** As `Log.ensureTopics`. */
  async ensure(specs: readonly TopicSpec[]): Promise<void> {
    for (const spec of specs) checkSpec(spec);
    const existing = await this.#check(specs);
    const missing = specs.filter(({ name }) => !existing.has(name));
    if (missing.length > 0) {
      await this.#create(missing);
      // Another process may have been faster, with other ideas.
      for (const [name, settings] of await this.#check(missing)) existing.set(name, settings);
    }
    await this.#takeRetention(specs, existing);
    for (const { name, partitions, policy } of specs) this.#known.set(name, { name, partitions, policy });
  }

  #load(name: string): Promise<KnownTopic> {
    let loading = this.#loading.get(name);
    if (loading === undefined) {
      loading = this.#loadNow(name).finally(() => this.#loading.delete(name));
      this.#loading.set(name, loading);
    }
    return loading;
  }

  async #loadNow(name: string): Promise<KnownTopic> {
    const metadata = (await this.#metadata([name])).get(name);
    if (metadata === undefined) throw unknownPartition(name, 0);
    const settings = (await this.#settings([name])).get(name) ?? {};
    const [problem] = settingProblems(settings, [BY_APPEND_TIME]);
    if (problem !== undefined) throw new ConfigError(`topic ${name} ${problem}`, { topic: name });
    const policy = settings["cleanup.policy"] === "compact" ? "compact" : "delete";
    const topic = { name, partitions: metadata.partitions.length, policy } as const;
    this.#known.set(name, topic);
    return topic;
  }

  /** @returns the settings of those that are there. @throws ConfigError where one is not as it has to be */
  async #check(specs: readonly TopicSpec[]): Promise<Map<string, Settings>> {
    const present = await this.#metadata(specs.map(({ name }) => name));
    const settings = await this.#settings([...present.keys()]);
    for (const spec of specs) {
      const metadata = present.get(spec.name);
      const found = settings.get(spec.name);
      if (metadata !== undefined && found !== undefined) this.#checkOne(spec, metadata, found);
    }
    return settings;
  }

  #checkOne(spec: TopicSpec, { partitions }: TopicMetadata, settings: Settings): void {
    const policy = settings["cleanup.policy"] ?? "";
    checkSameTopic({ ...spec, partitions: partitions.length, policy: policy as TopicPolicy }, spec);
    const problems = settingProblems(settings, expectedSettings(this.#replication));
    const replicas = Math.min(...partitions.map((partition) => partition.replicas.length));
    if (!this.#replication.dev && replicas < this.#replication.factor) {
      const advice = "reassign its partitions with kafka-reassign-partitions, or say dev: true where data may be lost";
      problems.push(`has ${replicas} replicas, not ${this.#replication.factor}: ${advice}`);
    }
    if (problems.length === 0) return;
    throw new ConfigError(`topic ${spec.name} cannot be used:\n  ${problems.join("\n  ")}`, {
      topic: spec.name,
      problems,
    });
  }

  async #create(specs: readonly TopicSpec[]): Promise<void> {
    const { dev, factor } = this.#replication;
    const topics = specs.map((spec) => ({
      topic: spec.name,
      numPartitions: spec.partitions,
      replicationFactor: dev ? 1 : factor,
      configEntries: Object.entries(topicSettings(spec, this.#replication)).map(([name, value]) => ({ name, value })),
    }));
    const names = specs.map(({ name }) => name);
    const request = { doing: `make the topics ${names.join(", ")}`, fields: { topics: names } };
    await this.#client.onAnyBroker("CreateTopics", request, async (broker) => {
      try {
        await broker.createTopics({ topics, timeout: this.#client.requestMsMax });
      } catch (error) {
        this.#throwUnlessThere(error);
      }
    });
    await this.#untilLed(names);
  }

  /** Topics that were just made have no leaders for a moment; kafkajs's own waiting for them may fail (KAFKA.md, 8). */
  async #untilLed(names: readonly string[]): Promise<void> {
    const request = { doing: `find leaders of ${names.join(", ")}`, fields: { topics: names } };
    await this.#client.persist(request, async () => {
      const { topics } = await this.#client.cluster.metadata(names);
      for (const name of names) {
        const topic = topics.find((each) => each.name === name);
        failOn(topic?.errorCode ?? UNKNOWN_TOPIC_OR_PARTITION, name);
        if (topic?.partitions.some(({ leader }) => leader < 0) ?? true) throw new BrokerError(5, name);
      }
    });
  }

  /** Another retention is taken over: it can be changed without harm to what is there. */
  async #takeRetention(specs: readonly TopicSpec[], existing: ReadonlyMap<string, Settings>): Promise<void> {
    const changes = specs.flatMap((spec) => {
      const found = existing.get(spec.name) ?? {};
      const settings = retentionSettings(spec);
      const isSame = Object.entries(settings).every(([name, value]) => found[name] === value);
      return isSame ? [] : [{ topic: spec.name, settings }];
    });
    if (changes.length === 0) return;
    const request = { doing: "change the retention of topics", fields: { changes } };
    await this.#client.persist(request, async () => {
      const link = this.#client.cluster.anyLink();
      const answers = await link.call(changeSettingsRequest(changes), this.#client.requestMsMax);
      for (const { topic, errorCode, errorMessage } of answers) failOn(errorCode, `${topic}: ${errorMessage}`);
    });
  }

  /** Of those that are there. */
  async #metadata(names: readonly string[]): Promise<Map<string, TopicMetadata>> {
    const request = { doing: `look up ${names.join(", ")}`, fields: { topics: names } };
    return this.#client.persist(request, async () => {
      const { topics } = await this.#client.cluster.metadata(names);
      const present = topics.filter(({ errorCode }) => errorCode !== UNKNOWN_TOPIC_OR_PARTITION);
      for (const { name, errorCode } of present) failOn(errorCode, name);
      return new Map(present.map((topic) => [topic.name, topic]));
    });
  }

  async #settings(names: readonly string[]): Promise<Map<string, Settings>> {
    if (names.length === 0) return new Map();
    const resources = names.map((name) => ({ type: TOPIC_RESOURCE, name, configNames: [] }));
    const request = { doing: `read the settings of ${names.join(", ")}`, fields: { topics: names } };
    const answer = await this.#client.onAnyBroker("DescribeConfigs", request, (broker) =>
      broker.describeConfigs({ resources }),
    );
    return new Map(
      answer.resources.map(({ resourceName, configEntries }) => {
        const settings = configEntries.map(({ configName, configValue }) => [configName, configValue ?? ""] as const);
        return [resourceName, Object.fromEntries(settings)];
      }),
    );
  }

  /** Topics that another process made a moment ago are welcome. */
  #throwUnlessThere(error: unknown): void {
    const { errors } = error as { readonly errors?: unknown };
    if (!Array.isArray(errors)) throw error;
    for (const each of errors as readonly unknown[]) {
      const { code } = each as { readonly code?: unknown };
      if (code === INVALID_REPLICATION_FACTOR) {
        throw new ConfigError(
          `the cluster has fewer than ${this.#replication.factor} brokers, one for each copy of a record: ` +
            "start more, or say dev: true where data may be lost",
          { factor: this.#replication.factor },
        );
      }
      if (code !== TOPIC_ALREADY_EXISTS) throw each;
    }
  }
}
