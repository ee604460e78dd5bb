/**
 * The log on Kafka. kafkajs carries the bytes; what to send, when to repeat it and what an answer means is decided here,
 * because its producers and consumers lose, repeat or skip records in ways that cannot be guarded from outside
 * (docs/adr/0020-kafka-log-on-kafkajs.md).
 *
 *   append ────────> append lanes, one per partition ─┐
 *   commit ────────> changelog transactions ──────────┴─> produce ─┐
 *   read <───────── readers <── fetch loop <───────────────────────┼── broker links ──> brokers
 *   topics, offsets, group offsets, members of groups ─────────────┘        └─ cluster view: who leads, who coordinates
 *
 * Append times are those of the brokers' clocks: they may go back when another broker becomes leader.
 */
import type { Offset } from "@eddy/schemas";
import { ConfigError, TransientError, invariant } from "../errors/codes.js";
import type { Clock } from "../ports/clock.js";
import type {
  Appended,
  ChangelogWriter,
  GroupOffset,
  Log,
  LogReader,
  NewRecord,
  OffsetRange,
  TopicSpec,
} from "../ports/log.js";
import type { GroupListener, GroupMember, Groups, GroupSpec } from "../ports/groups.js";
import type { Logger } from "../ports/logger.js";
import type { UserTopics } from "../ports/user-topics.js";
import { checkRecords, unknownPartition } from "../topic-rules.js";
import { AppendLanes } from "./append-lanes.js";
import { openTransactions } from "./changelog-transactions.js";
import { ClusterView } from "./cluster-view.js";
import { FetchLoop } from "./fetch-loop.js";
import { GroupCoordinator } from "./group-coordinator.js";
import type { GroupTimes } from "./group-coordinator.js";
import { KafkaGroupMember } from "./group-member.js";
import { GroupOffsets } from "./group-offsets.js";
import { KafkaClient } from "./kafka-client.js";
import { KafkaReader } from "./kafka-reader.js";
import { brokerFactory } from "./kafkajs-internals.js";
import type { SaslOptions, SocketFactory, SslOptions } from "./kafkajs-internals.js";
import { KAFKA_RECORD_BYTES_MAX } from "./limits.js";
import { offsetRange } from "./offset-queries.js";
import { TopicCatalog } from "./topic-catalog.js";
import type { KnownTopic } from "./topic-catalog.js";
import type { Replication } from "./topic-settings.js";

export interface KafkaLogOptions {
  /** Bootstrap addresses, host:port. */
  readonly brokers: readonly string[];
  /** Shown in the brokers' logs and quotas. */
  readonly clientId: string;
  /** As kafkajs takes them. */
  readonly ssl?: SslOptions | undefined;
  readonly sasl?: SaslOptions | undefined;
  /** Data may be lost: topics get one copy, and the copies of existing ones are not checked. */
  readonly dev: boolean;
  /** Outside dev: copies of each partition of topics that are made; fewer are refused. Default 3. */
  readonly replicationFactor?: number;
  /** Outside dev: copies that have a record when it is acknowledged. Default 2. */
  readonly minInsyncReplicas?: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long one request may go unanswered, in ms; then its connection is given up. Default 5,000. */
  readonly requestMsMax?: number;
  /** How long a call goes on trying while brokers fail, in ms; then it throws TransientError. Default 15,000. */
  readonly patienceMs?: number;
  /** Of members of groups. Default: a session of 10 s, heartbeats each second, 30 s for a rebalance. */
  readonly groupTimes?: GroupTimes;
  /** For tests of lost connections. */
  readonly socketFactory?: SocketFactory | undefined;
}

const REQUEST_MS_MAX = 5_000;
const PATIENCE_MS = 15_000;
const GROUP_TIMES: GroupTimes = { sessionMs: 10_000, heartbeatMs: 1_000, rebalanceMs: 30_000 };
/** Brokers close connections that speak otherwise than they expect, and do not say why. */
const LISTENER_HINT = "if brokers run there, check that ssl and sasl fit the listener of this port";
const REPLICATION_FACTOR = 3;
const MIN_INSYNC_REPLICAS = 2;

export class KafkaLog implements Log, Groups, UserTopics {
  readonly #client: KafkaClient;
  readonly #topics: TopicCatalog;
  readonly #lanes: AppendLanes;
  readonly #loop: FetchLoop;
  readonly #groups: GroupOffsets;
  readonly #groupTimes: GroupTimes;
  readonly #readers = new Set<KafkaReader>();
  readonly #members = new Set<KafkaGroupMember>();
  #joins = 0;

  private constructor(client: KafkaClient, replication: Replication, groupTimes: GroupTimes) {
    this.#client = client;
    this.#groupTimes = groupTimes;
    this.#topics = new TopicCatalog(client, replication);
    this.#lanes = new AppendLanes(client);
    this.#loop = new FetchLoop(client);
    this.#groups = new GroupOffsets(client);
  }

