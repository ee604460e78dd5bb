/**
 * A partition that reads its own inbox again decides the same log in the same way, however it is cut into batches, on
 * whatever log, and when it is taken over in the middle.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeHistory, offset, type HistoryEntry, type InboxRecord } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { EmbeddedLog } from "../../src/adapters/embedded/index.js";
import { ManualClock, MemoryStoreFactory } from "../../src/adapters/memory/index.js";
import type { PartitionOptions, PartitionTask } from "../../src/partition/index.js";
import type { Log, LogRecord } from "../../../clients/src/ports/log.js";
import { eventOf } from "../partition/builders.js";
import type { Command } from "../partition/toy-core.js";
import { settle, T0, testTopicSpecs, topics, World } from "../partition/world.js";
import { Gate, gatedClock, gatedLog, gatedStores, type Fate } from "./gated-ports.js";
import { randomOf } from "./script.js";

const NAMES = ["a", "b", "c"] as const;
/** A disk takes its time. */
const TURNS_MAX = 100_000;

/** Events, looks back at them, advances, ticks and garbage; a burst in which many look at once. */
async function recorded(seed: number, records: number): Promise<readonly LogRecord[]> {
  const random = randomOf(seed);
  const world = await World.make();
  const name = (): string => NAMES[random(NAMES.length)] ?? "a";
  const look = (): Command => ({ do: "look", names: [name(), name()], backMs: random(3) === 0 ? 60_000 : random(400) });
  const raw = (value: Uint8Array) => world.log.append(topics.inbox, 0, [{ key: null, value }]);
  const append = (record: InboxRecord) => world.append(0, record);
  for (let n = 0; n < records; n++) {
    world.clock.advance(random(4) === 0 ? random(100) : 0);
    const dice = random(20);
    if (dice < 11) await append(eventOf({ id: `e${n}`, name: name() }));
    else if (dice < 16) await world.send(0, ...Array.from({ length: 1 + random(random(8) === 0 ? 12 : 2) }, look));
    else if (dice < 17) await append({ kind: "advance", ms: random(5_000) });
    else if (dice < 18) await raw(Uint8Array.from([1, 0, random(256)]));
    else if (dice < 19) await world.send(0, { do: "sleep", run: `r${n}`, ms: [1 + random(300), 1 + random(300)] });
    else await append({ kind: "tick" });
  }
  return world.records(topics.inbox);
}

async function filled(log: Log, clock: ManualClock, records: readonly LogRecord[]): Promise<void> {
  await log.ensureTopics(testTopicSpecs(1));
  for (const { key, value, appendTimeMs } of records) {
    clock.set(appendTimeMs);
    await log.append(topics.inbox, 0, [{ key, value }]);
  }
}

/** What records before `upTo` told, by cause; a cause that tells two things is an error. */
async function told(log: Log, upTo: number): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const reader = log.reader(topics.history, 0, offset(0));
  const { end } = await log.offsets(topics.history, 0);
  while (reader.position < end) {
    for (const { value } of await reader.read({ recordsMax: 1_000, waitMs: 0 })) {
      const { cause, body } = decodeHistory(value ?? new Uint8Array());
      const { runId, stepId } = body as Extract<HistoryEntry, { kind: "sleepEnded" }>;
      const name = `${cause.offset}.${cause.index}`;
      const text = `${runId}: ${stepId}`;
      if ((found.get(name) ?? text) !== text) throw new Error(`${name} tells ${text}, and told ${found.get(name)}`);
      if (cause.offset < upTo) found.set(name, text);
    }
  }
  await reader.close();
  return found;
}

