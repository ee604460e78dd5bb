import { describe, expect, it } from "vitest";
import { eventType } from "../../src/index.js";
import { z } from "zod";
import { bench, eddy, fn } from "../fixtures.js";
import { deferred, turns } from "../manual-clock.js";

const sleeper = fn(async ({ step }) => {
  await step.sleep("nap", 1);
  return "ok";
});

describe("requests", () => {
  it("are dropped when they are not newer than the last of their run, and their slot is freed", async () => {
    const { engine } = await bench(sleeper);
    const run = await engine.startRun("app/f");
    const [first] = engine.requests;
    engine.handlers?.onRequest(first as never);
    await turns();
    expect(engine.reports).toHaveLength(1);
    expect(engine.released).toEqual([{ runId: run.runId, invocation: 1 }]);
  });

  it("that repeat the one at work change nothing", async () => {
    const gate = deferred();
    let ran = 0;
    const { engine } = await bench(fn(({ step }) => step.run("a", () => ((ran += 1), gate.promise))));
    const run = await engine.startRun("app/f");
    engine.handlers?.onRequest(engine.requests[0] as never);
    gate.resolve();
    await turns();
    expect([ran, run.status, engine.released]).toEqual([1, "completed", []]);
  });

  it("supersede an older invocation of the run: its handler stops and its results are not reported", async () => {
    const gates = [deferred<string>(), deferred<string>()];
    let tries = 0;
    const signals: AbortSignal[] = [];
    const { engine } = await bench(
      fn(({ step, signal }) => step.run("a", () => (signals.push(signal), gates[tries++]?.promise))),
    );
    const run = await engine.startRun("app/f");
    await engine.dispatch(run);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    gates[0]?.resolve("old");
    gates[1]?.resolve("new");
    await turns();
    expect(engine.released).toEqual([{ runId: run.runId, invocation: 1 }]);
    expect(engine.story).toEqual(["2 stepCompleted a", "2 returned"]);
    expect(run.output).toBe("new");
  });

  it("wait for a slot, in order, when a lost connection brings more than there are", async () => {
    const gates = [deferred(), deferred(), deferred()];
    let begun = 0;
    const { engine, worker } = await bench(
      fn(({ step }) => step.run("a", () => gates[begun++]?.promise)),
      { slots: 1 },
    );
    const runs = [await engine.startRun("app/f"), await engine.startRun("app/f"), await engine.startRun("app/f")];
    expect([begun, worker.running]).toEqual([1, 3]);
    gates[0]?.resolve();
    await turns();
    expect([begun, runs[0]?.status]).toEqual([2, "completed"]);
    gates[1]?.resolve();
    gates[2]?.resolve();
    await turns();
    expect(runs.map(({ status }) => status)).toEqual(["completed", "completed", "completed"]);
  });

  it("for a function that is not here fail the attempt, not the run: another version may have it", async () => {
    const { engine } = await bench(sleeper);
    const run = await engine.startRun("app/gone");
    expect(engine.reports[0]?.outcome).toMatchObject({
      kind: "threw",
      retriable: true,
      error: { name: "FunctionNotFoundError", message: expect.stringContaining("no function app/gone") },
    });
    expect(run.status).toBe("suspended");
  });

  it("for a run that is over are dropped, and their slot is freed", async () => {
    const { engine, worker } = await bench(sleeper);
    const run = await engine.startRun("app/f");
    engine.handlers?.onRequest({ ...(engine.requests[0] as never as object), invocation: 5, event: null } as never);
    await turns();
    expect(engine.needed).toEqual([{ runId: run.runId, invocation: 5 }]);
    expect(engine.released).toEqual([{ runId: run.runId, invocation: 5 }]);
    expect(worker.running).toBe(0);
  });

  it("fail the run for good when the event does not fit the schema of its trigger", async () => {
    const typed = eventType("test/started", { schema: z.object({ n: z.number() }) });
    const { engine } = await bench(eddy.createFunction({ id: "f", triggers: typed }, ({ event }) => event.data.n + 1));
    const bad = await engine.startRun("app/f", { data: { n: "1" } });
    expect(bad.status).toBe("failed");
    expect(bad.error?.message).toMatch(/^event e1 does not fit the schema of test\/started: data\.n: /);
    const good = await engine.startRun("app/f", { data: { n: 1 } });
    expect(good.output).toBe(2);
  });

  it("end quietly when a report is refused", async () => {
    const { engine, worker, log } = await bench(sleeper);
    engine.acksItself = false;
    const run = await engine.startRun("app/f");
    engine.waiting[0]?.refuse();
    await turns();
    expect([engine.reports.length, worker.running]).toEqual([1, 0]);
    expect(engine.released).toEqual([{ runId: run.runId, invocation: 1 }]);
    expect(log.lines.at(-1)?.[1]).toBe("a report was refused; the invocation ends here");
  });
});

