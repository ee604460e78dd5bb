/**
 * A real Kafka for tests and for trying things out: the one named by KAFKA_BROKERS, else containers where a Docker
 * engine answers, else Apache Kafka by Maven on the local Java; else an error that says what was tried.
 */

/** One broker that may be ended and brought back. All of them keep their address. */
export interface KafkaNode {
  /** From 1. */
  readonly id: number;
  /** host:port. */
  readonly address: string;
  /** As kill -9 does; resolves when the process is gone. */
  kill(): Promise<void>;
  /** As SIGSTOP does: connections stay open, nothing is answered. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** After `kill`; resolves when the broker says that it has started. */
  start(): Promise<void>;
}

export interface KafkaCluster {
  /** Where it comes from, for people. */
  readonly origin: string;
  readonly brokers: readonly string[];
  /** The same brokers, for clients that log in (SASL PLAIN or OAUTHBEARER) as one of `USERS`. Empty for a cluster that is not ours. */
  readonly secureBrokers: readonly string[];
  /** Empty for a cluster that is not ours. */
  readonly nodes: readonly KafkaNode[];
  /** Ends the brokers and removes their data. Idempotent. */
  stop(): Promise<void>;
}

export interface ClusterOptions {
  /** How many brokers, 1 or 3. */
  readonly nodes: 1 | 3;
  /** The test ends brokers: an outside cluster will not do. */
  readonly ownNodes?: boolean;
  readonly print?: (line: string) => void;
}

/** Why a provider cannot serve. */
export class ProviderUnusable extends Error {
  override readonly name = "ProviderUnusable";
}

/** Who may log in, with their passwords: one who may do everything, and one who may do nothing. */
export const USERS = { eddy: "may-do-all", guest: "may-do-nothing" } as const;

/** Of the listener that asks for a login. */
export const SECURE_LISTENER = "SECURE";

/** The version that brokers of ours run. */
export const KAFKA_VERSION = "4.3.1";

/** @throws Error that lists what was tried, when no Kafka can be had. */
export async function startKafka(options: ClusterOptions): Promise<KafkaCluster> {
  const given = process.env["KAFKA_BROKERS"];
  if (given !== undefined && given !== "" && options.ownNodes !== true) return outsideCluster(given);
  const tried: string[] = [];
  for (const provider of ["./docker-cluster.js", "./java-cluster.js"] as const) {
    try {
      return await startWith(provider, options);
    } catch (error) {
      if (!(error instanceof ProviderUnusable)) throw error;
      tried.push(error.message);
    }
  }
  throw new Error(
    "these tests need a real Kafka, and none can be had:\n  " +
      ["KAFKA_BROKERS is not set, or the test ends brokers and needs its own", ...tried].join("\n  ") +
      "\nset KAFKA_BROKERS=host:port, or start Docker, or install Java 17 and Maven",
  );
}

type Provider = "./docker-cluster.js" | "./java-cluster.js";

/** Loaded when needed: testcontainers takes a second to load. */
async function startWith(provider: Provider, options: ClusterOptions): Promise<KafkaCluster> {
  if (provider === "./docker-cluster.js") return (await import("./docker-cluster.js")).startDockerCluster(options);
  return (await import("./java-cluster.js")).startJavaCluster(options);
}

function outsideCluster(given: string): KafkaCluster {
  const brokers = given.split(",").map((address) => address.trim());
  return { origin: `KAFKA_BROKERS=${given}`, brokers, secureBrokers: [], nodes: [], stop: () => Promise.resolve() };
}

/**
 * What all our brokers are told, whatever they run in: small, quick to form groups, nothing made by itself.
 * @param nodes how many brokers there are
 */
export function commonProperties(nodes: number): Readonly<Record<string, string>> {
  const replicas = String(nodes);
  const insync = String(Math.max(1, nodes - 1));
  return {
    "process.roles": "broker,controller",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": replicas,
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": replicas,
    "transaction.state.log.min.isr": insync,
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": replicas,
    "share.coordinator.state.topic.min.isr": insync,
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "log.cleaner.dedupe.buffer.size": "8388608",
    "num.network.threads": "2",
    "num.io.threads": "4",
    // A broker that is gone is noticed within seconds, so that tests of failover need not wait.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    "replica.lag.time.max.ms": "5000",
    "controller.socket.timeout.ms": "3000",
    "controlled.shutdown.enable": "false",
    ...loginProperties(),
  };
}

const OAUTH_MODULE = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";

/** Whoever comes through the plain listener may do everything, as without any of this. */
function loginProperties(): Readonly<Record<string, string>> {
  const users = Object.entries(USERS).map(([user, password]) => `user_${user}="${password}"`);
  const login = `org.apache.kafka.common.security.plain.PlainLoginModule required ${users.join(" ")};`;
  const prefix = `listener.name.${SECURE_LISTENER.toLowerCase()}`;
  return {
    [`${prefix}.sasl.enabled.mechanisms`]: "PLAIN,OAUTHBEARER",
    [`${prefix}.plain.sasl.jaas.config`]: login,
    // Takes tokens that nobody signed: whoever `sub` says.
    [`${prefix}.oauthbearer.sasl.jaas.config`]: `${OAUTH_MODULE} required unsecuredLoginStringClaim_sub="broker";`,
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS;User:eddy",
  };
}
