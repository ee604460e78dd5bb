/** Crashes, failures and zombies at every call to a port: in the end, rows and effects are those of an undisturbed run. */
import { beforeAll, describe, expect, it } from "vitest";
import { MemoryStoreFactory } from "../../src/adapters/memory/index.js";
import { core } from "../../src/core/core.js";
import type { PartitionOptions, PartitionTask } from "../../src/partition/index.js";
import { dumpOf, settle, topics, World } from "../partition/world.js";
import { Gate, gatedClock, gatedLog, gatedStores, type Fate } from "./gated-ports.js";
import { acceptedOf, copyOf } from "./mirror.js";
import { randomOf, Script } from "./script.js";

const options: Partial<PartitionOptions> = {
  cacheBytesMax: 2_000,
  batchRecordsMax: 7,
  timersPerTurnMax: 2,
  recordsMax: 12,
  changedRowsMax: 30,
  checkpointEveryMs: 300,
  takeoversMax: 100,
};
const TURNS_MAX = 3_000;

/** An inbox as a real run left it: with reports to what was requested. */
async function recorded(seed: number, steps: number): Promise<World> {
  const world = await World.make();
  const script = new Script(world, seed);
  const task = await world.started({ core });
  await script.register();
  for (let n = 0; n < steps; n++) {
    await script.step();
    await world.applied(task);
  }
  await task.stop();
  return world;
}
async function copied(from: World): Promise<World> {
  const world = await World.make();
  for (const { key, value, appendTimeMs } of await from.records(topics.inbox)) {
    world.clock.set(appendTimeMs);
    await world.log.append(topics.inbox, 0, [{ key, value }]);
  }
  return world;
}

function processOf(world: World, gate: Gate, stores = world.stores, onCommitted?: () => void): PartitionTask {
  const log = gatedLog(gate, world.log.session(), onCommitted);
  return world.task({
    core,
    log,
    stores: gatedStores(gate, stores),
    clock: gatedClock(gate, world.clock),
    options,
  });
}

/** Lets time pass in small steps until `done`. */
async function pass(world: World, what: string, done: () => boolean | Promise<boolean>): Promise<void> {
  for (let n = 0; n < TURNS_MAX; n++) {
    if (await done()) return;
    if (n % 5 === 4) world.clock.advance(50);
    await settle(1);
  }
  throw new Error(`not within ${TURNS_MAX} turns: ${what}`);
}
const hasAll = async (world: World, task: PartitionTask): Promise<boolean> =>
  task.status === "running" && task.time().processedOffset === (await world.end()) - 1;

async function finish(world: World, task: PartitionTask): Promise<void> {
  if (task.status === "idle") task.start().catch(() => undefined);
  await pass(world, "everything is applied", async () => {
    if (task.failure !== null) throw task.failure;
    return hasAll(world, task);
  });
  await task.stop();
  if (task.failure !== null) throw task.failure;
}

/** A process may crash while it stops. */
async function stopOrCrash(world: World, task: PartitionTask, gate: Gate): Promise<void> {
  void task.stop();
  await pass(world, "stopped or crashed", () => gate.crashed || task.status === "stopped" || task.status === "failed");
  if (task.failure !== null) throw task.failure;
}

/** Rows and accepted effects are those that the inbox alone gives. */
async function expectUndisturbed(world: World, stores: MemoryStoreFactory): Promise<void> {
  const rows = await dumpOf(stores);
  // It may have appended a tick and stopped before it read that.
  const upTo = (await world.checkpoints()).at(-1)?.nextOffset ?? 0;
  const undisturbed = await (await copyOf(world, { core, changelog: false, upTo }))();
  expect(rows).toEqual(undisturbed.rows);
  expect(await acceptedOf(world, upTo)).toEqual(undisturbed.effects);
  const restored = await (await copyOf(world, { core, changelog: true, upTo }))();
  expect(restored.rows).toEqual(rows);
}

