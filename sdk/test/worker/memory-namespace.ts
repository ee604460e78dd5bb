/** A namespace in memory, with as much of an engine as registrations need. Its time stands still unless it is moved. */
import {
  configDigest,
  decodeInbox,
  encodeRegistry,
  encodeSignal,
  encodeStepRequest,
  offset,
  SETTLE_MS,
  shardText,
  type InboxRecord,
  type StepRequest,
} from "@eddy/schemas";
import { coreTopicSpecs, LogTail, topicsOf, type Log, type LogReader, type NewRecord } from "@eddy/clients";
import { TransientError } from "@eddy/clients/errors";
import { ManualClock, MemoryGroups, MemoryLog } from "../../../engine/src/adapters/memory/index.js";
import { LogAccesses, type SharedLog } from "../../src/kafka/log-access.js";
import type { KafkaSettings } from "../../src/kafka/kafka-options.js";
import { memoryLogger } from "../manual-clock.js";

export const PARTITIONS = 2;
export const APP = "shop";
export const TOPICS = topicsOf("test");
export const SETTINGS: KafkaSettings = {
  brokers: ["nowhere:1"],
  namespace: "test",
  ssl: undefined,
  sasl: undefined,
  clientId: "test",
};

/** A run id on `partition`; different `no` give different runs. */
export const runOn = (partition: number, no: number): string =>
  shardText(partition) + no.toString(32).padStart(26, "0") + "1";

export class MemoryNamespace {
  readonly clock = new ManualClock();
  readonly log = new MemoryLog(this.clock);
  readonly groups = new MemoryGroups(this.log);
  readonly logger = memoryLogger();
  readonly accesses = new LogAccesses((_, dev) => this.#open(dev), this.clock);
  /** Awaited before each append by an access; throwing fails it. */
  beforeAppend: (topic: string, partition: number) => void | Promise<void> = () => undefined;
  /** Thrown by every read, offset look-up and opening of an access. */
  trouble: Error | null = null;
  /** `open dev`, `open`, `close`, in order. */
  readonly connections: string[] = [];
  #engine: LogTail | null = null;
  #nextOffset = 1;

  /** As the first engine does: without it there is no namespace. */
  async make({ dev = false } = {}): Promise<this> {
    await this.log.ensureTopics(coreTopicSpecs(TOPICS, PARTITIONS));
    await this.#register(
      "namespace",
      encodeRegistry({ kind: "namespace", partitions: PARTITIONS, dev, settleMs: SETTLE_MS }),
    );
    return this;
  }
  /** From now on registrations come into force. */
  startEngine(): void {
    let version = 0;
    this.#engine = new LogTail({
      log: this.log,
      clock: this.clock,
      logger: this.logger,
      topic: TOPICS.inbox,
      partition: 0,
      from: offset(0),
      recordsMax: 100,
      onRecords: async (records) => {
        for (const { value } of records) {
          const record = decodeInbox(value as Uint8Array);
          if (record.kind !== "register") continue;
          const { app, functions } = record.config;
          version += 1;
          const digest = configDigest(app, functions);
          const config = { app, functions, version, digest, anchors: [], learned: [], retired: [], former: [] };
          await this.#register(`app/${app}`, encodeRegistry({ kind: "app", config }));
          for (let partition = 0; partition < PARTITIONS; partition += 1) {
            await this.#register(`applied/${partition}`, encodeRegistry({ kind: "applied", partition, version }));
          }
        }
      },
    });
    this.#engine.start();
  }
  async close(): Promise<void> {
    await this.#engine?.stop();
    await this.log.close();
  }

  async request(runId: string, invocation = 1): Promise<void> {
    const request: StepRequest = {
      app: APP,
      functionId: `${APP}/f`,
      runId,
      invocation,
      attempt: 0,
      maxAttempts: 5,
      stepAttempts: [],
      event: new Uint8Array([123, 125]),
      memo: [],
      memoTotal: 0,
    };
    const value = encodeStepRequest({ offset: offset(this.#nextOffset++), index: 0 }, request);
    await this.log.append(TOPICS.steps(APP), Number.parseInt(runId.slice(0, 3), 16) % PARTITIONS, [
      { key: runId, value },
    ]);
  }
  async abort(runId: string): Promise<void> {
    const value = encodeSignal({ offset: offset(this.#nextOffset++), index: 0 }, { kind: "abort", runId });
    await this.log.append(TOPICS.signals(APP), 0, [{ key: runId, value }]);
  }

  async inbox(partition: number): Promise<readonly InboxRecord[]> {
    const reader = this.log.reader(TOPICS.inbox, partition, offset(0));
    const { end } = await this.log.offsets(TOPICS.inbox, partition);
    const records: InboxRecord[] = [];
    while (reader.position < end) {
      for (const { value } of await reader.read({ recordsMax: 1_000, waitMs: 0 })) {
        records.push(decodeInbox(value as Uint8Array));
      }
    }
    await reader.close();
    return records;
  }
  async inboxOf<K extends InboxRecord["kind"]>(partition: number, kind: K) {
    const all = await this.inbox(partition);
    return all.filter((record): record is Extract<InboxRecord, { kind: K }> => record.kind === kind);
  }

  async #register(key: string, value: Uint8Array): Promise<void> {
    await this.log.append(TOPICS.registry, 0, [{ key, value }]);
  }

  #open(dev: boolean): Promise<SharedLog> {
    if (this.trouble !== null) return Promise.reject(this.trouble);
    this.connections.push(dev ? "open dev" : "open");
    const { log, groups } = this;
    const shared: SharedLog = {
      ensureTopics: (specs) => log.ensureTopics(specs),
      topicId: (topic) => log.topicId(topic),
      append: async (topic: string, partition: number, records: readonly NewRecord[]) => {
        await this.beforeAppend(topic, partition);
        return log.append(topic, partition, records);
      },
      offsets: async (topic: string, partition: number) => {
        this.#checkTrouble();
        return log.offsets(topic, partition);
      },
      reader: (topic, partition, from) => this.#troubled(log.reader(topic, partition, from)),
      openChangelogWriter: (topic, partition) => log.openChangelogWriter(topic, partition),
      commitGroupOffset: (group, topic, partition, at) => log.commitGroupOffset(group, topic, partition, at),
      groupOffset: (group, topic, partition) => log.groupOffset(group, topic, partition),
      join: (spec, listener) => groups.join(spec, listener),
      close: () => Promise.resolve(void this.connections.push("close")),
    } satisfies Log & SharedLog;
    return Promise.resolve(shared);
  }
  #troubled(reader: LogReader): LogReader {
    return {
      read: async (limits) => {
        this.#checkTrouble();
        return reader.read(limits);
      },
      get position() {
        return reader.position;
      },
      close: () => reader.close(),
    };
  }
  #checkTrouble(): void {
    if (this.trouble !== null) throw this.trouble;
  }
}

export const away = (): TransientError => new TransientError("no broker answers");
