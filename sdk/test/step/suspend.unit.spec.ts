/** When an invocation ends: S3 to S5 of step/session.ts. */
import { describe, expect, it } from "vitest";
import { bench, fn } from "../fixtures.js";
import { deferred, turns } from "../manual-clock.js";

const wait = { event: "x", timeout: "24h", match: "id" } as const;

describe("parallel steps", () => {
  it("run at the same time; results that come together travel together", async () => {
    const ends = [deferred<string>(), deferred<string>(), deferred<string>()];
    const started: number[] = [];
    const { engine } = await bench(
      fn(({ step }) => Promise.all(ends.map((end, i) => step.run(`s${i}`, () => (started.push(i), end.promise))))),
    );
    const run = await engine.startRun("app/f");
    expect(started).toEqual([0, 1, 2]);
    ends[2]?.resolve("c");
    await turns();
    ends[0]?.resolve("a");
    ends[1]?.resolve("b");
    await turns();
    expect(engine.story).toEqual(["1 stepCompleted s2", "1 stepCompleted s0", "1 stepCompleted s1", "1 returned"]);
    expect(engine.reports).toHaveLength(3);
    expect(run.output).toEqual(["a", "b", "c"]);
  });

  it("have one report on the way at most, in the order of their results", async () => {
    const ends = [deferred(), deferred()];
    const { engine } = await bench(
      fn(({ step }) => Promise.all(ends.map((end, i) => step.run(`s${i}`, () => end.promise)))),
    );
    engine.acksItself = false;
    await engine.startRun("app/f");
    ends[1]?.resolve();
    await turns();
    ends[0]?.resolve();
    await turns();
    expect(engine.story).toEqual(["1 stepCompleted s1"]);
    await engine.ack();
    expect(engine.story).toEqual(["1 stepCompleted s1", "1 stepCompleted s0"]);
  });

  it("reach the handler in the order in which the log has them, also when it is re-entered elsewhere", async () => {
    const ends = [deferred(), deferred(), deferred(), deferred()];
    const lives: string[][] = [];
    const { engine, clock, replaceWorker } = await bench(
      fn(async ({ step }) => {
        const seen: string[] = [];
        lives.push(seen);
        await Promise.all(ends.map((end, i) => step.run(`s${i}`, () => end.promise).then(() => seen.push(`s${i}`))));
        await step.sleep("nap", 1);
        return seen;
      }),
    );
    engine.acksItself = false;
    const run = await engine.startRun("app/f");
    for (const i of [2, 3, 0, 1]) {
      ends[i]?.resolve();
      await turns();
    }
    await engine.ack();
    engine.acksItself = true;
    await engine.ack();
    await clock.advance(500);
    const logged = run.memo.map(({ stepId }) => stepId);
    expect(logged).toEqual(["s2", "s3", "s0", "s1"]);
    await replaceWorker();
    await engine.settle(run, "nap");
    expect([lives, run.output]).toEqual([[logged, logged], logged]);
  });

  it("ask for a wait before a running step has ended, so that its time begins", async () => {
    const slow = deferred();
    const { engine } = await bench(
      fn(({ step }) => Promise.all([step.waitForEvent("w", wait), step.run("slow", () => slow.promise)])),
    );
    await engine.startRun("app/f");
    expect(engine.story).toEqual(["1 waitRequested w"]);
    slow.resolve();
    await turns();
    expect(engine.story).toEqual(["1 waitRequested w", "1 stepCompleted slow"]);
  });

  it("that fail are told before the others have ended", async () => {
    const slow = deferred();
    const { engine } = await bench(
      fn(({ step }) =>
        Promise.all([step.run("bad", () => Promise.reject(new Error("x"))), step.run("slow", () => slow.promise)]),
      ),
    );
    await engine.startRun("app/f");
    expect(engine.story).toEqual(["1 stepFailed bad"]);
    slow.resolve();
    await turns();
    expect(engine.story).toEqual(["1 stepFailed bad", "1 stepCompleted slow"]);
  });

  it("go on in branches of their own", async () => {
    const { engine } = await bench(
      fn(async ({ step }) => {
        const branch = async (name: string): Promise<string> => {
          const reply = await step.waitForEvent(`wait-${name}`, wait);
          return step.run(`after-${name}`, () => `${name} ${String(reply?.data.n)}`);
        };
        return Promise.all([branch("a"), branch("b")]);
      }),
    );
    const run = await engine.startRun("app/f");
    expect(engine.story).toEqual(["1 waitRequested wait-a", "1 waitRequested wait-b", "1 suspended"]);
    await engine.settle(run, "wait-b", { name: "x", id: "e2", ts: 2, data: { n: 2 } });
    expect(engine.story.slice(3)).toEqual(["2 stepCompleted after-b"]);
  });

  it("that lose a race are left behind when the run ends: aborted, and not reported", async () => {
    const slow = deferred();
    let signal: AbortSignal | undefined;
    const { engine, worker } = await bench(
      fn(({ step }) =>
        Promise.race([
          step.run("slow", () => ((signal = step.current().signal), slow.promise)),
          step.run("fast", () => "fast"),
        ]),
      ),
    );
    const run = await engine.startRun("app/f");
    expect(run.output).toBe("fast");
    expect([signal?.aborted, worker.running]).toEqual([true, 0]);
    slow.resolve();
    await turns();
    expect(engine.story).toEqual(["1 stepCompleted fast", "1 returned"]);
  });
});

