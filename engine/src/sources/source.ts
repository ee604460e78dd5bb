/**
 * One source: this engine's place among those that read the topic. Waits for a topic that is not there yet, and begins
 * anew when the topic gets more partitions.
 */
import {
  DLQ_PARTITIONS,
  GroupMembership,
  type Clock,
  type EventSender,
  type Groups,
  type Log,
  type Logger,
  type Meter,
  type Topics,
  type UserTopics,
} from "@eddy/clients";
import { TransientError } from "@eddy/clients/errors";
import type { SourceConfig } from "../config/source-config.js";
import type { Decode } from "./decoded.js";
import { SourcePartition } from "./source-partition.js";
import { mappingOf } from "./to-event.js";

export interface SourceDeps {
  readonly log: Log;
  readonly groups: Groups;
  readonly userTopics: UserTopics;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly sender: Pick<EventSender, "send">;
  readonly topics: Topics;
  readonly config: SourceConfig;
  readonly decode: Decode;
}

/** Between looks at the topic, in ms: whether it is there, and how many partitions it has. */
const MISSING_LOOK_MS = 5_000;
const LOOK_MS = 30_000;

export class Source {
  readonly #deps: SourceDeps;
  readonly #stopping = new AbortController();
  readonly #works = new Map<number, SourcePartition>();
  #membership: GroupMembership | null = null;
  #partitions: number | null = null;
  #trouble: string | null = "it is starting";
  #running: Promise<void> | null = null;

  constructor(deps: SourceDeps) {
    this.#deps = deps;
  }

  get topic(): string {
    return this.#deps.config.topic;
  }

  /** Of the partitions that are this engine's. */
  get works(): readonly SourcePartition[] {
    return (this.#membership?.partitions ?? []).flatMap((partition) => this.#works.get(partition) ?? []);
  }

  /** Why records are not taken at this moment; null: they are, as far as this engine is asked. */
  get trouble(): string | null {
    if (this.#trouble !== null) return this.#trouble;
    const failure = this.#membership?.failure?.message ?? null;
    return failure ?? this.works.find(({ trouble }) => trouble !== null)?.trouble ?? null;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when nothing is under way. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#membership?.stop();
  }

  async #run(): Promise<void> {
    const { clock } = this.#deps;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#look();
      await clock.sleep(this.#partitions === null ? MISSING_LOOK_MS : LOOK_MS, signal);
    }
  }

  async #look(): Promise<void> {
    const { userTopics, logger } = this.#deps;
    const { topic } = this;
    try {
      const partitions = await userTopics.partitionsOf(topic);
      if (this.#stopping.signal.aborted) return;
      if (partitions === null && this.#trouble !== MISSING)
        logger.warn({ topic }, "the topic of a source is not there");
      this.#trouble = partitions === null ? MISSING : null;
      if (partitions === null || partitions === this.#partitions) return;
      if (this.#partitions !== null) logger.info({ topic, partitions }, "the topic of a source has grown");
      await this.#membership?.stop();
      this.#partitions = partitions;
      this.#membership = this.#join(partitions);
    } catch (err) {
      if (this.#stopping.signal.aborted) return;
      this.#trouble = err instanceof Error ? err.message : String(err);
      logger[err instanceof TransientError ? "warn" : "error"](
        { err, topic },
        "the topic of a source cannot be looked up",
      );
    }
  }

  #join(partitions: number): GroupMembership {
    const { groups, clock, logger, topics } = this.#deps;
    const { topic } = this;
    const membership = new GroupMembership({
      groups,
      clock,
      logger,
      spec: { group: topics.sourceGroup(topic), topic, partitions, address: null },
      workOn: (partition, member) => {
        const work = new SourcePartition({ ...this.#deps, ...this.#parts(), member, partition });
        this.#works.set(partition, work);
        return work;
      },
    });
    membership.want(true);
    return membership;
  }

  #parts() {
    const { config, topics } = this.#deps;
    const dlq = { topic: topics.dlq, partitions: DLQ_PARTITIONS };
    return { mapping: mappingOf(config), topic: config.topic, from: config.from, dlq };
  }
}

const MISSING = "the topic is not there";
