/** One partition (or a few) on memory adapters, with a clock that a test moves. */
import {
  decodeHistory,
  decodeMeta,
  encodeInbox,
  offset,
  type HistoryEntry,
  type InboxRecord,
  type MetaRow,
} from "@eddy/schemas";
import { expect } from "vitest";
import { ManualClock, MemoryLog, MemoryStoreFactory } from "../../src/adapters/memory/index.js";
import { META_KEY, type Core } from "../../src/core/index.js";
import { PartitionTask, type PartitionOptions, type PartitionTaskDeps } from "../../src/partition/index.js";
import { countHoldings } from "../../src/partition/count-holdings.js";
import type { StoredHoldings } from "../../src/partition/holdings.js";
import { decodePosition, POSITION_KEY } from "../../src/partition/store-position.js";
import type { Log, LogRecord, TopicSpec } from "../../../clients/src/ports/log.js";
import type { Meter } from "../../../clients/src/ports/meter.js";
import type { Logger } from "../../../clients/src/ports/logger.js";
import type { Store, StoreFactory } from "../../src/ports/store.js";
import { appTopicSpecs, coreTopicSpecs, topicsOf } from "../../../clients/src/topics.js";
import { command, toyCore, type Command } from "./toy-core.js";

export const T0 = 1_700_000_000_000;
export const topics = topicsOf("test");
const TURNS_MAX = 20_000;
const RETENTION_MS = 10 * 366 * 86_400_000;

/** All topics with one app's. The clock jumps in tests: those about retention set one. */
export function testTopicSpecs(partitions: number): readonly TopicSpec[] {
  const specs = [...coreTopicSpecs(topics, partitions), ...appTopicSpecs(topics, "app", partitions)];
  return specs.map((spec) => ({ ...spec, retentionMs: RETENTION_MS }));
}

/** Lets everything run that can run without time passing. */
export async function settle(turns = 20): Promise<void> {
  for (let n = 0; n < turns; n++) await new Promise<void>((resolve) => setImmediate(resolve));
}

export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let n = 0; n < TURNS_MAX; n++) {
    if (await condition()) return;
    await settle(1);
  }
  throw new Error(`not within ${TURNS_MAX} turns: ${what}`);
}

export class Logged implements Logger {
  readonly lines: { level: string; fields: object; message: string }[] = [];
  debug = this.#at("debug");
  info = this.#at("info");
  warn = this.#at("warn");
  error = this.#at("error");
  #at(level: string): (fields: object, message: string) => void {
    return (fields, message) => void this.lines.push({ level, fields, message });
  }
  of(level: string): readonly { fields: object; message: string }[] {
    return this.lines.filter((line) => line.level === level);
  }
}

export class Counted implements Meter {
  readonly counts = new Map<string, number>();
  count(name: string, by: number): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }
  observe(): void {}
  gauge(): void {}
}

export interface TaskWishes {
  readonly core?: Core;
  readonly log?: Log;
  readonly stores?: StoreFactory;
  readonly clock?: PartitionTaskDeps["clock"];
  readonly partition?: number;
  readonly options?: Partial<PartitionOptions>;
}

export class World {
  readonly clock = new ManualClock(T0);
  readonly log: MemoryLog = new MemoryLog(this.clock);
  readonly stores = new MemoryStoreFactory();
  readonly logged = new Logged();
  readonly meter = new Counted();

  private constructor(readonly partitions: number) {}

  static async make(partitions = 1): Promise<World> {
    const world = new World(partitions);
    await world.log.ensureTopics(testTopicSpecs(partitions));
    return world;
  }

  task({ partition = 0, ...wishes }: TaskWishes = {}): PartitionTask {
    const { clock, log, stores, partitions, meter } = this;
    const shared = { core: toyCore, clock, log, stores, meter, logger: this.logged, topics };
    return new PartitionTask({ ...shared, partitions, partition, ...wishes });
  }
  async started(wishes: TaskWishes = {}): Promise<PartitionTask> {
    const task = this.task(wishes);
    await task.start();
    return task;
  }

  /** Appends commands in one go, after `afterMs`. */
  send(afterMs: number, ...commands: readonly Command[]): Promise<void> {
    return this.sendTo(0, afterMs, ...commands);
  }
  async sendTo(partition: number, afterMs: number, ...commands: readonly Command[]): Promise<void> {
    this.clock.advance(afterMs);
    const records = commands.map((body) => ({ key: null, value: command(body) }));
    await this.log.append(topics.inbox, partition, records);
  }
  async append(afterMs: number, record: InboxRecord, partition = 0): Promise<void> {
    this.clock.advance(afterMs);
    await this.log.append(topics.inbox, partition, [{ key: null, value: encodeInbox(record) }]);
  }

  async end(topic = topics.inbox, partition = 0): Promise<number> {
    return (await this.log.offsets(topic, partition)).end;
  }
  async applied(task: PartitionTask, partition = 0): Promise<void> {
    await until("all records applied", async () => {
      if (task.status === "failed") throw task.failure ?? new Error("failed");
      return task.time().processedOffset >= (await this.end(topics.inbox, partition)) - 1;
    });
  }
  /** All records of a partition of a topic. */
  async records(topic: string, partition = 0): Promise<readonly LogRecord[]> {
    const reader = this.log.reader(topic, partition, offset(0));
    const found = await reader.read({ recordsMax: 1_000_000, waitMs: 0 });
    await reader.close();
    return found;
  }
  async history(partition = 0): Promise<{ cause: string; runId: string; what: string; atMs: number }[]> {
    return (await this.records(topics.history, partition)).map(({ value }) => {
      const { cause, body } = decodeHistory(value ?? new Uint8Array());
      const entry = body as Extract<HistoryEntry, { kind: "sleepEnded" }>;
      return {
        cause: `${cause.offset}.${cause.index}`,
        runId: entry.runId,
        what: entry.stepId,
        atMs: entry.atMs - T0,
      };
    });
  }
  async checkpoints(partition = 0): Promise<readonly MetaRow[]> {
    const records = await this.records(topics.changelog, partition);
    return records.flatMap(({ key, value }) => (key === META_KEY && value !== null ? [decodeMeta(value)] : []));
  }
}

/** Rows and index entries of a store, as text; without meta and position. */
export async function dump(store: Store): Promise<ReadonlyMap<string, string>> {
  const all = await store.scan({ from: "", to: "\uffff", limit: 10_000_000 });
  const rows = all.filter(([key]) => key !== META_KEY && key !== POSITION_KEY);
  return new Map(rows.map(([key, value]) => [key, Buffer.from(value).toString("hex")]));
}

/** Of a closed store; and what it says that it holds is what it holds. */
export async function dumpOf(stores: StoreFactory, name = "state-0"): Promise<ReadonlyMap<string, string>> {
  const store = await stores.open(name);
  const found = await dump(store);
  const [position] = await store.getMany([POSITION_KEY]);
  if (position !== undefined) {
    expect(byName(decodePosition(position).holdings)).toEqual(byName(await countHoldings(store)));
  }
  await store.close();
  return found;
}

function byName(holdings: StoredHoldings | null): unknown {
  return holdings === null ? null : { timers: holdings.timers, functions: new Map(holdings.functions) };
}
