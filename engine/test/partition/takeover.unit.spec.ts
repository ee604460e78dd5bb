import { encodeMeta, offset } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { META_KEY, type Core } from "../../src/core/index.js";
import { StateCorruptedError, TransientError } from "../../../clients/src/errors/codes.js";
import { decodePosition, encodePosition, POSITION_KEY } from "../../src/partition/store-position.js";
import type { StoreFactory } from "../../src/ports/store.js";
import { coreTopicSpecs } from "../../../clients/src/topics.js";
import { heldLog } from "./held-ports.js";
import { toyCore } from "./toy-core.js";
import { dumpOf, settle, topics, until, World, T0 } from "./world.js";

const DAY = 86_400_000;
const HALF_RETENTION = 3.5 * DAY;

/** A partition with two runs, stopped. */
async function used(): Promise<World> {
  const world = await World.make();
  const task = await world.started();
  await world.send(1, { do: "sleep", run: "a", ms: [50 * DAY] }, { do: "lease", run: "l", ms: 50 * DAY });
  await world.applied(task);
  await task.stop();
  return world;
}
async function setPosition(world: World, change: object): Promise<void> {
  const store = await world.stores.open("state-0");
  const [bytes] = await store.getMany([POSITION_KEY]);
  const position = { ...decodePosition(bytes ?? new Uint8Array()), ...change };
  await store.write({ puts: [[POSITION_KEY, encodePosition(position)]], deletes: [] });
  await store.close();
}
/** A row that no changelog knows: gone after a wipe, there still without one. */
async function plantRow(world: World): Promise<void> {
  const store = await world.stores.open("state-0");
  await store.write({ puts: [["q|planted", new Uint8Array()]], deletes: [] });
  await store.close();
}
async function wipedOnStart(world: World): Promise<boolean> {
  await plantRow(world);
  const task = await world.started();
  await task.stop();
  return !(await dumpOf(world.stores)).has("q|planted");
}

