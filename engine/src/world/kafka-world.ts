/** The log and groups on Kafka, once a broker answers; stores on disk, whose folder belongs to this process alone. */
import { join } from "node:path";
import { DataDirError, StateCorruptedError, TransientError } from "@eddy/clients/errors";
import { KafkaLog, oauthTokens, type KafkaLogOptions } from "@eddy/clients/kafka";
import { RocksDbStoreFactory } from "../adapters/rocksdb/index.js";
import type { KafkaEngineConfig } from "../config/kafka-config.js";
import type { Store } from "../ports/store.js";
import type { World, WorldDeps } from "./open-world.js";

/** How long one look for a broker may take, in ms: whoever stops the engine waits for it. */
const LOOK_MS_MAX = 2_000;
/** What to look at, by what the system says. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/ENOTFOUND|EAI_AGAIN/, "this machine finds no address for that name: check the name, and DNS"],
  [/ECONNREFUSED/, "nobody listens there: check host and port, and whether Kafka runs"],
  [/(?:)/, "if brokers run there, check that ssl and sasl fit the listener of this port"],
];

interface Place {
  readonly config: KafkaEngineConfig;
  /** It is there, and may be written to. */
  readonly directory: string;
}

export async function openKafkaWorld({ config, directory }: Place, deps: WorldDeps): Promise<World> {
  // Two processes with one folder would open each other's stores when a partition moves between them.
  const lock = await openLock(directory);
  try {
    const log = await openKafkaLog(config, deps);
    const stores = new RocksDbStoreFactory(join(directory, "stores", config.namespace));
    const close = async (): Promise<void> => {
      await log.close();
      await lock.close();
    };
    return { log, groups: log, stores, userTopics: log, close };
  } catch (error) {
    await lock.close();
    throw error;
  }
}

/** Nothing is in it but the lock: damage does not matter. @throws StoreLockedError; DataDirError: no room */
async function openLock(directory: string): Promise<Store> {
  const folder = new RocksDbStoreFactory(directory);
  try {
    return await folder.open("lock").catch(async (error: unknown) => {
      if (!(error instanceof StateCorruptedError)) throw error;
      await folder.destroy("lock");
      return folder.open("lock");
    });
  } catch (cause) {
    if (!(cause instanceof TransientError)) throw cause;
    throw new DataDirError(cause.message, { directory }, { cause });
  }
}

/** Resolves once a broker answers. */
export function openKafkaLog(config: KafkaEngineConfig, deps: WorldDeps): Promise<KafkaLog> {
  return deps.patience.untilDone(() => openLog(optionsOf(config, deps)));
}

function optionsOf(config: KafkaEngineConfig, { clock, logger }: WorldDeps): KafkaLogOptions {
  const { brokers, clientId, dev, replicationFactor, minInsyncReplicas, ssl, sasl } = config;
  return {
    brokers,
    clientId,
    dev,
    replicationFactor,
    minInsyncReplicas,
    ssl: ssl === undefined ? undefined : tlsOf(ssl),
    sasl: sasl === undefined ? undefined : saslOf(sasl, clock),
    clock,
    logger,
  };
}

/** As kafkajs takes it. What a mechanism needs is there: the configuration was read. */
function saslOf(sasl: NonNullable<KafkaEngineConfig["sasl"]>, clock: WorldDeps["clock"]): KafkaLogOptions["sasl"] {
  const { mechanism, username = "", password = "" } = sasl;
  if (mechanism !== "oauthbearer") return { mechanism, username, password } as KafkaLogOptions["sasl"];
  const { tokenEndpoint = "", clientId = "", clientSecret = "", scope } = sasl;
  const client = { tokenEndpoint, clientId, clientSecret, scope };
  return { mechanism, oauthBearerProvider: oauthTokens(client, { fetch, clock }) };
}

function tlsOf({ ca, cert, key }: NonNullable<KafkaEngineConfig["ssl"]>): KafkaLogOptions["ssl"] {
  return {
    ...(ca === undefined ? {} : { ca: [ca] }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  };
}

/** Looks whether a broker answers at all, before anything is asked of it that takes more patience. */
async function openLog(options: KafkaLogOptions): Promise<KafkaLog> {
  try {
    const look = await KafkaLog.open({ ...options, requestMsMax: LOOK_MS_MAX, patienceMs: 0 });
    await look.close();
  } catch (error) {
    if (!(error instanceof TransientError)) throw error;
    const where = options.brokers.join(", ");
    const reason = rootOf(error).message;
    const advice = ADVICE.find(([said]) => said.test(reason))?.[1];
    const message = `no Kafka broker answers at ${where} (${reason}); ${advice}`;
    throw new TransientError(message, { brokers: options.brokers }, { cause: error });
  }
  return KafkaLog.open(options);
}

/** What came first, in the words of the system. */
function rootOf(error: Error): Error {
  return error.cause instanceof Error ? rootOf(error.cause) : error;
}
