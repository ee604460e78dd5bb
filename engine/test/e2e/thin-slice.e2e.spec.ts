/** The whole engine in one process, on memory and on the embedded log. */
import { describe, expect, it } from "vitest";
import { core } from "../../src/core/core.js";
import { eventually, Host, KINDS } from "./fixtures.js";
import { greet, greeter, restarts, thinSlice } from "./thin-slice.js";

describe.each(KINDS)("on %s", thinSlice);
describe("on embedded", () => restarts("embedded"));

it("stops one partition on a broken invariant, says so, and lets the others go on", async () => {
  const broken = { ...core, decide: planted };
  function planted(...[view, input, moment]: Parameters<typeof core.decide>): ReturnType<typeof core.decide> {
    if (input.kind === "event" && input.name === "poison") throw new Error("planted");
    return core.decide(view, input, moment);
  }
  const host = await Host.start("memory", { core: broken });
  try {
    await host.worker([greet], greeter);
    await host.send("poison", {});
    const reasons = await eventually("not ready", async () => {
      const reply = await fetch(`${host.engine.url}/health/ready`);
      return reply.status === 503 && ((await reply.json()) as { reasons: string[] }).reasons;
    });
    expect(reasons).toHaveLength(1);
    expect(reasons[0]).toMatch(/^partition \d: failed/);
    const failed = Number(reasons[0]?.charAt("partition ".length));
    const ids = await Promise.all(Array.from({ length: 12 }, (_, n) => host.send("hello", { n })));
    const runs = await eventually("the others go on", async () => {
      const found = (await Promise.all(ids.map((id) => host.runsOf(id)))).flat();
      return found.length > 0 && found.every(({ status }) => status === "Completed") && found;
    });
    expect(runs.every(({ run_id }) => Number.parseInt(run_id.slice(0, 3), 16) % 4 !== failed)).toBe(true);
    expect((await host.post("/dev/clock/advance", { by: "1h" })).status).toBe(503);
    expect((await fetch(`${host.engine.url}/health/live`)).status).toBe(200);
  } finally {
    await host.close();
  }
});
