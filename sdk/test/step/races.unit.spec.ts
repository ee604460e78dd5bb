/** S7 of step/session.ts: the losing side of a race is withdrawn. */
import { describe, expect, it } from "vitest";
import { stepReport } from "@eddy/schemas";
import { NonRetriableError, type Handler, type Steps } from "../../src/index.js";
import { bench, fn } from "../fixtures.js";
import { deferred, turns } from "../manual-clock.js";

const wait = (step: Steps, id: string) => step.waitForEvent(id, { event: "x", timeout: "24h", match: "id" });
const EVENT = { name: "x", id: "e2", ts: 2, data: { n: 1 } };

/** Plays it with the handler kept in memory, and with one that is re-entered for every invocation. */
async function bothWays(handler: Handler, play: (b: Awaited<ReturnType<typeof bench>>) => Promise<void>) {
  for (const suspendedMax of [10, 0]) {
    const b = await bench(fn(handler));
    if (suspendedMax > 0) await play(b);
    else await play({ ...b, engine: forgetful(b) });
    for (const report of b.engine.reports) expect(stepReport.parse(report)).toEqual(report);
  }
}
/** Each dispatch after the first goes to a worker that knows nothing. */
function forgetful({ engine, replaceWorker }: Awaited<ReturnType<typeof bench>>) {
  const settle = engine.settle.bind(engine);
  engine.settle = async (...args) => {
    await replaceWorker();
    await settle(...args);
  };
  return engine;
}

describe("a sleep or wait that lost its race", () => {
  it("is withdrawn when the handler next waits, before what it asks for then", async () => {
    await bothWays(
      async ({ step }) => {
        const winner = await Promise.race([wait(step, "w"), step.sleep("s", "1h").then(() => "late")]);
        const second = await Promise.race([step.sleep("t", "1h"), wait(step, "v")]);
        return [winner, (await wait(step, "u"))?.data.n ?? null, second];
      },
      async ({ engine }) => {
        const run = await engine.startRun("app/f");
        await engine.settle(run, "w", EVENT);
        // `.then` is somebody who waits: the sleep stays.
        expect(engine.story.filter((line) => line.startsWith("2"))).not.toContain("2 withdrawn s");
        engine.reports.length = 0;
        await engine.settle(run, "t");
        expect(engine.story).toEqual(["3 withdrawn v", "3 waitRequested u", "3 suspended"]);
        expect([...run.withdrawn]).toEqual(["v"]);
        engine.reports.length = 0;
        await engine.settle(run, "u", EVENT);
        expect(engine.story).toEqual(["4 returned"]);
        expect(run.output).toMatchObject([EVENT, 1, null]);
      },
    );
  });

  it.each(["race", "any"] as const)("is withdrawn after a step won in %s, in the same invocation", async (how) => {
    await bothWays(
      async ({ step }) => {
        await Promise[how]([wait(step, "w"), step.run("quick", () => 1)]);
        await step.sleep("s", 1);
        return "ok";
      },
      async ({ engine }) => {
        const run = await engine.startRun("app/f");
        expect(engine.story.slice(2)).toEqual(["1 withdrawn w", "1 sleepRequested s", "1 suspended"]);
        await engine.settle(run, "s");
        expect(run.output).toBe("ok");
      },
    );
  });

  it("stays while any has only heard of failures", async () => {
    await bothWays(
      async ({ step }) => {
        const bad = step.run("bad", () => {
          throw new NonRetriableError("no");
        });
        return (await Promise.any([wait(step, "w"), bad]))?.data.n;
      },
      async ({ engine, clock }) => {
        const run = await engine.startRun("app/f");
        await clock.advance(500);
        expect([...run.pending.keys()]).toEqual(["w"]);
        await engine.settle(run, "w", EVENT);
        expect(run.output).toBe(1);
      },
    );
  });

  it("is withdrawn inside of all, while the rest of it goes on", async () => {
    await bothWays(
      ({ step }) =>
        Promise.all([
          Promise.race([wait(step, "w1"), step.sleep("s1", 1)]).then(() => "raced"),
          wait(step, "w2").then((reply) => reply?.data.n as number),
        ]),
      async ({ engine, clock }) => {
        const run = await engine.startRun("app/f");
        await engine.settle(run, "s1");
        await clock.advance(500);
        expect(engine.story.slice(4)).toEqual(["2 withdrawn w1", "2 suspended"]);
        expect([...run.pending.keys()]).toEqual(["w2"]);
        await engine.settle(run, "w2", EVENT);
        expect(run.output).toEqual(["raced", 1]);
      },
    );
  });

  it("keeps its place when awaited in the same breath, and begins anew when awaited after its withdrawal", async () => {
    await bothWays(
      async ({ step }) => {
        const w = wait(step, "w");
        await Promise.race([w, step.sleep("s", 1)]);
        return (await w)?.data.n;
      },
      async ({ engine, clock }) => {
        const run = await engine.startRun("app/f");
        await engine.settle(run, "s");
        await clock.advance(500);
        expect(engine.story.slice(3)).toEqual(["2 suspended"]);
        await engine.settle(run, "w", EVENT);
        expect(run.output).toBe(1);
      },
    );
    await bothWays(
      async ({ step }) => {
        const w = wait(step, "w");
        await Promise.race([w, step.sleep("s", 1)]);
        await step.sleep("t", 1);
        const n = (await w)?.data.n as number;
        await step.sleep("u", 1);
        return n;
      },
      async ({ engine, clock }) => {
        const run = await engine.startRun("app/f");
        await engine.settle(run, "s");
        expect(engine.story.slice(3)).toEqual(["2 withdrawn w", "2 sleepRequested t", "2 suspended"]);
        await engine.settle(run, "t");
        await clock.advance(500);
        expect(engine.story.slice(6)).toEqual(["3 waitRequested w", "3 suspended"]);
        expect([[...run.pending.keys()], [...run.withdrawn]]).toEqual([["w"], []]);
        await engine.settle(run, "w", EVENT);
        await engine.settle(run, "u");
        expect(run.output).toBe(1);
      },
    );
  });

  it("got its event all the same when that was faster than its withdrawal", async () => {
    await bothWays(
      async ({ step }) => {
        const first = await Promise.race([wait(step, "w"), step.sleep("s", 1)]);
        await step.sleep("t", 1);
        return first ?? "slept";
      },
      async ({ engine }) => {
        const run = await engine.startRun("app/f");
        engine.settleOnly(run, "s");
        engine.settleOnly(run, "w", EVENT);
        await engine.dispatch(run);
        await engine.settle(run, "t");
        expect(run.output).toBe("slept");
      },
    );
  });

  it("is left alone where the engine does not tell what it gave up: asked for and withdrawn once more", async () => {
    const { engine, replaceWorker } = await bench(
      fn(async ({ step }) => {
        await Promise.race([wait(step, "w"), step.sleep("s", 1)]);
        await step.sleep("t", 1);
        await step.sleep("u", 1);
      }),
    );
    engine.tellsPending = false;
    const run = await engine.startRun("app/f");
    await engine.settle(run, "s");
    await replaceWorker();
    await engine.settle(run, "t");
    expect(engine.story.slice(6)).toEqual(["3 withdrawn w", "3 sleepRequested u", "3 suspended"]);
    await engine.settle(run, "u");
    expect(run.status).toBe("completed");
  });
});

