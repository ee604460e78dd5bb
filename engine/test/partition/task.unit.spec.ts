import { describe, expect, it } from "vitest";
import { dumpOf, settle, World } from "./world.js";

describe("a partition task", () => {
  it("applies records, sends effects, checkpoints when stopped", async () => {
    const world = await World.make();
    const task = world.task();
    expect(task.status).toBe("idle");
    await task.start();
    expect(task.status).toBe("running");
    await world.send(1, { do: "sleep", run: "a", ms: [50] });
    await world.applied(task);
    await task.stop();
    expect(task.status).toBe("stopped");
    expect(await world.history()).toMatchObject([{ cause: "0.0", runId: "a", what: "started" }]);
    expect([...(await dumpOf(world.stores)).keys()]).toEqual(["f", "p", "r|a", "t|v|0001700000000051|r|a|00000000"]);
    expect(await world.checkpoints()).toMatchObject([
      { nextOffset: 0 },
      { nextOffset: 1, index: 0, lastTimer: "", incarnation: 1 },
    ]);
    await settle();
  });
});
