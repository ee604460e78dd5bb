/** Re-entering a handler with recorded results: W3 of worker/worker.ts and S6 of step/session.ts. */
import { describe, expect, it } from "vitest";
import { bench, fn } from "../fixtures.js";
import { deferred, memoryLogger, turns } from "../manual-clock.js";
import { Eddy, type EddyFunction, type Handler } from "../../src/index.js";

const wait = { event: "x", timeout: "24h", match: "id" } as const;

describe("replay", () => {
  it("gives recorded results without running a step again, asking for the state it lacks", async () => {
    const ran: string[] = [];
    let entries = 0;
    const { engine, replaceWorker } = await bench(
      fn(async ({ step, event, events, runId }) => {
        entries += 1;
        const a = await step.run("a", () => (ran.push("a"), { n: 1 }));
        const reply = await step.waitForEvent("w", wait);
        const b = await step.run("b", () => (ran.push("b"), a.n + 1));
        return [a, reply?.data, b, event.data, events.length, runId];
      }),
    );
    const run = await engine.startRun("app/f", { data: { k: 1 } });
    await replaceWorker();
    await engine.settle(run, "w", { name: "x", id: "e1", ts: 2 });
    expect(ran).toEqual(["a", "b"]);
    expect(entries).toBe(2);
    expect(run.output).toEqual([{ n: 1 }, {}, 2, { k: 1 }, 1, run.runId]);
    expect(engine.needed).toEqual([{ runId: run.runId, invocation: 2 }]);
  });

  it("happens to handlers that the LRU let go, and to no others", async () => {
    const entries: string[] = [];
    const { engine } = await bench(
      fn(async ({ step, runId }) => {
        entries.push(runId);
        await step.waitForEvent("w", wait);
        return "ok";
      }),
      { suspendedMax: 2 },
    );
    const runs = [await engine.startRun("app/f"), await engine.startRun("app/f"), await engine.startRun("app/f")];
    entries.length = 0;
    for (const run of runs) await engine.settle(run, "w");
    expect(entries).toEqual([runs[0]?.runId]);
    expect(engine.needed.map(({ runId }) => runId)).toEqual([runs[0]?.runId]);
    expect(runs.map(({ output }) => output)).toEqual(["ok", "ok", "ok"]);
  });

  it("replaces a closure whose own results the engine did not record", async () => {
    let ran = 0;
    const { engine } = await bench(
      fn(async ({ step }) => {
        await step.run("a", () => (ran += 1));
        await step.sleep("nap", 1);
        return ran;
      }),
    );
    const run = await engine.startRun("app/f");
    run.memo = []; // Its report was dropped: the lease was lost just before.
    run.pending.clear();
    await engine.dispatch(run);
    expect(engine.needed).toEqual([{ runId: run.runId, invocation: 2 }]);
    await engine.settle(run, "nap");
    expect([ran, run.output]).toEqual([2, 2]);
  });

  it("replaces a closure when another worker had the run in between, or recorded something else", async () => {
    const { engine } = await bench(
      fn(async ({ step }) => {
        const a = await step.run("a", () => "mine");
        await step.sleep("nap", 1);
        return a;
      }),
    );
    const run = await engine.startRun("app/f");
    const other = { stepId: "a", kind: "run" as const, data: new TextEncoder().encode('"theirs"'), error: null };
    run.memo = [{ ...other, invocation: 2 }];
    run.invocation = 2;
    await engine.settle(run, "nap");
    expect(engine.needed).toHaveLength(1);
    expect(run.output).toBe("theirs");
  });

  it("fails the run where what is recorded is no JSON", async () => {
    const { engine, replaceWorker } = await bench(
      fn(async ({ step }) => {
        await step.run("a", () => 1);
        await step.sleep("nap", 1);
      }),
    );
    const run = await engine.startRun("app/f");
    const data = new TextEncoder().encode("{");
    run.memo = run.memo.map((entry) => ({ ...entry, data }));
    await replaceWorker();
    await engine.settle(run, "nap");
    expect([run.status, run.error?.message]).toEqual(["failed", 'what is recorded of step "a" cannot be read']);
  });

  it("does not repeat the handler's log lines", async () => {
    const logger = memoryLogger();
    const client = new Eddy({ id: "app", logger });
    const handler: EddyFunction = client.createFunction(
      { id: "f", triggers: { event: "test/started" } },
      async (ctx) => {
        ctx.logger.info("start");
        await ctx.step.run("a", () => 1);
        ctx.logger.warn({ n: 1 }, "between");
        await ctx.step.sleep("nap", 1);
        ctx.logger.error("end");
      },
    );
    const { engine, replaceWorker } = await bench(handler);
    const run = await engine.startRun("app/f");
    await replaceWorker();
    await engine.settle(run, "nap");
    expect(logger.lines).toEqual([["start"], [{ n: 1 }, "between"], ["end"]]);
  });
});

