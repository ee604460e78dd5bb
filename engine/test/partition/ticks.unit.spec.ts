import { decodeInbox } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { ManualClock } from "../../src/adapters/memory/index.js";
import { core } from "../../src/core/core.js";
import { on, waitFor } from "./builders.js";
import { heldLog } from "./held-ports.js";
import { settle, T0, topics, until, World } from "./world.js";

async function kinds(world: World): Promise<string[]> {
  return (await world.records(topics.inbox)).map(({ value }) => decodeInbox(value ?? new Uint8Array()).kind);
}

describe("ticks", () => {
  it("fire the timers of an idle partition at their time, one tick each", async () => {
    const world = await World.make();
    const task = await world.started();
    await world.send(0, { do: "sleep", run: "a", ms: [3_600_000, 7_200_000] }, { do: "lease", run: "l", ms: 60_000 });
    await world.applied(task);
    for (let minutes = 0; minutes < 180; minutes++) {
      world.clock.advance(60_000);
      await settle(5);
    }
    expect(await kinds(world)).toEqual(["event", "event", "tick", "tick", "tick"]);
    expect((await world.history()).map(({ what, atMs }) => [what, atMs])).toEqual([
      ["started", 0],
      [`lease ${T0 + 60_000}`, 60_000],
      [`timer 0 ${T0 + 3_600_000}`, 3_600_000],
      [`timer 1 ${T0 + 7_200_000}`, 7_200_000],
    ]);
    await task.stop();
  });

  it("come at the time of the log, which an advance has left behind", async () => {
    const world = await World.make();
    const task = await world.started();
    await world.append(0, { kind: "advance", ms: 1_000_000 });
    await world.send(0, { do: "sleep", run: "a", ms: [500] }, { do: "lease", run: "l", ms: 600 });
    await world.applied(task);
    for (const ms of [499, 1, 99, 1]) {
      world.clock.advance(ms);
      await settle();
    }
    expect((await world.history()).map(({ what, cause }) => `${cause} ${what}`)).toEqual([
      "1.0 started",
      `3.0 timer 0 ${T0 + 1_000_500}`,
      `4.0 lease ${T0 + 600}`,
    ]);
    await task.stop();
  });

  it("come for the partition's own timers too: an idle partition settles the routes of a registration", async () => {
    const world = await World.make();
    const task = await world.started({ core });
    const waits = [waitFor("b", "data.k")];
    const fn = { id: "f", name: "f", triggers: [on("a")], cancelOn: [], waits, retries: 0 };
    await world.append(0, { kind: "register", config: { app: "app", functions: [fn] }, settleMs: 20_000 });
    for (let seconds = 0; seconds < 19; seconds++) {
      world.clock.advance(1_000);
      await settle(5);
    }
    expect(await kinds(world)).toEqual(["register"]);
    // A takeover, on the way, loses none of them.
    await task.stop();
    await world.stores.destroy("state-0");
    const next = await world.started({ core });
    world.clock.advance(1_000);
    await settle(50);
    expect(await kinds(world)).toEqual(["register", "tick", "settled"]);
    for (let seconds = 0; seconds < 60; seconds++) {
      world.clock.advance(1_000);
      await settle(5);
    }
    expect(await kinds(world)).toHaveLength(3);
    await next.stop();
  });

  it("are not needed while records tell the time", async () => {
    const world = await World.make();
    await world.send(0, { do: "sleep", run: "a", ms: [10] });
    await world.send(20, { do: "emit", n: 0 });
    const task = await world.started();
    await world.applied(task);
    await settle();
    expect(await kinds(world)).toEqual(["event", "event"]);
    await task.stop();
  });

  it("come again after the difference when the log's clock is behind ours, and learn from it", async () => {
    const world = await World.make();
    const ours = new ManualClock(T0);
    const task = await world.started({ clock: ours });
    await world.send(0, { do: "sleep", run: "a", ms: [10_000, 30_000] });
    await world.applied(task);
    // Ours is 2 s ahead of the log's.
    const pass = async (ms: number): Promise<void> => {
      for (let n = 0; n < ms; n += 100) {
        ours.advance(100);
        world.clock.advance(100);
        await settle(4);
      }
    };
    ours.advance(2_000);
    await pass(20_000);
    expect((await world.history()).map(({ what }) => what)).toEqual(["started", `timer 0 ${T0 + 10_000}`]);
    expect(await kinds(world)).toEqual(["event", "tick", "tick"]);
    await pass(20_000);
    expect(await world.history()).toHaveLength(3);
    expect(await kinds(world)).toEqual(["event", "tick", "tick", "tick"]);
    await task.stop();
  });

  it("are tried again when the log does not answer, not faster than the backoff", async () => {
    const world = await World.make();
    const { log, failing } = heldLog(world);
    const task = await world.started({ log });
    await world.send(0, { do: "sleep", run: "a", ms: [1_000] });
    await world.applied(task);
    await settle();
    failing.set(topics.inbox, 4);
    world.clock.advance(1_000);
    for (let n = 0; n < 200; n++) await settle(1);
    expect(failing.get(topics.inbox)).toBe(3);
    await until("fired", async () => {
      world.clock.advance(50);
      await settle(2);
      return (await world.history()).length === 2;
    });
    expect(await kinds(world)).toEqual(["event", "tick"]);
    await task.stop();
  });

  it("are the only reason to wake up early: reads wait until the next timer or checkpoint", async () => {
    const world = await World.make();
    const { log, readWaits } = heldLog(world);
    const task = await world.started({ log, options: { idleReadMsMax: 600_000 } });
    await world.send(0, { do: "sleep", run: "a", ms: [300_000] });
    await world.applied(task);
    await settle();
    expect(readWaits.at(-1)).toBe(1_000);
    world.clock.advance(1_000);
    await settle();
    expect(readWaits.at(-1)).toBe(299_000);
    const reads = readWaits.length;
    world.clock.advance(298_999);
    await settle();
    expect(readWaits.length).toBe(reads);
    world.clock.advance(1);
    await settle();
    expect(await world.history()).toHaveLength(2);
    expect(readWaits.length - reads).toBeLessThanOrEqual(4);
    world.clock.advance(1_000);
    await settle();
    expect(readWaits.at(-1)).toBe(600_000);
    await task.stop();
  });
});