let base: World;
let calls = 0;
beforeAll(async () => {
  base = await recorded(7, 24);
  const world = await copied(base);
  const gate = new Gate();
  await finish(world, processOf(world, gate));
  calls = gate.calls;
  console.log(
    calls,
    await world.end(),
    (await world.checkpoints()).length,
    (await world.records(topics.steps("app"))).length,
  );
});

describe("at every call to a port", () => {
  const FATES: readonly Fate[] = ["crashBefore", "crashAfter", "failBefore", "failAfter"];

  it.each([...FATES.entries()])("a partition survives, beginning at call %i: %s", async (from, fate) => {
    expect(calls).toBeGreaterThan(60);
    let met = 0;
    for (let at = 1 + from; at <= calls; at += FATES.length) {
      const world = await copied(base);
      const gate = new Gate((call) => (call === at ? fate : "go"));
      const first = processOf(world, gate);
      first.start().catch(() => undefined);
      await pass(world, "crashed or done", async () => gate.crashed || (await hasAll(world, first)));
      if (!gate.crashed) await stopOrCrash(world, first, gate);
      if (gate.crashed) {
        met++;
        // Now and then the machine goes down: what the store was told last is lost.
        world.stores.crash(at % 4);
        await finish(world, world.task({ core, options }));
      }
      await expectUndisturbed(world, world.stores);
    }
    if (fate.startsWith("crash")) expect(met).toBeGreaterThan(10);
  });

  it("a zombie saves nothing, and publishes only what the new owner publishes (G10)", async () => {
    let fenced = 0;
    // The first call makes it the owner.
    for (let at = 2; at <= calls; at += 5) {
      const world = await copied(base);
      const gate = new Gate((call) => (call === at ? "freeze" : "go"));
      let takenOver = false;
      let saved = 0;
      const zombie = processOf(world, gate, new MemoryStoreFactory(), () => (saved += takenOver ? 1 : 0));
      zombie.start().catch(() => undefined);
      await pass(world, "frozen or done", async () => gate.frozen || (await hasAll(world, zombie)));
      const owner = world.task({ core, options });
      await owner.start();
      takenOver = true;
      const half = randomOf(at)(2) === 0;
      if (half) gate.thaw();
      await world.append(10, { kind: "advance", ms: 3_600_000 });
      await pass(world, "the owner has all", () => hasAll(world, owner));
      gate.thaw();
      await pass(world, "the zombie has all, or has noticed", async () => {
        return zombie.status === "failed" || hasAll(world, zombie);
      });
      await zombie.stop();
      await finish(world, owner);
      if (zombie.failure !== null) {
        expect(zombie.failure).toMatchObject({ code: "FENCED" });
        fenced++;
      }
      expect(saved).toBe(0);
      await expectUndisturbed(world, world.stores);
    }
    expect(fenced).toBeGreaterThan(5);
  });
});

describe("in a storm of faults", () => {
  it.each([1, 2, 3, 4, 5, 6])("a partition survives one crash after the other (seed %i)", async (seed) => {
    const random = randomOf(seed);
    const world = await copied(await recorded(seed + 100, 40));
    let crashes = 0;
    for (;;) {
      const gate = new Gate(() => {
        const dice = random(90);
        if (dice < 2) return "failBefore";
        if (dice < 4) return "failAfter";
        return dice < 7 && crashes < 30 ? (dice === 4 ? "crashBefore" : "crashAfter") : "go";
      });
      const task = processOf(world, gate);
      task.start().catch(() => undefined);
      await pass(world, "crashed or done", async () => gate.crashed || (await hasAll(world, task)));
      if (!gate.crashed) await stopOrCrash(world, task, gate);
      if (!gate.crashed) break;
      crashes++;
      world.stores.crash(random(3));
    }
    expect(crashes).toBeGreaterThan(2);
    world.stores.crash();
    await finish(world, world.task({ core, options }));
    await expectUndisturbed(world, world.stores);
  });
});