it("a handler that has ended asks for nothing more", async () => {
  const ran: string[] = [];
  const { engine } = await bench(
    fn(({ step }) => {
      const soon = async (): Promise<void> => {
        for (let i = 0; i < 20; i++) await Promise.resolve();
        await step.run("late", () => ran.push("late"));
      };
      void soon();
      return "done";
    }),
  );
  const run = await engine.startRun("app/f");
  expect([run.output, ran, engine.story]).toEqual(["done", [], ["1 returned"]]);
});

describe("an invocation with a held step", () => {
  it("ends at once when everything that the handler got was answered by a step", async () => {
    const { engine, clock } = await bench(
      fn(async ({ step }) => {
        await step.run("a", () => 1);
        await step.waitForEvent("w", wait);
      }),
    );
    const run = await engine.startRun("app/f");
    expect(engine.story).toEqual(["1 stepCompleted a", "1 waitRequested w", "1 suspended"]);
    expect([run.status, clock.timers]).toEqual(["suspended", 1]); // One timer: the next heartbeat.
  });

  it("gives a handler that may be at work beside the held step its grace, then ends", async () => {
    const { engine, clock } = await bench(
      fn(async ({ step }) => {
        const [first] = await Promise.all([step.run("a", () => 1), step.waitForEvent("w", wait)]);
        return first;
      }),
    );
    const run = await engine.startRun("app/f");
    expect(engine.story).toEqual(["1 waitRequested w", "1 stepCompleted a"]);
    await clock.advance(499);
    expect(run.status).toBe("running");
    await clock.advance(1);
    expect(engine.story.slice(2)).toEqual(["1 suspended"]);
    await engine.settle(run, "w");
    expect(run.output).toBe(1);
  });

  it("goes on in the same invocation when ordinary work beside a lost race ends within the grace", async () => {
    const fetching = deferred();
    const { engine, clock } = await bench(
      fn(async ({ step }) => {
        await Promise.race([step.waitForEvent("w", wait), step.run("quick", () => 1)]);
        await fetching.promise;
        return step.run("after", () => "done");
      }),
    );
    const run = await engine.startRun("app/f");
    await clock.advance(400);
    fetching.resolve();
    await turns();
    expect(engine.story).toEqual(["1 waitRequested w", "1 stepCompleted quick", "1 stepCompleted after", "1 returned"]);
    expect(run.output).toBe("done");
  });

  it("S3: reports nothing after its end; a step asked for later is taken up by the next invocation", async () => {
    const fetching = deferred();
    const ran: string[] = [];
    const { engine, clock } = await bench(
      fn(async ({ step }) => {
        const late = fetching.promise.then(() => step.run("late", () => ran.push("late")));
        await step.waitForEvent("w", wait);
        await late;
        return "done";
      }),
    );
    const run = await engine.startRun("app/f");
    expect(run.status).toBe("suspended");
    fetching.resolve();
    await clock.advance(60_000);
    expect([ran, engine.reports.length]).toEqual([[], 1]);
    await engine.settle(run, "w");
    expect(ran).toEqual(["late"]);
    expect(engine.story).toEqual(["1 waitRequested w", "1 suspended", "2 stepCompleted late", "2 returned"]);
  });

  it("S3: a handler that returns after the end of its invocation is heard in the next", async () => {
    const fetching = deferred();
    const { engine } = await bench(
      fn(({ step }) => Promise.race([step.waitForEvent("w", wait), fetching.promise.then(() => "own work")])),
    );
    const run = await engine.startRun("app/f");
    fetching.resolve();
    await turns();
    expect(engine.reports).toHaveLength(1);
    await engine.settle(run, "w");
    expect([run.status, run.output]).toEqual(["completed", "own work"]);
  });

  it("asks again for what it waits for, unless the request says that the engine holds it", async () => {
    const handler = fn(({ step }) => Promise.all(["a", "b"].map((id) => step.waitForEvent(id, wait))));
    const told = await bench(handler);
    const first = await told.engine.startRun("app/f");
    await told.engine.settle(first, "a");
    await told.clock.advance(500);
    expect(told.engine.story).toEqual(["1 waitRequested a", "1 waitRequested b", "1 suspended", "2 suspended"]);

    const untold = await bench(handler);
    untold.engine.tellsPending = false;
    const second = await untold.engine.startRun("app/f");
    await untold.engine.settle(second, "a");
    await untold.clock.advance(500);
    expect(untold.engine.story.slice(3)).toEqual(["2 waitRequested b", "2 suspended"]);
    await untold.engine.settle(second, "b");
    expect(second.output).toEqual([null, null]);
  });

  it("does not try a failed step again that the engine holds back", async () => {
    const tries: string[] = [];
    const { engine, clock } = await bench(
      fn(({ step }) =>
        Promise.all([
          step.waitForEvent("w", wait),
          step.run("bad", () => {
            tries.push(`attempt ${step.current().attempt}`);
            if (step.current().attempt === 0) throw new Error("x");
          }),
        ]),
      ),
    );
    const run = await engine.startRun("app/f");
    await engine.settle(run, "w");
    await clock.advance(500);
    expect(tries).toEqual(["attempt 0"]);
    await engine.retry(run, "bad");
    expect(tries).toEqual(["attempt 0", "attempt 1"]);
    expect(run.status).toBe("completed");
  });

  it("is told of what was settled while it ran by a next invocation", async () => {
    const slow = deferred();
    const { engine } = await bench(
      fn(({ step }) => Promise.all([step.sleep("nap", "1s"), step.run("slow", () => slow.promise)])),
    );
    const run = await engine.startRun("app/f");
    engine.settleOnly(run, "nap");
    slow.resolve();
    await turns();
    expect(run.status).toBe("running"); // In its grace.
  });
});
