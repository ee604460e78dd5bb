/** What an engine stands on, by its configuration: a log, the groups that share it, and stores of its own. */
import { constants } from "node:fs";
import { access, mkdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Clock, Groups, Log, Logger, UserTopics } from "@eddy/clients";
import { DataDirError, StateCorruptedError, TransientError } from "@eddy/clients/errors";
import { EmbeddedLog } from "../adapters/embedded/index.js";
import { MemoryGroups, MemoryLog, MemoryStoreFactory } from "../adapters/memory/index.js";
import { RocksDbStoreFactory } from "../adapters/rocksdb/index.js";
import type { EngineConfig } from "../config/engine-config.js";
import type { KafkaEngineConfig } from "../config/kafka-config.js";
import type { StoreFactory } from "../ports/store.js";
import { openKafkaWorld } from "./kafka-world.js";
import type { Patience } from "./patience.js";

export type AnyConfig = EngineConfig | KafkaEngineConfig;

export interface World {
  readonly log: Log;
  readonly groups: Groups;
  readonly stores: StoreFactory;
  /** null: there are no topics but Eddy's own. */
  readonly userTopics: UserTopics | null;
  close(): Promise<void>;
}

export interface WorldDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Kafka may not be there yet. */
  readonly patience: Patience;
}

/** Is it an engine on Kafka? */
export function isOnKafka(config: AnyConfig): config is KafkaEngineConfig {
  return "brokers" in config;
}

/** @throws ConfigError, StoreLockedError, DataDirError; ClosedError when nobody waits any more */
export async function openWorld(config: AnyConfig, deps: WorldDeps): Promise<World> {
  if (isOnKafka(config)) {
    const directory = await writable(config.dataDir);
    return openKafkaWorld({ config, directory }, deps);
  }
  const { inMemory, fsync, dataDir } = config;
  if (inMemory) return local(new MemoryLog(deps.clock), new MemoryStoreFactory());
  const directory = await writable(dataDir);
  const log = await usable(directory, () => EmbeddedLog.open(join(directory, "log"), { ...deps, fsync }));
  return local(log, new RocksDbStoreFactory(join(directory, "stores")));
}

/** Nobody else takes part. */
function local(log: Log, stores: StoreFactory): World {
  return { log, groups: new MemoryGroups(log), stores, userTopics: null, close: () => log.close() };
}

/**
 * Opens what lies in the data directory. Nobody else has it: damage is not repaired, and at a start there is nothing to
 * wait for on a disk that is full. @throws DataDirError for both; what else `open` throws
 */
async function usable<T>(directory: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (cause) {
    if (cause instanceof TransientError) throw new DataDirError(cause.message, { directory }, { cause });
    if (!(cause instanceof StateCorruptedError)) throw cause;
    const advice = "put a copy of this directory in its place, or start anew with another --data-dir";
    throw new DataDirError(`${cause.message}; ${advice}`, { directory }, { cause });
  }
}

/** @throws DataDirError */
async function writable(dataDir: string): Promise<string> {
  const directory = resolve(dataDir);
  try {
    await makeFolder(directory);
    await access(directory, constants.W_OK | constants.X_OK);
    return directory;
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    const message = `cannot write to the data directory ${directory} (${reason}); choose another with --data-dir`;
    throw new DataDirError(message, { directory, reason }, { cause });
  }
}

/**
 * Like `mkdir` with `recursive`, which never answers where a folder that is there says ENOENT of all that is to be made in
 * it, as /proc does.
 */
async function makeFolder(path: string): Promise<void> {
  try {
    return await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return;
    if (code !== "ENOENT" || path === dirname(path)) throw error;
  }
  await makeFolder(dirname(path));
  await mkdir(path);
}
