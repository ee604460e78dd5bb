/** G7: whatever was checkpointed when, a partition rebuilt from its log equals the live one, byte for byte. */
import { describe, expect, it } from "vitest";
import { core } from "../../src/core/core.js";
import type { PartitionOptions } from "../../src/partition/index.js";
import { dumpOf, World } from "../partition/world.js";
import { acceptedOf, copyOf } from "./mirror.js";
import { Script } from "./script.js";

const SEEDS = Array.from({ length: 12 }, (_, n) => n + 1);
const STEPS = 120;

/** Narrow limits, so that every path is taken: tiny caches, batches, turns and checkpoints. */
const narrow = (seed: number): Partial<PartitionOptions> =>
  seed % 3 === 0
    ? {}
    : {
        cacheBytesMax: 2_000,
        batchRecordsMax: 1 + (seed % 5),
        timersPerTurnMax: 1 + (seed % 3),
        changedRowsMax: 5 + seed,
        checkpointEveryMs: 500,
        unackedEffectsMax: 10,
      };

describe("a partition rebuilt from its log", () => {
  it.each(SEEDS)("has the same rows, index entries and effects as the live one (seed %i)", async (seed) => {
    const world = await World.make();
    const script = new Script(world, seed);
    const options = narrow(seed);
    let task = await world.started({ core, options });
    await script.register();
    for (let n = 0; n < STEPS; n++) {
      await script.step();
      await world.applied(task);
      if (script.random(10) > 0 && n < STEPS - 1) continue;
      const fromChangelog = await copyOf(world, { core, changelog: true });
      const fromNothing = await copyOf(world, { core, changelog: false });
      const time = task.time();
      await task.stop();
      const rows = await dumpOf(world.stores);
      const [restored, replayed] = [await fromChangelog(), await fromNothing()];
      expect(restored.time).toEqual(time);
      expect(restored.rows).toEqual(rows);
      expect(replayed.rows).toEqual(rows);
      expect(replayed.effects).toEqual(await acceptedOf(world));
      if (script.random(3) === 0) await world.stores.destroy("state-0");
      task = await world.started({ core, options });
    }
    expect((await world.records("eddy.test.steps.app")).length).toBeGreaterThan(20);
    await task.stop();
  });
});
