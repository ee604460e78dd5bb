/** A partition rebuilt from a copy of its log: what it does leaves no trace in the world that it copies. */
import { decodeHistory, decodeStepRequest, offset, type Cause } from "@eddy/schemas";
import { ManualClock, MemoryLog, MemoryStoreFactory } from "../../src/adapters/memory/index.js";
import type { Core } from "../../src/core/index.js";
import { PartitionTask } from "../../src/partition/index.js";
import type { NewRecord } from "../../../clients/src/ports/log.js";
import { NO_METER } from "../../../clients/src/ports/meter.js";
import { dumpOf, Logged, testTopicSpecs, topics, until, type World } from "../partition/world.js";
import { APP } from "./script.js";

export interface Rebuilt {
  readonly rows: ReadonlyMap<string, string>;
  /** What it sent to steps and history, as text, in order. */
  readonly effects: Published;
  readonly time: { readonly rawMs: number; readonly advanceMs: number; readonly processedOffset: number };
}

/** By topic: cause and bytes. */
export type Published = ReadonlyMap<string, readonly string[]>;

export interface MirrorWishes {
  readonly core: Core;
  /** Also the changelog as it stands, or only the inbox. */
  readonly changelog: boolean;
  /** Exclusive end of what is copied of the inbox; all of it where not given. */
  readonly upTo?: number;
}

/** Copies the log, and applies all of it with an empty store. */
export async function copyOf(world: World, { core, changelog, upTo }: MirrorWishes): Promise<() => Promise<Rebuilt>> {
  const clock = new ManualClock(0);
  const log = new MemoryLog(clock);
  await log.ensureTopics(testTopicSpecs(1));
  for (const topic of changelog ? [topics.inbox, topics.changelog] : [topics.inbox]) {
    for (const { key, value, appendTimeMs, offset: at } of await world.records(topic)) {
      if (topic === topics.inbox && upTo !== undefined && at >= upTo) break;
      clock.set(appendTimeMs);
      await log.append(topic, 0, [{ key, value }]);
    }
  }
  clock.set(world.clock.nowMs());
  const end = (await log.offsets(topics.inbox, 0)).end;
  const sent = new Map<string, NewRecord[]>();
  // Its effects go nowhere: the copied inbox has the records that the first ones became.
  log.append = async (topic, _, records) => {
    sent.set(topic, [...(sent.get(topic) ?? []), ...records]);
    return { baseOffset: offset(Number.MAX_SAFE_INTEGER), appendTimeMs: clock.nowMs() };
  };
  return async () => {
    const stores = new MemoryStoreFactory();
    const shared = { core, log, stores, clock, meter: NO_METER, logger: new Logged(), topics };
    const task = new PartitionTask({ ...shared, partition: 0, partitions: 1 });
    await task.start();
    await until("the copy is applied", () => {
      if (task.failure !== null) throw task.failure;
      return task.time().processedOffset >= end - 1;
    });
    const time = task.time();
    await task.stop();
    if (task.failure !== null) throw task.failure;
    return { rows: await dumpOf(stores), effects: publishedOf((topic) => sent.get(topic) ?? []), time };
  };
}

/** What receivers accept of steps and history caused before `upTo`: anything at or below their mark is dropped. */
export async function acceptedOf(world: World, upTo = Infinity): Promise<Published> {
  const all = new Map<string, readonly NewRecord[]>();
  for (const topic of [topics.steps(APP), topics.history]) all.set(topic, await world.records(topic));
  return publishedOf((topic) => all.get(topic) ?? [], upTo);
}

function publishedOf(recordsOf: (topic: string) => readonly NewRecord[], upTo = Infinity): Published {
  const steps = accepted(recordsOf(topics.steps(APP)), upTo, (value) => decodeStepRequest(value).cause);
  const history = accepted(recordsOf(topics.history), upTo, (value) => decodeHistory(value).cause);
  return new Map([
    ["steps", steps],
    ["history", history],
  ]);
}

function accepted(
  records: readonly NewRecord[],
  upTo: number,
  causeOf: (value: Uint8Array) => Cause,
): readonly string[] {
  let mark: Cause = { offset: offset(-1), index: 0 };
  const seen = new Map<string, string>();
  const found: string[] = [];
  for (const { value } of records) {
    if (value === null) throw new Error("an effect is never a tombstone");
    const cause = causeOf(value);
    const name = `${cause.offset}.${cause.index}`;
    const bytes = Buffer.from(value).toString("hex");
    const before = seen.get(name);
    if (before !== undefined && before !== bytes) throw new Error(`two effects with cause ${name}`);
    seen.set(name, bytes);
    if (cause.offset < mark.offset || (cause.offset === mark.offset && cause.index <= mark.index)) {
      if (before === undefined) throw new Error(`the first effect with cause ${name} came after a later one`);
      continue;
    }
    mark = cause;
    if (cause.offset < upTo) found.push(`${name} ${bytes}`);
  }
  return found;
}