describe("a handler that has left its record", () => {
  const recorded = fn(async ({ step }) => {
    await step.run("a", () => 1);
    await step.sleep("nap", 1);
    await step.run("b", () => 2);
  });
  const changed = (handler: Handler): EddyFunction => fn(handler);

  async function replayedBy(next: EddyFunction) {
    const before = await bench(recorded);
    const run = await before.engine.startRun("app/f");
    const after = await bench(next);
    after.engine.runs.set(run.runId, run);
    await after.engine.settle(run, "nap");
    return { run, ...after };
  }

  it("fails with both steps named, without running the new one, and may go on once the code is back", async () => {
    const ran: string[] = [];
    const { run, engine, clock } = await replayedBy(
      changed(async ({ step }) => {
        await step.run("a-renamed", () => ran.push("a-renamed"));
        await step.sleep("nap", 1);
      }),
    );
    await clock.advance(9_999);
    expect(engine.reports).toEqual([]);
    await clock.advance(1);
    expect(engine.reports.at(-1)?.outcome).toMatchObject({
      kind: "threw",
      retriable: true,
      error: {
        name: "NonDeterminismError",
        message: expect.stringContaining(
          'the handler asks for step "a-renamed", but step "a" is recorded and was not asked for',
        ),
      },
    });
    expect(ran).toEqual([]);

    const again = await bench(recorded);
    again.engine.runs.set(run.runId, run);
    await again.engine.retry(run, "");
    expect(run.status).toBe("completed");
  });

  it("fails at once when a step is asked for as another kind than it was recorded", async () => {
    const { engine } = await replayedBy(changed(({ step }) => step.sleep("a", 1)));
    expect(engine.reports.at(-1)?.outcome).toMatchObject({
      kind: "threw",
      error: {
        name: "NonDeterminismError",
        message: expect.stringContaining('step "a" as a sleep, but it is recorded as a run'),
      },
    });
  });

  it("is not suspected while a branch does ordinary work before it asks for its recorded step", async () => {
    const gates = [deferred(), deferred()];
    let entries = 0;
    const ran: string[] = [];
    const { engine, clock, replaceWorker } = await bench(
      fn(async ({ step }) => {
        const gate = gates[entries++];
        const slow = async (): Promise<void> => {
          await gate?.promise;
          await step.run("c", () => ran.push("c"));
        };
        const quick = async (): Promise<void> => {
          await step.run("a", () => ran.push("a"));
          await step.sleep("nap", 1);
          await step.run("b", () => ran.push("b"));
        };
        await Promise.all([quick(), slow()]);
        return "ok";
      }),
    );
    const started = engine.startRun("app/f");
    gates[0]?.resolve();
    const run = await started;
    await clock.advance(500);
    await replaceWorker();
    await engine.settle(run, "nap");
    await clock.advance(9_000);
    expect(ran).toEqual(["a", "c"]); // "b" waits until it is clear that "c" will be asked for.
    gates[1]?.resolve();
    await turns();
    expect(ran).toEqual(["a", "c", "b"]);
    expect(run.output).toBe("ok");
  });

  it("is not suspected when it returns without asking for all that is recorded", async () => {
    const { run } = await replayedBy(changed(() => "short"));
    expect(run.output).toBe("short");
  });
});
