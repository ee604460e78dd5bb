import { describe, expect, it } from "vitest";
import { bench, eddy, fn } from "../fixtures.js";
import { turns } from "../manual-clock.js";

describe("requests that overtake the acknowledgement of the outcome before", () => {
  const begin = async () => {
    const seen = { entries: 0, signal: undefined as AbortSignal | undefined };
    const twoSteps = eddy.createFunction(
      { id: "f", strict: true, triggers: [{ event: "test/started" }] },
      async ({ step, signal }) => {
        seen.entries += 1;
        seen.signal = signal;
        return (await step.run("a", () => 1)) + (await step.run("b", () => 1));
      },
    );
    const { engine, worker } = await bench(twoSteps);
    engine.acksItself = false;
    const run = await engine.startRun("app/f");
    const next = { ...engine.requests[0], invocation: 2, event: null, memo: [], memoTotal: 1 };
    engine.handlers?.onRequest(next as never);
    await turns();
    return { engine, worker, run, seen };
  };

  it("wait for it, and go on with the same handler", async () => {
    const { engine, worker, run, seen } = await begin();
    expect([worker.running, engine.story, seen.signal?.aborted]).toEqual([
      1,
      ["1 stepCompleted a", "1 yielded"],
      false,
    ]);
    engine.acksItself = true;
    await engine.ack();
    await turns();
    expect([run.output, seen.entries, engine.needed]).toEqual([2, 1, []]);
  });

  it("do not begin if the run is cancelled meanwhile", async () => {
    const { engine, worker, run, seen } = await begin();
    engine.handlers?.onAbort(run.runId);
    engine.dispatchesYielded = false;
    await engine.ack();
    await turns();
    expect([worker.running, seen.signal?.aborted]).toEqual([0, true]);
    expect(engine.released).toEqual([{ runId: run.runId, invocation: 2 }]);
    expect(engine.story.filter((line) => line.startsWith("2"))).toEqual([]);
  });

  it("are sent back when the worker closes", async () => {
    const { engine, worker, run } = await begin();
    await worker.close();
    expect(engine.released[0]).toEqual({ runId: run.runId, invocation: 2 });
    expect(worker.running).toBe(0);
  });

  it("begin from what the engine has if it never comes", async () => {
    const { engine, run } = await begin();
    engine.waiting[0]?.refuse();
    await turns();
    expect(engine.released[0]).toEqual({ runId: run.runId, invocation: 1 });
    expect(engine.needed).toEqual([{ runId: run.runId, invocation: 2 }]);
  });
});

describe("aborts", () => {
  it("that come between the end of a step and its report free the slot too", async () => {
    const { engine, worker } = await bench(
      fn(async ({ step }) => {
        await step.run("a", () => {
          void inSomeMicrotasks(() => engine.handlers?.onAbort("00a-run-1"));
          return 1;
        });
      }),
    );
    await engine.startRun("app/f");
    expect([engine.reports, worker.running]).toEqual([[], 0]);
    expect(engine.released).toEqual([{ runId: "00a-run-1", invocation: 1 }]);
  });
});

/** Late enough for a step that returns at once to have ended, and before the next turn of the event loop. */
async function inSomeMicrotasks(then: () => void): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
  then();
}
