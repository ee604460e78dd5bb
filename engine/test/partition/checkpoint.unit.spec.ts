import { describe, expect, it } from "vitest";
import { META_KEY } from "../../src/core/index.js";
import { heldLog } from "./held-ports.js";
import { dumpOf, settle, topics, until, World } from "./world.js";

const SECOND = 1_000;

describe("checkpoints", () => {
  it("comes a second after the last one, with rows and meta in one commit, last write wins", async () => {
    const world = await World.make();
    const { log, committed } = heldLog(world);
    const task = await world.started({ log });
    await world.send(1, { do: "sleep", run: "a", ms: [5_000] }, { do: "sleep", run: "a", ms: [6_000] });
    await world.send(1, { do: "sleep", run: "b", ms: [5_000] }, { do: "end", run: "b" });
    await world.applied(task);
    world.clock.advance(997);
    await settle();
    expect(committed.map((records) => records.map(({ key }) => key))).toEqual([[META_KEY, "p", "f"]]);
    world.clock.advance(1);
    await until("a checkpoint", () => committed.length === 2);
    expect(committed[1]?.map(({ key }) => key)).toEqual(["r|a", META_KEY]);
    await task.stop();
    expect([...(await dumpOf(world.stores)).keys()]).toEqual(["f", "p", "r|a", "t|v|0001700000006001|r|a|00000000"]);
  });

  it("makes none while idle, and one for offsets alone when nothing but time moved", async () => {
    const world = await World.make();
    const { log, committed } = heldLog(world);
    const task = await world.started({ log });
    world.clock.advance(SECOND);
    await until("the first rows are saved", () => committed.length === 1);
    for (let n = 0; n < 10; n++) {
      world.clock.advance(10 * SECOND);
      await settle();
    }
    expect(committed).toHaveLength(1);
    for (let n = 0; n < 10; n++) {
      await world.send(10, { do: "nothing" });
      await world.applied(task);
    }
    await until("its offset is saved", () => committed.length === 2);
    world.clock.advance(SECOND - 100);
    await settle();
    expect(committed).toHaveLength(2);
    world.clock.advance(SECOND);
    await until("the rest is saved", () => committed.length === 3);
    expect(committed[2]?.map(({ key }) => key)).toEqual([META_KEY]);
    expect((await world.checkpoints()).at(-1)).toMatchObject({ nextOffset: 10 });
    await task.stop();
    expect(committed).toHaveLength(3);
  });

  it("never passes an effect that is not acknowledged; the task goes on meanwhile", async () => {
    const world = await World.make();
    const { log, held, release, committed } = heldLog(world);
    const task = await world.started({ log });
    held.add(topics.history);
    await world.send(1, { do: "sleep", run: "a", ms: [50_000] }, { do: "sleep", run: "b", ms: [50_000] });
    await world.applied(task);
    world.clock.advance(SECOND);
    await settle();
    await world.send(1, { do: "sleep", run: "c", ms: [50_000] });
    await world.applied(task);
    world.clock.advance(10 * SECOND);
    await settle();
    expect(committed).toHaveLength(1);
    release();
    await until("both checkpoints", async () => {
      world.clock.advance(SECOND);
      await settle(2);
      return committed.length >= 3;
    });
    const [, first, second] = await world.checkpoints();
    expect(first).toMatchObject({ nextOffset: 2 });
    expect(second).toMatchObject({ nextOffset: 3 });
    await task.stop();
  });

  it.each([
    ["records", { recordsMax: 20, changedRowsMax: 1_000_000 }],
    ["changed rows", { recordsMax: 1_000_000, changedRowsMax: 20 }],
  ])("bounds the %s that a takeover repeats, waiting if it must", async (_, options) => {
    const world = await World.make();
    const { log, held, release } = heldLog(world);
    for (let n = 0; n < 100; n++) await world.send(0, { do: "sleep", run: `r${n}`, ms: [50_000] });
    held.add(topics.history);
    const task = await world.started({ log, options: { ...options, batchRecordsMax: 64 } });
    await settle();
    expect(task.time().processedOffset).toBeLessThanOrEqual(20);
    expect(task.time().processedOffset).toBeGreaterThan(10);
    release();
    await world.applied(task);
    await task.stop();
    let last = 0;
    for (const { nextOffset } of await world.checkpoints()) {
      expect(nextOffset - last).toBeLessThanOrEqual(20);
      last = nextOffset;
    }
    expect(last).toBe(100);
  });

  it("stops to decide while too much is on its way", async () => {
    const world = await World.make();
    const { log, held, release } = heldLog(world);
    for (let n = 0; n < 100; n++) await world.send(0, { do: "emit", n: 1, to: 0 });
    held.add(topics.history);
    const task = await world.started({ log, options: { unackedEffectsMax: 50 } });
    await settle();
    const before = task.time().processedOffset;
    expect(before).toBeLessThan(99);
    release();
    await until("it goes on", () => task.time().processedOffset >= 99);
    await task.stop();
  });

  it.each(["failBefore", "failAfter"] as const)("takes over anew when a commit %s: nothing is redone", async (fate) => {
    const world = await World.make();
    const { log, commits, committed } = heldLog(world);
    const task = await world.started({ log });
    await world.send(1, { do: "sleep", run: "a", ms: [50_000] }, { do: "sleep", run: "b", ms: [50_000] });
    await world.applied(task);
    commits.push(fate);
    world.clock.advance(SECOND);
    await until("a second takeover", async () => {
      world.clock.advance(100);
      await settle(1);
      return world.meter.counts.get("eddy_takeovers_total") === 2;
    });
    await world.send(1, { do: "end", run: "a" });
    await until("applied", () => task.time().processedOffset === 2);
    await task.stop();
    expect(task.status).toBe("stopped");
    expect([...(await dumpOf(world.stores)).keys()]).toEqual(["f", "p", "r|b", "t|v|0001700000050001|r|b|00000000"]);
    expect(committed.length).toBeGreaterThanOrEqual(fate === "failAfter" ? 2 : 1);
    expect((await world.checkpoints()).at(-1)).toMatchObject({ nextOffset: 3 });
    const causes = (await world.history()).map(({ cause, what }) => `${cause} ${what}`);
    expect(new Set(causes)).toEqual(new Set(["0.0 started", "1.0 started", "2.0 ended"]));
  });

  it("gives up after so many takeovers in a row without a checkpoint", async () => {
    const world = await World.make();
    const { log, commits } = heldLog(world);
    const task = await world.started({ log, options: { takeoversMax: 3 } });
    commits.push("failBefore", "failBefore", "failBefore", "failBefore");
    await world.send(1, { do: "sleep", run: "a", ms: [50_000] });
    await until("it failed", async () => {
      world.clock.advance(SECOND);
      await settle(2);
      return task.status === "failed";
    });
    await task.closed;
    expect(task.failure).toMatchObject({ code: "TRANSIENT" });
    expect(world.meter.counts.get("eddy_takeovers_total")).toBe(3);
  });

  it("fails when a newer owner has fenced it, and saves nothing (G10)", async () => {
    const world = await World.make();
    const task = await world.started();
    await world.send(1, { do: "sleep", run: "a", ms: [50_000] });
    await world.applied(task);
    await world.log.openChangelogWriter(topics.changelog, 0);
    world.clock.advance(SECOND);
    await task.closed;
    expect(task.status).toBe("failed");
    expect(task.failure).toMatchObject({ code: "FENCED" });
    expect(await world.checkpoints()).toMatchObject([{ nextOffset: 0 }]);
  });

  it("stops without a last checkpoint when the log does not answer", async () => {
    const world = await World.make();
    const { log, failing } = heldLog(world);
    const task = await world.started({ log });
    failing.set(topics.history, 1_000);
    await world.send(1, { do: "sleep", run: "a", ms: [50_000] });
    await settle();
    const stopping = task.stop();
    await until("stopped", async () => {
      world.clock.advance(SECOND);
      await settle(1);
      return task.status === "stopped";
    });
    await stopping;
    expect(await world.checkpoints()).toMatchObject([{ nextOffset: 0 }]);
    expect(world.logged.of("warn")).toMatchObject([{ message: "stopped without a last checkpoint" }]);
  });
});
