/**
 * The door to kafkajs, and the only one: its connections (TLS, SASL, framing, correlation) and its requests to one
 * broker. Its producers and consumers are not used; docs/adr/0020-kafka-log-on-kafkajs.md says why. These modules are
 * not its public face, so the version is pinned and checked, and what is used of them is written down here as types.
 */
import { createRequire } from "node:module";
import type { Socket } from "node:net";
import type { KafkaConfig } from "kafkajs";
import { invariant } from "../errors/codes.js";
import type { Logger } from "../ports/logger.js";

const VERSION = "2.2.4";

export type SslOptions = NonNullable<KafkaConfig["ssl"]>;
export type SaslOptions = NonNullable<KafkaConfig["sasl"]>;
/** Makes the socket of a connection; calls `onConnect` once it is usable. */
export type SocketFactory = (options: {
  readonly host: string;
  readonly port: number;
  readonly ssl: SslOptions | null;
  readonly onConnect: () => void;
}) => Socket;

export interface KafkaJsSettings {
  readonly clientId: string;
  readonly ssl?: SslOptions | undefined;
  readonly sasl?: SaslOptions | undefined;
  readonly connectMsMax: number;
  readonly logger: Logger;
  readonly socketFactory?: SocketFactory | undefined;
}

/** One connection to one broker. */
interface Connection {
  readonly socket?: Socket;
  readonly requestQueue: { pending: readonly unknown[]; scheduleCheckPendingRequests(): void };
  rejectRequests(error: Error): void;
}

export interface KafkaJsRequest<T> {
  readonly request: {
    readonly apiKey: number;
    readonly apiName: string;
    readonly apiVersion: number;
    /** `buf` and `buffer` are what kafkajs's own encoder shows of itself. */
    encode(): Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>;
  };
  readonly response: { decode(payload: Buffer): Promise<T>; parse(decoded: T): Promise<T> };
  readonly logResponseError: boolean;
}

interface ConnectionPool {
  readonly pool: readonly Connection[];
  getConnection(index: number): Promise<Connection & { send<T>(request: KafkaJsRequest<T>): Promise<T> }>;
}

interface TopicPartitions<P> {
  readonly topic: string;
  readonly partitions: readonly P[];
}

interface TransactionIdentity {
  readonly transactionalId: string;
  /** Text of a number of 64 bits. */
  readonly producerId: string;
  readonly producerEpoch: number;
}

/** One broker with its connection. Methods reject with errors of kafkajs; see kafka-errors.ts. */
export interface KafkaJsBroker {
  readonly connectionPool: ConnectionPool;
  /** Known once connected. */
  readonly versions: Readonly<Record<number, { readonly minVersion: number; readonly maxVersion: number }>> | null;
  isConnected(): boolean;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  findGroupCoordinator(request: {
    readonly groupId: string;
    /** 0: of a group, 1: of a transactional id. */
    readonly coordinatorType: 0 | 1;
  }): Promise<{ readonly coordinator: { readonly nodeId: number; readonly host: string; readonly port: number } }>;
  initProducerId(request: {
    readonly transactionalId?: string | undefined;
    readonly transactionTimeout: number;
  }): Promise<{ readonly producerId: string; readonly producerEpoch: number }>;
  addPartitionsToTxn(
    request: TransactionIdentity & { readonly topics: readonly TopicPartitions<number>[] },
  ): Promise<unknown>;
  endTxn(request: TransactionIdentity & { readonly transactionResult: boolean }): Promise<unknown>;
  listOffsets(request: {
    /** 0: up to the high watermark, 1: up to the last stable offset. */
    readonly isolationLevel: 0 | 1;
    readonly topics: readonly TopicPartitions<{ readonly partition: number; readonly timestamp: number }>[];
  }): Promise<{
    readonly responses: readonly TopicPartitions<{ readonly partition: number; readonly offset: string }>[];
  }>;
  offsetCommit(request: {
    readonly groupId: string;
    readonly groupGenerationId: number;
    readonly memberId: string;
    readonly topics: readonly TopicPartitions<{
      readonly partition: number;
      readonly offset: string;
      readonly metadata: string;
    }>[];
  }): Promise<unknown>;
  offsetFetch(request: {
    readonly groupId: string;
    readonly topics: readonly TopicPartitions<{ readonly partition: number }>[];
  }): Promise<{
    readonly responses: readonly TopicPartitions<{
      readonly partition: number;
      readonly offset: string;
      readonly metadata: string | null;
    }>[];
  }>;
  createTopics(request: {
    readonly topics: readonly {
      readonly topic: string;
      readonly numPartitions: number;
      readonly replicationFactor: number;
      readonly configEntries: readonly { readonly name: string; readonly value: string }[];
    }[];
    readonly timeout: number;
  }): Promise<unknown>;
  describeConfigs(request: {
    readonly resources: readonly {
      readonly type: number;
      readonly name: string;
      readonly configNames: readonly string[];
    }[];
  }): Promise<{
    readonly resources: readonly {
      readonly resourceName: string;
      readonly configEntries: readonly { readonly configName: string; readonly configValue: string | null }[];
    }[];
  }>;
}

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
  /** null: not known yet, as of a bootstrap address. */
  readonly nodeId: number | null;
}