  /**
   * Resolves once a broker has answered.
   * @throws TransientError when none does; ConfigError for addresses, credentials or versions that will not do
   */
  static async open(options: KafkaLogOptions): Promise<KafkaLog> {
    checkAddresses(options.brokers);
    const { brokers, clientId, ssl, sasl, clock, logger, socketFactory } = options;
    const requestMsMax = options.requestMsMax ?? REQUEST_MS_MAX;
    const makeBroker = brokerFactory({ clientId, ssl, sasl, connectMsMax: requestMsMax, logger, socketFactory });
    const cluster = new ClusterView({ brokers, makeBroker, clock, requestMsMax });
    const patienceMs = options.patienceMs ?? PATIENCE_MS;
    const client = new KafkaClient({ cluster, clock, logger, requestMsMax, patienceMs });
    const failing = { doing: `answer at ${brokers.join(", ")}`, fields: { brokers } };
    try {
      await client.persist(failing, () => cluster.metadata([]));
    } catch (error) {
      client.close();
      if (!(error instanceof TransientError)) throw error;
      throw new TransientError(`${error.message}; ${LISTENER_HINT}`, error.fields, { cause: error });
    }
    const replication = {
      dev: options.dev,
      factor: options.replicationFactor ?? REPLICATION_FACTOR,
      minInsync: options.minInsyncReplicas ?? MIN_INSYNC_REPLICAS,
    };
    return new KafkaLog(client, replication, options.groupTimes ?? GROUP_TIMES);
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    this.#client.checkOpen();
    await this.#topics.ensure(specs);
  }

  async partitionsOf(topic: string): Promise<number | null> {
    this.#client.checkOpen();
    return (await this.#topics.ofUsers(topic))?.partitions ?? null;
  }

  async topicId(topic: string): Promise<string> {
    this.#client.checkOpen();
    return this.#topics.id(topic);
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended> {
    const known = await this.#partition(topic, partition);
    invariant(records.length > 0, "an append holds at least one record", { topic, partition });
    check(known, partition, records);
    return this.#lanes.append({ topic, partition }, records);
  }

  async offsets(topic: string, partition: number): Promise<OffsetRange> {
    await this.#partition(topic, partition);
    return offsetRange(this.#client, { topic, partition });
  }

  /** Of a topic that a former call named: `ensureTopics`, `offsets` or any other. */
  reader(topic: string, partition: number, from: Offset): LogReader {
    this.#client.checkOpen();
    const known = this.#topics.find(topic);
    const topicId = this.#client.cluster.topic(topic)?.topicId;
    if (known === null || topicId === undefined || !(partition >= 0 && partition < known.partitions)) {
      throw unknownPartition(topic, partition);
    }
    const isCompacted = known.policy === "compact";
    const place = { topic, partition, topicId, committedOnly: isCompacted, gapless: !isCompacted };
    const onClose = (closed: KafkaReader): void => void this.#readers.delete(closed);
    const reader = new KafkaReader({ client: this.#client, loop: this.#loop, place, from, onClose });
    this.#readers.add(reader);
    return reader;
  }

  /** Of a compacted topic: readers of others do not wait for commits. */
  async openChangelogWriter(topic: string, partition: number): Promise<ChangelogWriter> {
    const known = await this.#partition(topic, partition);
    invariant(known.policy === "compact", "a changelog is compacted", { topic, partition });
    return openTransactions({
      client: this.#client,
      to: { topic, partition },
      check: (records) => check(known, partition, records),
    });
  }

  async commitGroupOffset(group: string, topic: string, partition: number, at: GroupOffset): Promise<void> {
    await this.#partition(topic, partition);
    await this.#groups.commit(group, { topic, partition }, at);
  }

  async groupOffset(group: string, topic: string, partition: number): Promise<GroupOffset | null> {
    await this.#partition(topic, partition);
    return this.#groups.read(group, { topic, partition });
  }

  async join(spec: GroupSpec, listener: GroupListener): Promise<GroupMember> {
    const { group, topic, partitions } = spec;
    const known = await this.#partition(topic, 0);
    if (known.partitions !== partitions) {
      const what = `topic ${topic} has ${known.partitions} partitions, this process is configured for ${partitions}`;
      throw new ConfigError(what, { group, topic, expected: partitions, actual: known.partitions });
    }
    const times = this.#groupTimes;
    const member = new KafkaGroupMember({
      client: this.#client,
      coordinator: new GroupCoordinator(this.#client, group, `group-${(this.#joins += 1)}`, times),
      times,
      spec,
      listener,
      committed: (partition) => this.groupOffset(group, topic, partition),
      onEnd: (ended) => void this.#members.delete(ended),
    });
    this.#members.add(member);
    await member.start();
    return member;
  }

  /**
   * Calls under way reject with ClosedError: whether their records are stored is not known. Members leave their groups
   * without hearing of it.
   */
  async close(): Promise<void> {
    await Promise.all([...this.#members].map((member) => member.abandon()));
    for (const reader of [...this.#readers]) await reader.close();
    this.#client.close();
  }

  async #partition(topic: string, partition: number): Promise<KnownTopic> {
    this.#client.checkOpen();
    const known = await this.#topics.partition(topic, partition);
    this.#client.checkOpen();
    return known;
  }
}

/** @throws BadRecordError */
function check(topic: KnownTopic, partition: number, records: readonly NewRecord[]): void {
  checkRecords(topic, partition, records, KAFKA_RECORD_BYTES_MAX);
}

function checkAddresses(brokers: readonly string[]): void {
  const wrong = brokers.filter((address) => !/^.+:\d{1,5}$/.test(address));
  if (brokers.length > 0 && wrong.length === 0) return;
  const what = brokers.length === 0 ? "no Kafka broker is given" : `these are no addresses: ${wrong.join(", ")}`;
  throw new ConfigError(`${what}; write host:port, several with commas between`, { brokers });
}
