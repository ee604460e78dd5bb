/**
 * What we know of the cluster: its brokers, who leads which partition, who coordinates which group or transaction. It
 * learns when somebody finds it wrong (`refresh`), one look-up at a time; nothing here repeats by itself.
 */
import type { Clock } from "../ports/clock.js";
import { BrokerLink } from "./broker-link.js";
import { BrokerError, UnansweredError, verdictOf } from "./kafka-errors.js";
import type { BrokerAddress, KafkaJsBroker } from "./kafkajs-internals.js";
import { metadataRequest } from "./requests.js";
import type { Metadata, NodeAddress, PartitionMetadata } from "./requests.js";

export interface ClusterViewOptions {
  /** Bootstrap addresses, host:port. */
  readonly brokers: readonly string[];
  readonly makeBroker: (address: BrokerAddress) => KafkaJsBroker;
  readonly clock: Clock;
  /** How long one request may go unanswered, in ms. */
  readonly requestMsMax: number;
}

export interface TopicView {
  readonly name: string;
  /** Hexadecimal; another one after the topic was deleted and made again. */
  readonly topicId: string;
  /** By partition number. */
  readonly partitions: readonly PartitionMetadata[];
}

/** Connections of one broker are apart by what they carry: brokers answer each connection's requests in order. */
export type Purpose =
  | "control"
  | `group-${number}`
  | "transaction"
  | `produce-${number}`
  | `poll-${"all" | "committed"}-${number}`
  | `express-${"all" | "committed"}`;
export type CoordinatorKind = "group" | "transaction";

const NOBODY = -1;
/** A look-up tries the next broker after this long. */
const METADATA_MS_MAX = 2_000;
const UNKNOWN_TOPIC_OR_PARTITION = 3;

export class ClusterView {
  readonly #options: ClusterViewOptions;
  readonly #nodes = new Map<number, NodeAddress>();
  readonly #topics = new Map<string, TopicView>();
  readonly #links = new Map<string, BrokerLink>();
  readonly #coordinators = new Map<string, number>();
  /** When an address failed us last: those are asked last. */
  readonly #troubledAtMs = new Map<string, number>();
  readonly #wanted = new Set<string>();
  #refreshing: Promise<void> | null = null;

  constructor(options: ClusterViewOptions) {
    this.#options = options;
  }

  /** As of the last look-up that found it; undefined: none did. */
  topic(name: string): TopicView | undefined {
    return this.#topics.get(name);
  }

  /** Node id of the partition's leader; null while nobody is known to lead it. */
  leaderOf(topic: string, partition: number): number | null {
    const leader = this.#topics.get(topic)?.partitions[partition]?.leader ?? NOBODY;
    return leader === NOBODY ? null : leader;
  }

  /** @throws UnansweredError while nobody is known to lead the partition */
  leaderLink(topic: string, partition: number, purpose: Purpose): BrokerLink {
    const leader = this.leaderOf(topic, partition);
    if (leader === null) throw new UnansweredError(`nobody leads partition ${partition} of ${topic}`);
    return this.link(leader, purpose);
  }

  /** @throws UnansweredError for a node that is not known (any more) */
  link(nodeId: number, purpose: Purpose): BrokerLink {
    const node = this.#nodes.get(nodeId);
    if (node === undefined) throw new UnansweredError(`broker ${nodeId} is not known`);
    return this.#linkTo(node, purpose);
  }

  /** A broker that answered lately, if there is one. @throws UnansweredError before the first look-up */
  anyLink(): BrokerLink {
    const [node] = this.#byTrouble([...this.#nodes.values()]);
    if (node === undefined) throw new UnansweredError("no broker is known yet");
    return this.#linkTo(node, "control");
  }

  /** Looks these topics up, and the brokers. Callers at the same time share one look-up. @throws raw errors */
  async refresh(topics: Iterable<string>): Promise<void> {
    for (const name of topics) this.#wanted.add(name);
    this.#refreshing ??= this.#refreshWanted();
    try {
      await this.#refreshing;
    } finally {
      this.#refreshing = null;
    }
  }