interface KafkaJsLogger {
  namespace(name: string): KafkaJsLogger;
}
interface LogEntry {
  readonly namespace: string;
  readonly label: string;
  readonly log: Readonly<Record<string, unknown>> & { readonly message: string };
}

interface Internals {
  readonly Broker: new (options: object) => KafkaJsBroker;
  readonly ConnectionPool: new (options: object) => ConnectionPool;
  readonly createLogger: (options: object) => KafkaJsLogger;
  readonly socketFactory: () => SocketFactory;
}

function loadInternals(): Internals {
  const load = createRequire(import.meta.url);
  const { version } = load("kafkajs/package.json") as { readonly version: string };
  invariant(version === VERSION, `the Kafka adapter is written for kafkajs ${VERSION}, this is ${version}`, {
    version,
  });
  return {
    Broker: load("kafkajs/src/broker") as Internals["Broker"],
    ConnectionPool: load("kafkajs/src/network/connectionPool") as Internals["ConnectionPool"],
    createLogger: (load("kafkajs/src/loggers") as Pick<Internals, "createLogger">).createLogger,
    socketFactory: load("kafkajs/src/network/socketFactory") as Internals["socketFactory"],
  };
}

/** kafkajs's level for warnings: what it reports below that is of no use to anybody. */
const WARN = 2;

/** Makes unconnected brokers that share these settings. */
export function brokerFactory(settings: KafkaJsSettings): (address: BrokerAddress) => KafkaJsBroker {
  const { Broker, ConnectionPool, createLogger, socketFactory } = loadInternals();
  const logger = createLogger({ level: WARN, logCreator: () => logTo(settings.logger) });
  const shared = {
    logger,
    socketFactory: settings.socketFactory ?? socketFactory(),
    ssl: settings.ssl ?? null,
    sasl: settings.sasl ?? null,
    clientId: settings.clientId,
    connectionTimeout: settings.connectMsMax,
    // Requests are timed by `BrokerLink`: kafkajs polls for expired ones ten times a second and connection.
    requestTimeout: 2_147_483_647,
    enforceRequestTimeout: false,
    maxInFlightRequests: null,
  };
  return ({ host, port, nodeId }) => {
    const connectionPool = new ConnectionPool({ ...shared, host, port });
    for (const connection of connectionPool.pool) endIdleTimers(connection);
    return new Broker({ connectionPool, logger, nodeId, authenticationTimeout: settings.connectMsMax });
  };
}

/**
 * kafkajs looks for throttled requests by a timer that sets itself again every millisecond for ever, once per connection:
 * 4 % of a core each, and a warning about negative timeouts on newer Node versions. It is needed only while some wait.
 */
function endIdleTimers({ requestQueue }: Connection): void {
  const schedule = requestQueue.scheduleCheckPendingRequests.bind(requestQueue);
  requestQueue.scheduleCheckPendingRequests = () => {
    if (requestQueue.pending.length > 0) schedule();
  };
}

/** What kafkajs calls errors are mostly tries that it repeats; what matters reaches the caller as an exception. */
function logTo(logger: Logger): (entry: LogEntry) => void {
  return ({ namespace, label, log }) => {
    const { message, ...fields } = log;
    logger.debug({ ...fields, kafkajs: namespace, level: label }, message);
  };
}