describe("a takeover", () => {
  it("starts a new partition with its initial rows", async () => {
    const world = await World.make();
    const task = await world.started();
    expect(task.time()).toEqual({ rawMs: 0, advanceMs: 0, processedOffset: -1 });
    await task.stop();
    expect([...(await dumpOf(world.stores)).keys()]).toEqual(["f", "p"]);
    expect(await world.checkpoints()).toMatchObject([{ nextOffset: 0, logic: 1, incarnation: 1 }]);
  });

  it("goes on from the store, without reading the changelog again", async () => {
    const world = await used();
    expect(await wipedOnStart(world)).toBe(false);
    const task = await world.started();
    expect(task.time()).toEqual({ rawMs: T0 + 1, advanceMs: 0, processedOffset: 1 });
    await world.send(1, { do: "end", run: "a" });
    await world.applied(task);
    await task.stop();
    expect((await world.checkpoints()).at(-1)).toMatchObject({ nextOffset: 3, incarnation: 3 });
  });

  it("restores an empty store from the changelog, byte for byte (G7)", async () => {
    const world = await used();
    const before = await dumpOf(world.stores);
    await world.stores.destroy("state-0");
    const task = await world.started();
    await task.stop();
    expect(await dumpOf(world.stores)).toEqual(before);
    expect(world.logged.of("warn")).toEqual([]);
  });

  it("brings a store that lags up to the changelog, by what was changed and deleted since", async () => {
    const world = await used();
    const other = world.log.session();
    const elsewhere = await World.make();
    const task = await world.started({ log: other, stores: elsewhere.stores });
    await world.send(1, { do: "end", run: "a" }, { do: "sleep", run: "b", ms: [50 * DAY] });
    await world.applied(task);
    await task.stop();
    const again = await world.started();
    await again.stop();
    expect(await dumpOf(world.stores)).toEqual(await dumpOf(elsewhere.stores));
    expect([...(await dumpOf(world.stores)).keys()].filter((key) => key.startsWith("r"))).toEqual(["r|b", "r|l"]);
  });

  it.each([
    ["of another topic id", { topicId: "another" }],
    ["above the changelog's end", { changelogOffset: offset(1_000) }],
    ["never complete", { completeAtMs: 0 }],
    ["complete longer ago than half the retention", { completeAtMs: T0 + 1 - HALF_RETENTION - 1 }],
  ])("wipes a store %s", async (_, change) => {
    const world = await used();
    await setPosition(world, change);
    expect(await wipedOnStart(world)).toBe(true);
    expect(world.logged.of("warn")).toMatchObject([{ message: "wiped the store to restore it" }]);
    expect([...(await dumpOf(world.stores)).keys()]).toContain("r|a");
  });

  it("keeps a store that was complete exactly half the retention ago", async () => {
    const world = await used();
    await setPosition(world, { completeAtMs: T0 + 1 - HALF_RETENTION });
    expect(await wipedOnStart(world)).toBe(false);
  });

  it("wipes a store below the changelog's start", async () => {
    const world = await used();
    await setPosition(world, { changelogOffset: offset(0) });
    const log = world.log.session();
    const offsets = log.offsets.bind(log);
    log.offsets = async (topic, partition) => {
      const range = await offsets(topic, partition);
      return topic === topics.changelog ? { ...range, start: offset(1) } : range;
    };
    await plantRow(world);
    const task = await world.started({ log });
    await task.stop();
    expect(world.logged.of("warn")).toMatchObject([
      { fields: { reason: "its position 0 is below the changelog's 1" } },
    ]);
  });

  it("begins with a commit: one that was fenced while it restored decides nothing (G10)", async () => {
    const world = await used();
    const log = world.log.session();
    const offsets = log.offsets.bind(log);
    log.offsets = async (topic, partition) => {
      const range = await offsets(topic, partition);
      if (topic === topics.inbox) await world.log.openChangelogWriter(topics.changelog, 0);
      return range;
    };
    const history = (await world.history()).length;
    await world.send(1, { do: "end", run: "a" });
    const task = world.task({ log });
    await expect(task.start()).rejects.toMatchObject({ code: "FENCED" });
    expect(await world.history()).toHaveLength(history);
  });

  it("writes the logic version of a new partition before it decides anything", async () => {
    const world = await World.make();
    const { log, commits } = heldLog(world);
    commits.push("failBefore");
    await world.send(1, { do: "sleep", run: "a", ms: [5] });
    const task = world.task({ log, options: { takeoversMax: 1 } });
    await expect(task.start()).rejects.toMatchObject({ code: "TRANSIENT" });
    expect(await world.history()).toEqual([]);
    const next = await world.started();
    await world.applied(next);
    await next.stop();
    expect(await world.checkpoints()).toMatchObject([{ nextOffset: 0, logic: 1 }, { nextOffset: 1 }]);
  });

  it.each([
    ["its position cannot be read", POSITION_KEY],
    ["its meta cannot be read", META_KEY],
    ["a row that it needs cannot be read", "p"],
  ])("wipes a store where %s", async (_, key) => {
    const world = await used();
    const before = await dumpOf(world.stores);
    const store = await world.stores.open("state-0");
    await store.write({ puts: [[key, new Uint8Array([1])]], deletes: [] });
    await store.close();
    await plantRow(world);
    const task = world.task();
    const started = task.start();
    await until("it runs", async () => {
      world.clock.advance(100);
      await settle(1);
      return task.status === "running";
    });
    await started;
    await task.stop();
    expect(await dumpOf(world.stores)).toEqual(before);
  });

  it("wipes a store that is damaged at open", async () => {
    const world = await used();
    const before = await dumpOf(world.stores);
    let damaged = true;
    const stores: StoreFactory = {
      open: async (name) => {
        if (damaged) throw new StateCorruptedError("bad checksum");
        return world.stores.open(name);
      },
      destroy: async (name) => {
        damaged = false;
        await world.stores.destroy(name);
      },
    };
    const task = await world.started({ stores });
    await task.stop();
    expect(await dumpOf(world.stores)).toEqual(before);
  });

  it("fails where the inbox lacks what comes next, naming both offsets: it never jumps", async () => {
    const world = await used();
    await world.log.ensureTopics(
      coreTopicSpecs(topics, 1).map((spec) => (spec.name === topics.inbox ? { ...spec, retentionMs: DAY } : spec)),
    );
    await world.send(1, { do: "end", run: "a" });
    world.clock.advance(2 * DAY);
    await world.send(0, { do: "nothing" });
    const task = world.task();
    await expect(task.start()).rejects.toMatchObject({ code: "OFFSET_OUT_OF_RANGE" });
    expect(task.failure?.message).toContain("goes on at offset 2, its inbox has 3 to 4");
    expect(task.status).toBe("failed");
    await task.closed;
    await (await world.stores.open("state-0")).close();
  });

  it("fails where the inbox is shorter than what was applied", async () => {
    const world = await used();
    world.log.deleteTopic(topics.inbox);
    await world.log.ensureTopics(coreTopicSpecs(topics, 1));
    await expect(world.task().start()).rejects.toThrow("goes on at offset 2, its inbox has 0 to 0");
  });

  it("refuses a state of a logic version that this build does not read", async () => {
    const world = await used();
    await expect(world.task({ core: { ...toyCore, logicVersion: 3 } }).start()).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("is of logic version 1, this build reads 2 and 3") as string,
    });
    const writer = await world.log.openChangelogWriter(topics.changelog, 0);
    const [meta] = await world.checkpoints();
    if (meta === undefined) throw new Error("no checkpoint");
    await writer.commit([{ key: META_KEY, value: encodeMeta({ ...meta, logic: 2 }) }]);
    await expect(world.task().start()).rejects.toThrow("is of logic version 2, this build reads 1");
  });

  it("announces a newer logic once it has caught up, by a record of its own", async () => {
    const world = await used();
    const newer: Core = { ...toyCore, logicVersion: 2 };
    const task = await world.started({ core: newer });
    await until("announced", async () => (await world.end()) === 3);
    await world.applied(task);
    await task.stop();
    expect((await world.checkpoints()).at(-1)).toMatchObject({ logic: 2, nextOffset: 3 });
    const again = await world.started({ core: newer });
    await settle();
    await again.stop();
    expect(await world.end()).toBe(3);
  });

  it("tries again while the log does not answer, then gives up", async () => {
    const world = await used();
    const log = world.log.session();
    let calls = 0;
    log.topicId = () => {
      calls++;
      return Promise.reject(new TransientError("planned"));
    };
    const task = world.task({ log, options: { takeoversMax: 4 } });
    const started = task.start();
    started.catch(() => undefined);
    await until("it gave up", async () => {
      world.clock.advance(10_000);
      await settle(1);
      return task.status === "failed";
    });
    await expect(started).rejects.toMatchObject({ code: "TRANSIENT" });
    expect(calls).toBe(4);
  });

  it("can be stopped at any time, and before it began", async () => {
    const world = await used();
    const never = world.task();
    await never.stop();
    expect(never.status).toBe("stopped");
    await expect(never.start()).rejects.toMatchObject({ code: "CLOSED" });
    const task = world.task();
    const started = task.start();
    started.catch(() => undefined);
    await task.stop();
    await task.stop();
    await task.closed;
    expect(task.status).toBe("stopped");
    await (await world.stores.open("state-0")).close();
  });

  it("reads on after a read that failed", async () => {
    const world = await World.make();
    const { log } = heldLog(world);
    const reader = log.reader.bind(log);
    let failures = 2;
    log.reader = (topic, partition, from) => {
      const inner = reader(topic, partition, from);
      const read = inner.read.bind(inner);
      inner.read = (limits) => (failures-- > 0 ? Promise.reject(new TransientError("planned")) : read(limits));
      return inner;
    };
    await world.send(1, { do: "sleep", run: "a", ms: [DAY] });
    const task = await world.started({ log });
    await until("applied", async () => {
      world.clock.advance(10);
      await settle(1);
      return task.time().processedOffset === 0;
    });
    await task.stop();
    expect(world.meter.counts.get("eddy_takeovers_total")).toBe(1);
  });
});