/** Lets time pass in small steps until `done`. */
async function pass(clock: ManualClock, what: string, done: () => boolean): Promise<void> {
  for (let n = 0; n < TURNS_MAX; n++) {
    if (done()) return;
    if (n % 5 === 4) clock.advance(50);
    await settle(1);
  }
  throw new Error(`not within ${TURNS_MAX} turns: ${what}`);
}
async function finish(clock: ManualClock, task: PartitionTask, records: number): Promise<void> {
  task.start().catch(() => undefined);
  await pass(clock, "everything is applied", () => {
    if (task.failure !== null) throw task.failure;
    return task.time().processedOffset >= records - 1;
  });
  await task.stop();
}

async function replayed(
  records: readonly LogRecord[],
  options: Partial<PartitionOptions>,
): Promise<ReadonlyMap<string, string>> {
  const world = await World.make();
  await filled(world.log, world.clock, records);
  await finish(world.clock, world.task({ options }), records.length);
  return told(world.log, records.length);
}

const CUTS: readonly Partial<PartitionOptions>[] = [
  { batchRecordsMax: 1 },
  { batchRecordsMax: 3, timersPerTurnMax: 1, cacheBytesMax: 1 },
  { batchRecordsMax: 17, changedRowsMax: 3, unackedEffectsMax: 2 },
];

describe("past reads of a partition", () => {
  it.each([1, 2, 3, 4, 5])("are the same however the log is cut into batches (seed %i)", async (seed) => {
    const records = await recorded(seed, 400);
    const whole = await replayed(records, {});
    const looks = [...whole.values()].filter((text) => /: \d/.test(text));
    expect(looks.length).toBeGreaterThan(60);
    for (const options of CUTS) expect(await replayed(records, options)).toEqual(whole);
  });

  it.each([32 * 1_048_576, 0])("are the same on the embedded log, %i bytes of it in memory", async (tailBytesMax) => {
    const records = await recorded(9, 250);
    const directory = await mkdtemp(join(tmpdir(), "eddy-past-"));
    const clock = new ManualClock(T0);
    const logger = { error: (fields: object) => Promise.reject(new Error(JSON.stringify(fields))) };
    const log = await EmbeddedLog.open(directory, { clock, logger, fsync: false, tailBytesMax });
    try {
      await filled(log, clock, records);
      const world = await World.make();
      const task = world.task({ log, clock, stores: new MemoryStoreFactory(), options: { batchRecordsMax: 5 } });
      await finish(clock, task, records.length);
      expect(await told(log, records.length)).toEqual(await replayed(records, {}));
    } finally {
      await log.close();
      await rm(directory, { recursive: true });
    }
  });
});

describe("a takeover in the middle of past reads", () => {
  const options = { batchRecordsMax: 4, recordsMax: 9, changedRowsMax: 5, checkpointEveryMs: 100, takeoversMax: 100 };
  const FATES: readonly Fate[] = ["crashBefore", "crashAfter", "failBefore", "failAfter"];

  it.each(FATES)("finds what the former owner found: %s at any call", async (fate) => {
    const records = await recorded(4, 40);
    const expected = await replayed(records, {});
    let met = 0;
    let calls = Infinity;
    for (let at = 1; at <= calls; at += 3) {
      const world = await World.make();
      await filled(world.log, world.clock, records);
      const gate = new Gate((call) => (call === at ? fate : "go"));
      const ports = {
        log: gatedLog(gate, world.log.session()),
        stores: gatedStores(gate, world.stores),
        clock: gatedClock(gate, world.clock),
      };
      const first = world.task({ ...ports, options });
      first.start().catch(() => undefined);
      await pass(
        world.clock,
        "crashed or done",
        () => gate.crashed || first.time().processedOffset >= records.length - 1,
      );
      if (!gate.crashed) calls = Math.min(calls, gate.calls);
      void first.stop();
      await pass(world.clock, "crashed or stopped", () => gate.crashed || first.status === "stopped");
      if (gate.crashed) {
        met++;
        world.stores.crash(at % 4);
        await finish(world.clock, world.task({ options }), records.length);
      }
      expect(await told(world.log, records.length)).toEqual(expected);
    }
    if (fate.startsWith("crash")) expect(met).toBeGreaterThan(20);
  });
});