describe("a handler with nothing but lost steps", () => {
  it("does work of its own: its invocation stays open, however long", async () => {
    const fetching = deferred();
    const { engine, clock } = await bench(
      fn(async ({ step }) => {
        await Promise.race([wait(step, "w"), step.run("quick", () => 1)]);
        await fetching.promise;
        return step.run("after", () => "done");
      }),
    );
    const run = await engine.startRun("app/f");
    await clock.advance(30_000);
    expect(run.status).toBe("running");
    fetching.resolve();
    await turns();
    expect(engine.story.slice(2)).toEqual(["1 stepCompleted after", "1 returned"]);
  });

  it("suspends for one of them once somebody waits for it again, though no step was asked for", async () => {
    const fetching = deferred();
    const { engine, clock } = await bench(
      fn(async ({ step }) => {
        const w = wait(step, "w");
        await Promise.race([w, step.run("quick", () => 1)]);
        await fetching.promise;
        return (await w)?.data.n;
      }),
    );
    const run = await engine.startRun("app/f");
    await clock.advance(30_000);
    fetching.resolve();
    await turns();
    await clock.advance(500);
    expect(engine.story.slice(2)).toEqual(["1 suspended"]);
    await engine.settle(run, "w", EVENT);
    expect(run.output).toBe(1);
  });
});

describe("who won is decided once", () => {
  it("by the order in which results were recorded, not in which steps were asked for", async () => {
    await bothWays(
      async ({ step }) => {
        const winner = await Promise.race([wait(step, "a").then(() => "a"), wait(step, "b").then(() => "b")]);
        await step.sleep("s", 1);
        return winner;
      },
      async ({ engine, clock }) => {
        const run = await engine.startRun("app/f");
        engine.settleOnly(run, "b", EVENT);
        engine.settleOnly(run, "a", EVENT);
        await engine.dispatch(run);
        await clock.advance(500);
        await engine.settle(run, "s");
        expect(run.output).toBe("b");
      },
    );
  });

  it("also where the first result needs more turns than the second to reach the race", async () => {
    await bothWays(
      async ({ step }) => {
        const slowly = async (): Promise<string> => {
          await wait(step, "a");
          for (let i = 0; i < 50; i++) await Promise.resolve();
          return "a";
        };
        const winner = await Promise.race([slowly(), wait(step, "b").then(() => "b")]);
        await step.sleep("s", 1);
        return winner;
      },
      async ({ engine, clock }) => {
        const run = await engine.startRun("app/f");
        engine.settleOnly(run, "a", EVENT);
        engine.settleOnly(run, "b", EVENT);
        await engine.dispatch(run);
        await clock.advance(500);
        await engine.settle(run, "s");
        expect(run.output).toBe("a");
      },
    );
  });

  it("a result of this worker goes before what was settled elsewhere while it ran", async () => {
    const slow = deferred();
    await bothWays(
      async ({ step }) => {
        const winner = await Promise.race([
          wait(step, "w").then(() => "w"),
          step.run("r", () => slow.promise).then(() => "r"),
        ]);
        await step.sleep("s", 1);
        return winner;
      },
      async ({ engine, clock }) => {
        const run = await engine.startRun("app/f");
        engine.settleOnly(run, "w", EVENT);
        slow.resolve();
        await turns();
        await clock.advance(500);
        expect(run.memo.map(({ stepId }) => stepId)).toEqual(["r", "w"]);
        await engine.settle(run, "s");
        expect(run.output).toBe("r");
      },
    );
  });
});
