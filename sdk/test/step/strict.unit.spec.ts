import { describe, expect, it } from "vitest";
import type { Handler } from "../../src/index.js";
import { bench, eddy } from "../fixtures.js";
import { deferred, turns } from "../manual-clock.js";

const strict = (handler: Handler) =>
  eddy.createFunction({ id: "f", strict: true, triggers: [{ event: "test/started" }] }, handler);

describe("strict: every step is dispatched by itself", () => {
  it("ends the invocation with each step's result, and goes on in the same closure", async () => {
    let entries = 0;
    const { engine } = await bench(
      strict(async ({ step }) => {
        entries += 1;
        const a = await step.run("a", () => 1);
        const b = await step.run("b", () => a + 1);
        return { b };
      }),
    );
    const run = await engine.startRun("app/f");
    await turns();
    expect(engine.story).toEqual(["1 stepCompleted a", "1 yielded", "2 stepCompleted b", "2 yielded", "3 returned"]);
    expect(engine.reports).toHaveLength(3);
    expect(run.output).toEqual({ b: 2 });
    expect(entries).toBe(1);
    expect(engine.needed).toEqual([]);
  });

  it("runs nothing after a step, neither steps nor the code between them, until it is dispatched again", async () => {
    const done: string[] = [];
    const { engine } = await bench(
      strict(async ({ step }) => {
        await step.run("a", () => void done.push("a"));
        done.push("between");
        await step.run("b", () => void done.push("b"));
      }),
    );
    engine.dispatchesYielded = false;
    const run = await engine.startRun("app/f");
    await turns();
    expect(done).toEqual(["a"]);
    await engine.dispatch(run);
    expect(done).toEqual(["a", "between", "b"]);
  });

  it("lets all parallel steps end, then yields once; what follows the first of them waits for the rest", async () => {
    const slow = deferred<string>();
    const began: string[] = [];
    const { engine } = await bench(
      strict(async ({ step }) => {
        const quick = async () => {
          await step.run("quick", () => void began.push("quick"));
          return step.run("after", () => (began.push("after"), "after"));
        };
        return Promise.all([quick(), step.run("slow", () => (began.push("slow"), slow.promise))]);
      }),
    );
    const run = await engine.startRun("app/f");
    await turns();
    expect(engine.story).toEqual(["1 stepCompleted quick"]);
    expect(began).toEqual(["quick", "slow"]);
    slow.resolve("slow");
    await turns(40);
    expect(engine.story).toEqual([
      "1 stepCompleted quick",
      "1 stepCompleted slow",
      "1 yielded",
      "2 stepCompleted after",
      "2 yielded",
      "3 returned",
    ]);
    expect(run.output).toEqual(["after", "slow"]);
  });

  it("yields although a parallel step has failed, which the engine holds until its next attempt", async () => {
    let tries = 0;
    const { engine, clock } = await bench(
      strict(async ({ step }) => {
        const flaky = step.run("flaky", () => {
          tries += 1;
          if (tries === 1) throw new Error("once");
          return "made it";
        });
        const [a] = await Promise.all([step.run("a", () => "a"), step.run("b", () => "b")]);
        return [a, await step.run("c", () => "c"), await flaky];
      }),
    );
    const run = await engine.startRun("app/f");
    await turns(40);
    await clock.advance(500); // It may be doing work of its own, as far as can be seen.
    expect(tries).toBe(1);
    expect(run.status).toBe("suspended");
    expect(engine.story.at(-1)).toBe("3 suspended");
    await engine.retry(run, "flaky");
    await turns(40);
    expect(tries).toBe(2);
    expect(run.output).toEqual(["a", "c", "made it"]);
  });

  it("suspends where all of its steps failed, and at waits and sleeps", async () => {
    const { engine } = await bench(
      strict(async ({ step }) => {
        await step.run("a", () => Promise.reject(new Error("no")));
        await step.sleep("nap", "1h");
        return step.run("b", () => 2);
      }),
    );
    engine.retries = 1;
    const run = await engine.startRun("app/f");
    expect(engine.story).toEqual(["1 stepFailed a", "1 suspended"]);
    run.pending.delete("a");
    run.memo.push({ stepId: "a", kind: "run", data: new TextEncoder().encode("1"), error: null, invocation: 0 });
    await engine.dispatch(run);
    await engine.settle(run, "nap");
    await turns();
    expect(engine.story.slice(2)).toEqual([
      "2 sleepRequested nap",
      "2 suspended",
      "3 stepCompleted b",
      "3 yielded",
      "4 returned",
    ]);
    expect(run.output).toBe(2);
  });

  it("decides a race between a step and a sleep as it would inline, and withdraws what lost", async () => {
    const { engine } = await bench(
      strict(async ({ step }) => {
        const first = await Promise.race([
          step.run("work", () => "work"),
          step.sleep("nap", "1h").then(() => "nap"),
          step.waitForEvent("reply", { event: "reply", timeout: "1h" }),
        ]);
        await step.run("tell", () => first);
        await step.sleep("pause", "1m");
        return first;
      }),
    );
    const run = await engine.startRun("app/f");
    await turns(40);
    expect(engine.story).toEqual([
      "1 sleepRequested nap",
      "1 waitRequested reply",
      "1 stepCompleted work",
      "1 yielded",
      "2 stepCompleted tell",
      "2 yielded",
      "3 withdrawn reply",
      "3 sleepRequested pause",
      "3 suspended",
    ]);
    await engine.settle(run, "pause");
    expect(run.output).toBe("work");
  });

  it("goes on from what is recorded where another worker takes over between two steps", async () => {
    const entries: string[] = [];
    const { engine, replaceWorker } = await bench(
      strict(async ({ step, logger }) => {
        entries.push("entered");
        const a = await step.run("a", () => "a");
        logger.info("after a");
        return a + (await step.run("b", () => "b"));
      }),
    );
    engine.dispatchesYielded = false;
    const run = await engine.startRun("app/f");
    await replaceWorker();
    await engine.dispatch(run);
    await engine.dispatch(run);
    await turns();
    expect(entries).toHaveLength(2);
    expect(engine.story.filter((line) => line.includes("stepCompleted a"))).toHaveLength(1);
    expect(run.output).toBe("ab");
  });

  it("sends results that one report cannot hold in several, the last of which yields", async () => {
    const large = "x".repeat(3 * 1_048_576);
    const { engine } = await bench(
      strict(async ({ step }) => {
        await Promise.all(["a", "b", "c"].map((id) => step.run(id, () => large)));
        return "done";
      }),
    );
    const run = await engine.startRun("app/f");
    await turns(40);
    expect(run.output).toBe("done");
    expect(engine.story.filter((line) => line.endsWith("yielded"))).toEqual(["1 yielded"]);
    expect(engine.story.at(-1)).toBe("2 returned");
  });

  it("is a switch", () => {
    const make = (given: unknown) => () =>
      eddy.createFunction({ id: "f", strict: given as boolean, triggers: [{ event: "e" }] }, () => undefined);
    expect(make("yes")).toThrow(/strict: expected true or false/);
    expect(make(undefined)().isStrict).toBe(false);
    expect(make(false)().isStrict).toBe(false);
    expect(make(true)().isStrict).toBe(true);
  });
});