  /** Asks brokers, one after the other, until one answers. @throws the last one's raw error; a refusal at once */
  async metadata(topics: readonly string[]): Promise<Metadata> {
    let failure: unknown = new UnansweredError("no broker is configured");
    for (const address of this.#byTrouble([...this.#nodes.values(), ...this.#seeds()])) {
      try {
        const msMax = Math.min(METADATA_MS_MAX, this.#options.requestMsMax);
        const metadata = await this.#linkTo(address, "control").call(metadataRequest(topics), msMax);
        this.#learn(metadata);
        return metadata;
      } catch (error) {
        failure = error;
        if (verdictOf(error) === "config") break;
      }
    }
    throw failure;
  }

  /** @throws raw errors */
  async coordinatorLink(kind: CoordinatorKind, id: string, purpose: Purpose = "control"): Promise<BrokerLink> {
    const known = this.#coordinators.get(`${kind}/${id}`);
    if (known !== undefined && this.#nodes.has(known)) return this.link(known, purpose);
    const coordinatorType = kind === "group" ? 0 : 1;
    const { coordinator } = await this.anyLink().ask("FindCoordinator", this.#options.requestMsMax, (broker) =>
      broker.findGroupCoordinator({ groupId: id, coordinatorType }),
    );
    this.#nodes.set(coordinator.nodeId, coordinator);
    this.#coordinators.set(`${kind}/${id}`, coordinator.nodeId);
    return this.link(coordinator.nodeId, purpose);
  }

  forgetCoordinator(kind: CoordinatorKind, id: string): void {
    this.#coordinators.delete(`${kind}/${id}`);
  }

  /** Ends the connections of one purpose, which is over. */
  endLinks(purpose: Purpose, why: string): void {
    for (const [key, link] of this.#links) {
      if (!key.endsWith(`/${purpose}`)) continue;
      link.drop(why);
      this.#links.delete(key);
    }
  }

  /** Ends all connections, and what waits for answers on them. */
  close(): void {
    for (const link of this.#links.values()) link.drop("the log was closed");
    this.#links.clear();
  }

  async #refreshWanted(): Promise<void> {
    // What is wanted in the same turn of the event loop goes along.
    await Promise.resolve();
    const topics = [...this.#wanted];
    this.#wanted.clear();
    await this.metadata(topics);
  }

  #learn({ nodes, topics }: Metadata): void {
    if (nodes.length > 0) {
      this.#nodes.clear();
      for (const node of nodes) this.#nodes.set(node.nodeId, node);
      this.#dropStrayLinks();
    }
    for (const { name, errorCode, topicId, partitions } of topics) {
      const known = this.#topics.get(name);
      if (errorCode === UNKNOWN_TOPIC_OR_PARTITION && known !== undefined) {
        // Deleted, or the broker is still starting up: whoever needs a leader looks again.
        const partitions = known.partitions.map((partition) => ({ ...partition, leader: NOBODY }));
        this.#topics.set(name, { ...known, partitions });
      } else if (partitions.length > 0) {
        const sorted = [...partitions].sort((a, b) => a.partition - b.partition);
        this.#topics.set(name, { name, topicId, partitions: sorted });
      }
    }
  }

  /** Brokers may come back under other addresses, for ever. */
  #dropStrayLinks(): void {
    const addresses = [...this.#nodes.values(), ...this.#seeds()].map(({ host, port }) => `${host}:${port}`);
    const current = new Set(addresses);
    for (const [key, link] of this.#links) {
      const address = `${link.address.host}:${link.address.port}`;
      if (current.has(address)) continue;
      link.drop(`there is no broker at ${address} any more`);
      this.#links.delete(key);
      this.#troubledAtMs.delete(address);
    }
  }

  #linkTo(address: NodeAddress | BrokerAddress, purpose: Purpose): BrokerLink {
    const { host, port } = address;
    const key = `${host}:${port}/${purpose}`;
    let link = this.#links.get(key);
    if (link === undefined) {
      const onTrouble = (): void => void this.#troubledAtMs.set(`${host}:${port}`, this.#options.clock.nowMs());
      link = new BrokerLink({ address, makeBroker: this.#options.makeBroker, onTrouble });
      this.#links.set(key, link);
    }
    return link;
  }

  /** Without repeats; those that never failed us first, then those that did so long ago. */
  #byTrouble<A extends BrokerAddress>(addresses: readonly A[]): readonly A[] {
    const unique = new Map(addresses.map((address) => [`${address.host}:${address.port}`, address]));
    return [...unique.values()]
      .map((address) => ({ address, at: this.#troubledAtMs.get(`${address.host}:${address.port}`) ?? 0 }))
      .sort((a, b) => a.at - b.at)
      .map(({ address }) => address);
  }

  #seeds(): readonly BrokerAddress[] {
    return this.#options.brokers.map((address) => {
      const colon = address.lastIndexOf(":");
      return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)), nodeId: null };
    });
  }
}

/** @throws BrokerError unless `errorCode` is 0 */
export function failOn(errorCode: number, detail: string | null = null): void {
  if (errorCode !== 0) throw new BrokerError(errorCode, detail);
}