describe("aborts", () => {
  it("stop a run at work: nothing more is reported, and its slot is freed when the step is through", async () => {
    const gate = deferred();
    let signal: AbortSignal | undefined;
    const { engine, worker } = await bench(
      fn(async ({ step }) => {
        await step.run("a", () => ((signal = step.signal), gate.promise));
        await step.run("b", () => 1);
      }),
    );
    const run = await engine.startRun("app/f");
    engine.handlers?.onAbort(run.runId);
    await turns();
    expect([signal?.aborted, worker.running]).toEqual([true, 1]);
    gate.resolve();
    await turns();
    expect([engine.reports, worker.running]).toEqual([[], 0]);
    expect(engine.released).toEqual([{ runId: run.runId, invocation: 1 }]);
  });

  it("forget a suspended handler, and abort its signal", async () => {
    let signal: AbortSignal | undefined;
    const { engine } = await bench(
      fn(async (ctx) => {
        signal = ctx.signal;
        await ctx.step.sleep("nap", 1);
      }),
    );
    const run = await engine.startRun("app/f");
    engine.handlers?.onAbort(run.runId);
    expect(signal?.aborted).toBe(true);
    engine.handlers?.onAbort("unknown");
    expect(engine.released).toEqual([]);
  });

  it("of a run whose outcome is on its way change nothing about its end", async () => {
    const { engine, worker } = await bench(sleeper);
    engine.acksItself = false;
    const run = await engine.startRun("app/f");
    engine.handlers?.onAbort(run.runId);
    await engine.ack();
    expect([worker.running, engine.released]).toEqual([0, []]);
  });

  it("reach a run that waits for its slot", async () => {
    const gate = deferred();
    let begun = 0;
    const { engine, worker } = await bench(
      fn(({ step }) => step.run("a", () => ((begun += 1), gate.promise))),
      { slots: 1 },
    );
    await engine.startRun("app/f");
    const second = await engine.startRun("app/f");
    engine.handlers?.onAbort(second.runId);
    gate.resolve();
    await turns();
    expect([begun, worker.running, engine.released]).toEqual([1, 0, [{ runId: second.runId, invocation: 1 }]]);
  });
});

