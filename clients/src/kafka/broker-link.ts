/**
 * One connection to one broker. It connects when it is used, and again after it broke; a request that is not answered in
 * time takes the connection with it, because brokers answer in order and what comes behind would wait too.
 */
import { ConfigError } from "../errors/codes.js";
import { UnansweredError, verdictOf } from "./kafka-errors.js";
import type { BrokerAddress, KafkaJsBroker, KafkaJsRequest } from "./kafkajs-internals.js";
import { NEEDED_VERSIONS } from "./requests.js";
import type { WireRequest } from "./requests.js";

export interface BrokerLinkDeps {
  readonly address: BrokerAddress;
  readonly makeBroker: (address: BrokerAddress) => KafkaJsBroker;
  /** The broker could not be reached, or did not answer. */
  readonly onTrouble: () => void;
}

export class BrokerLink {
  readonly address: BrokerAddress;
  readonly #broker: KafkaJsBroker;
  readonly #onTrouble: () => void;
  #connecting: Promise<void> | null = null;

  constructor({ address, makeBroker, onTrouble }: BrokerLinkDeps) {
    this.address = address;
    this.#broker = makeBroker(address);
    this.#onTrouble = onTrouble;
  }

  /** Sends a request of ours. @throws raw errors; UnansweredError after `msMax` */
  call<T>(request: WireRequest<T>, msMax: number): Promise<T> {
    return this.#within(msMax, request.apiName, async () => {
      const connection = await this.#broker.connectionPool.getConnection(0);
      return connection.send(kafkaJsRequest(request));
    });
  }

  /** Sends a request of kafkajs. @throws raw errors; UnansweredError after `msMax` */
  ask<T>(name: string, msMax: number, request: (broker: KafkaJsBroker) => Promise<T>): Promise<T> {
    return this.#within(msMax, name, () => request(this.#broker));
  }

  /** The broker answers, but cannot do its work at present: others are asked first. */
  distrust(): void {
    this.#onTrouble();
  }

  /** Ends the connection and everything that waits for an answer. It connects again when used. */
  drop(why: string): void {
    const { pool } = this.#broker.connectionPool;
    for (const connection of pool) {
      connection.rejectRequests(new UnansweredError(why));
      connection.socket?.destroy();
    }
    // With nothing under way this only notes that the connection is gone.
    this.#broker.disconnect().catch((error: unknown) => this.#note(error));
  }

  async #within<T>(msMax: number, name: string, send: () => Promise<T>): Promise<T> {
    const { host, port } = this.address;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const why = `${name} was not answered by ${host}:${port} within ${msMax} ms`;
        reject(new UnansweredError(why));
        this.drop(why);
      }, msMax);
    });
    try {
      return await Promise.race([this.#connected().then(send), late]);
    } catch (error) {
      this.#note(error);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** kafkajs calls itself connected before it has agreed on versions: whoever comes in between has to wait too. */
  #connected(): Promise<void> {
    if (this.#connecting === null && this.#broker.isConnected()) return Promise.resolve();
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  async #connect(): Promise<void> {
    await this.#broker.connect();
    for (const [apiKey, version, name] of NEEDED_VERSIONS) {
      const range = this.#broker.versions?.[apiKey];
      if (range !== undefined && range.minVersion <= version && version <= range.maxVersion) continue;
      const has = range === undefined ? "does not have it" : `has ${range.minVersion} to ${range.maxVersion}`;
      throw new ConfigError(
        `the broker ${this.address.host}:${this.address.port} ${has}, but we need ${name} version ${version}: ` +
          "use Apache Kafka 3.1 or newer",
        { apiKey, version },
      );
    }
  }

  #note(error: unknown): void {
    if (verdictOf(error) === "leader") this.#onTrouble();
  }
}

function kafkaJsRequest<T>({ apiKey, apiName, apiVersion, encode, decode }: WireRequest<T>): KafkaJsRequest<T> {
  return {
    request: {
      apiKey,
      apiName,
      apiVersion,
      encode: async () => {
        const buffer = encode();
        return { buf: buffer, buffer };
      },
    },
    response: { decode: async (payload) => decode(payload), parse: async (decoded) => decoded },
    logResponseError: false,
  };
}
