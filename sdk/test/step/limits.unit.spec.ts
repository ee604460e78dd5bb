/** What a run may be at most, as its author hears of it: each message names the limit. (1,000 steps: session.) */
import { describe, expect, it } from "vitest";
import { bench, eddy, fn } from "../fixtures.js";
import { turns } from "../manual-clock.js";

const MIB = 1_048_576;
/** A text of which JSON has so many bytes. */
const textOf = (bytes: number): string => "x".repeat(bytes - 2);

describe("limits", () => {
  it("let a step's result have just 4 MiB", async () => {
    const { engine } = await bench(fn(async ({ step }) => (await step.run("a", () => textOf(4 * MIB))).length));
    const run = await engine.startRun("app/f");
    expect(run.output).toBe(4 * MIB - 2);
  });

  it("fail a step for good with more, which its handler can catch", async () => {
    const { engine } = await bench(
      fn(async ({ step }) => {
        await step.run("a", () => textOf(4 * MIB + 1));
      }),
    );
    const run = await engine.startRun("app/f");
    await turns();
    expect(run.error?.message).toBe("step a returned 4194305 bytes, the limit is 4194304");
    expect(engine.story).toEqual(["1 stepFailed a", "1 suspended", "2 threw"]);
  });

  it("fail a run whose handler returns more than 4 MiB", async () => {
    const { engine } = await bench(fn(() => textOf(4 * MIB + 1)));
    const run = await engine.startRun("app/f");
    expect(run.error?.message).toBe("the handler returned 4194305 bytes, the limit is 4194304");
  });

  it("count attempts as the option `retries` says, in the handler and in its steps", async () => {
    const seen: object[] = [];
    const flow = eddy.createFunction(
      { id: "f", retries: 2, triggers: [{ event: "test/started" }] },
      async ({ step, attempt, maxAttempts }) => {
        await step.run("a", () => {
          const inside = step.current();
          seen.push({ handler: [attempt, maxAttempts], step: [inside.attempt, inside.maxAttempts] });
          throw new Error("never");
        });
      },
    );
    expect(flow.config.retries).toBe(2);
    const { engine } = await bench(flow);
    engine.retries = flow.config.retries;
    const run = await engine.startRun("app/f");
    await engine.retry(run, "a");
    await engine.retry(run, "a");
    await turns();
    expect(seen).toEqual([0, 1, 2].map((attempt) => ({ handler: [attempt, 3], step: [attempt, 3] })));
    expect(run).toMatchObject({ status: "failed", error: { name: "Error", message: "never" } });
  });
});