describe("leases", () => {
  const two = (gate: Promise<unknown>, ran: string[]) =>
    fn(async ({ step }) => {
      await step.run("a", () => (ran.push("a"), gate));
      await step.run("b", () => ran.push("b"));
    });

  it("let a handler go on inline while more than a third is left since delivery", async () => {
    const gate = deferred();
    const ran: string[] = [];
    const { engine, clock } = await bench(two(gate.promise, ran));
    const run = await engine.startRun("app/f");
    await clock.advance(39_999);
    gate.resolve();
    await turns();
    expect([ran, run.status]).toEqual([["a", "b"], "completed"]);
  });

  it("end the invocation quietly at a third: the result is reported, no step begins, the slot is freed", async () => {
    const gate = deferred();
    const ran: string[] = [];
    const { engine, clock, worker } = await bench(two(gate.promise, ran));
    const run = await engine.startRun("app/f");
    await clock.advance(40_000);
    gate.resolve();
    await turns();
    expect([ran, worker.running]).toEqual([["a"], 0]);
    expect(engine.story).toEqual(["1 stepCompleted a"]);
    expect(engine.released).toEqual([{ runId: run.runId, invocation: 1 }]);

    await engine.dispatch(run); // The engine delivers again when the lease is over.
    expect([ran, run.status]).toEqual([["a", "b"], "completed"]);
  });

  it.each([
    [24_999, true],
    [25_000, false],
  ])(
    "are renewed to the time at which an acknowledged heartbeat was sent (%i ms after its ack)",
    async (ms, goesOn) => {
      const gate = deferred();
      const ran: string[] = [];
      const { engine, clock } = await bench(two(gate.promise, ran));
      const run = await engine.startRun("app/f");
      await clock.advance(20_000);
      expect(engine.heartbeats.map(({ running }) => running)).toEqual([[], [{ runId: run.runId, invocation: 1 }]]);
      await clock.advance(15_000);
      engine.heartbeats[1]?.ack();
      await clock.advance(ms);
      gate.resolve();
      await turns();
      expect(ran).toEqual(goesOn ? ["a", "b"] : ["a"]);
    },
  );

  it("that are too short for another step are not renewed while a parallel step ends", async () => {
    const gates = [deferred(), deferred()];
    const { engine, clock } = await bench(
      fn(({ step }) =>
        Promise.all([
          step.run("a", () => gates[0]?.promise).then(() => step.run("b", () => 1)),
          step.run("slow", () => gates[1]?.promise),
        ]),
      ),
    );
    const run = await engine.startRun("app/f");
    await clock.advance(40_000);
    expect(engine.heartbeats.at(-1)?.running).toEqual([{ runId: run.runId, invocation: 1 }]);
    gates[0]?.resolve();
    await turns();
    engine.handlers?.onConnected(engine.terms);
    expect(engine.heartbeats.at(-1)?.running).toEqual([]);
    gates[1]?.resolve();
    await turns();
    expect(engine.story).toEqual(["1 stepCompleted a", "1 stepCompleted slow"]);
  });

  it("that are lost leave the handler where it is, even if the result of its step is taken", async () => {
    const gate = deferred();
    let wentOn = false;
    const { engine, clock } = await bench(
      fn(async ({ step }) => {
        await step.run("a", () => gate.promise);
        wentOn = true;
      }),
    );
    await engine.startRun("app/f");
    await clock.advance(60_000);
    gate.resolve();
    await turns();
    expect([engine.story, wentOn]).toEqual([["1 stepCompleted a"], false]);
  });

  it("that are lost abort the signal; the step's result is still reported, as it may be in time", async () => {
    const gate = deferred();
    let signal: AbortSignal | undefined;
    const { engine, clock, worker } = await bench(
      fn(({ step }) => step.run("a", () => ((signal = step.signal), gate.promise))),
    );
    await engine.startRun("app/f");
    await clock.advance(59_999);
    expect(signal?.aborted).toBe(false);
    await clock.advance(1);
    expect(signal?.aborted).toBe(true);
    await clock.advance(20_000);
    expect(engine.heartbeats.at(-1)?.running).toEqual([]); // Nobody keeps a lost lease alive.
    gate.resolve();
    await turns();
    expect([engine.story, worker.running]).toEqual([["1 stepCompleted a"], 0]);
  });

  it("that were lost are not found again by a late acknowledgement", async () => {
    const gate = deferred();
    const ran: string[] = [];
    const { engine, clock } = await bench(two(gate.promise, ran));
    await engine.startRun("app/f");
    await clock.advance(61_000);
    for (const beat of engine.heartbeats) beat.ack();
    gate.resolve();
    await turns();
    expect(ran).toEqual(["a"]);
  });

  it("are renewed at once after a connection is back; a heartbeat tells too that nothing runs", async () => {
    const gate = deferred();
    const { engine, clock } = await bench(two(gate.promise, []));
    await clock.advance(50_000);
    expect(engine.heartbeats.map(({ running }) => running)).toEqual([[], [], []]);
    const { runId } = await engine.startRun("app/f");
    engine.handlers?.onConnected(engine.terms);
    expect(engine.heartbeats.at(-1)?.running).toEqual([{ runId, invocation: 1 }]);
    engine.heartbeats.at(-1)?.fail();
    await turns();
    gate.resolve();
  });
});

