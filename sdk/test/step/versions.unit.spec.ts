/** A run that goes on with another version of its function than it began with: what is said, and what happens. */
import { describe, expect, it } from "vitest";
import { bench, fn } from "../fixtures.js";
import { turns } from "../manual-clock.js";
import type { Handler } from "../../src/index.js";

/** A run of `before` that sleeps, and then goes on with `after` in a process of its own. */
async function deploy(before: Handler, after: Handler) {
  const { engine, clock, log, replaceWorker } = await bench(fn(before));
  const run = await engine.startRun("app/f");
  await turns(20);
  await clock.advance(500); // What a handler may do for itself before its invocation ends.
  await replaceWorker(fn(after));
  await engine.settle(run, "nap");
  return { engine, clock, run, log, replaceWorker };
}

const napping: Handler = async ({ step }) => {
  await step.run("a", () => 1);
  await step.run("b", () => 2);
  await step.sleep("nap", 1);
  return "before";
};

describe("a run that goes on with another version", () => {
  it("does the steps that were added behind what is recorded", async () => {
    const { engine, run } = await deploy(napping, async ({ step }) => {
      const a = await step.run("a", () => 10);
      const b = await step.run("b", () => 20);
      await step.sleep("nap", 1);
      return a + b + (await step.run("c", () => 3));
    });
    expect([engine.reports.length > 1, run.output]).toEqual([true, 6]);
  });

  it("fails the attempt where a step was renamed, and names both; the former version goes on with it", async () => {
    const { engine, clock, run, replaceWorker } = await deploy(napping, async ({ step }) => {
      await step.run("a", () => 1);
      await step.run("b2", () => 2);
    });
    await clock.advance(10_000);
    const end = engine.reports.at(-1)?.outcome;
    expect(end).toMatchObject({ kind: "threw", retriable: true, error: { name: "NonDeterminismError" } });
    expect(end?.kind === "threw" && end.error.message).toMatch(/asks for step "b2", but step "b" is recorded/);
    await replaceWorker();
    await engine.dispatch(run);
    expect(run.output).toBe("before");
  });

  it("fails the attempt where a step became another kind of step", async () => {
    const { engine } = await deploy(napping, ({ step }) => step.sleep("a", 1));
    const end = engine.reports.at(-1)?.outcome;
    expect(end).toMatchObject({ kind: "threw", error: { name: "NonDeterminismError" } });
    expect(end?.kind === "threw" && end.error.message).toMatch(/asks for step "a" as a sleep, but .* as a run/);
  });

  it("ends where its last steps were removed, and says which are no longer there", async () => {
    const { run, log } = await deploy(napping, ({ step }) => step.run("a", () => 1));
    expect([run.status, run.output]).toEqual(["completed", 1]);
    expect(log.lines).toEqual([
      [
        { runId: run.runId },
        'app/f: the handler returned without steps that are recorded or pending: "b", "nap"; ' +
          "its code has changed since the run began",
      ],
    ]);
  });

  it("says nothing where the code is the same, also of results that the handler does not wait for", async () => {
    const handler: Handler = async ({ step }) => {
      const slow = step.run("slow", () => turns(1));
      await Promise.race([step.run("fast", () => 1), slow]);
      await step.sleep("nap", 1);
      return "ok";
    };
    const { run, log } = await deploy(handler, handler);
    expect([run.output, log.lines]).toEqual(["ok", []]);
  });
});