describe("close", () => {
  it("lets the running step end, has its result acknowledged, begins no other, then closes the transport", async () => {
    const gate = deferred();
    const ran: string[] = [];
    const { engine, worker } = await bench(
      fn(async ({ step }) => {
        await step.run("a", () => (ran.push("a"), gate.promise));
        await step.run("b", () => ran.push("b"));
      }),
    );
    const run = await engine.startRun("app/f");
    const closed = worker.close();
    expect([engine.isDraining, engine.isClosed]).toEqual([true, false]);
    gate.resolve();
    await closed;
    expect([ran, engine.story, engine.isClosed]).toEqual([["a"], ["1 stepCompleted a"], true]);
    expect(engine.released).toEqual([{ runId: run.runId, invocation: 1 }]);
  });

  it("still reports how a handler ends that begins no further step", async () => {
    const gate = deferred();
    const { engine, worker } = await bench(
      fn(async ({ step }) => {
        await step.run("a", () => gate.promise);
        await step.sleep("nap", 1);
      }),
    );
    await engine.startRun("app/f");
    const closed = worker.close();
    gate.resolve();
    await closed;
    expect(engine.story).toEqual(["1 stepCompleted a", "1 sleepRequested nap", "1 suspended"]);
  });

  it("waits for `drainMs` at most, and says what it left", async () => {
    const { engine, worker, clock, log } = await bench(fn(({ step }) => step.run("a", () => deferred().promise)));
    const { runId } = await engine.startRun("app/f");
    const closed = worker.close();
    await clock.advance(1_000);
    await closed;
    expect([engine.isClosed, engine.left, clock.timers]).toEqual([true, [{ runId, invocation: 1 }], 0]);
    expect(log.lines).toEqual([[{ app: "app", runs: 1 }, "closing with steps still running"]]);
  });

  it("gives back at the end of `drainMs` what runs no step, whatever its handler does", async () => {
    const own = deferred();
    const { engine, worker, clock, log } = await bench(
      fn(async ({ step }) => {
        await step.run("a", () => 1);
        await own.promise;
        await step.run("b", () => 2);
      }),
    );
    const run = await engine.startRun("app/f");
    const closed = worker.close();
    await clock.advance(999);
    expect(engine.released).toEqual([]);
    await clock.advance(1);
    await closed;
    expect(engine.released).toEqual([{ runId: run.runId, invocation: 1 }]);
    expect([engine.isClosed, engine.left, log.lines]).toEqual([true, [], []]);
  });

  it("sends back what comes after it began, and what waits for a slot", async () => {
    const gate = deferred();
    const { engine, worker } = await bench(
      fn(({ step }) => step.run("a", () => gate.promise)),
      { slots: 1 },
    );
    const working = await engine.startRun("app/f");
    const waiting = await engine.startRun("app/f");
    const closed = worker.close();
    const late = await engine.startRun("app/f");
    gate.resolve();
    await closed;
    expect(engine.released.map(({ runId }) => runId)).toEqual([waiting.runId, late.runId]);
    expect(working.status).toBe("completed");
    expect(worker.close()).toBe(closed);
  });

  it("does not take a report for made that was not acknowledged", async () => {
    const { engine, worker, clock } = await bench(sleeper);
    engine.acksItself = false;
    await engine.startRun("app/f");
    const closed = worker.close();
    await clock.advance(1_000);
    await closed;
    await turns();
    expect(worker.running).toBe(0);
  });
});
