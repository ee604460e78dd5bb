import { describe, expect, it } from "vitest";
import { Eddy, type Handler } from "../../src/index.js";
import { bench } from "../fixtures.js";
import { memoryLogger, turns } from "../manual-clock.js";

/** A handler and what it wrote to its logger. */
function logged(handler: Handler) {
  const logger = memoryLogger();
  const eddy = new Eddy({ id: "app", baseUrl: "http://127.0.0.1:1", logger });
  const fn = eddy.createFunction({ id: "f", triggers: [{ event: "test/started" }] }, handler);
  return { fn, written: () => logger.lines.map(([line]) => line) };
}

describe("a handler's logger", () => {
  it("does not repeat what came before a failed step, also the first; steps log in each attempt", async () => {
    const { fn, written } = logged(async ({ step, logger }) => {
      logger.info("begin");
      await step.run("a", () => {
        const { attempt } = step.current();
        logger.warn(`in a, attempt ${attempt}`);
        if (attempt < 2) throw new Error("not yet");
      });
      logger.error("after a");
      await step.run("b", () => {
        const { attempt } = step.current();
        logger.debug(`in b, attempt ${attempt}`);
        if (attempt < 1) throw new Error("not yet");
      });
      logger.info("end");
    });
    const { engine } = await bench(fn);
    const run = await engine.startRun("app/f");
    await engine.retry(run, "a");
    await engine.retry(run, "a");
    await engine.retry(run, "b");
    expect(run.status).toBe("completed");
    expect(written()).toEqual([
      ...["begin", "in a, attempt 0", "in a, attempt 1", "in a, attempt 2"],
      ...["after a", "in b, attempt 0", "in b, attempt 1", "end"],
    ]);
  });

  it("does not repeat lines on another worker, while a step waits in another branch", async () => {
    const { fn, written } = logged(async ({ step, logger }) => {
      const branch = async () => {
        logger.info("before the nap");
        await step.sleep("nap", "1h");
        logger.info("after the nap");
      };
      const other = async () => {
        const reply = await step.waitForEvent("reply", { event: "reply", timeout: "1h" });
        logger.info(`reply: ${reply?.id}`);
        await step.run("note", () => logger.info("in note"));
        logger.info("noted");
      };
      await Promise.all([branch(), other()]);
    });
    const { engine, clock, replaceWorker } = await bench(fn);
    const run = await engine.startRun("app/f");
    await replaceWorker();
    await engine.settle(run, "reply", { name: "reply", id: "r1", ts: 2, data: {} });
    await clock.advance(500); // The branch that is through might have work of its own.
    await replaceWorker();
    await engine.settle(run, "nap");
    expect(written()).toEqual(["before the nap", "reply: r1", "in note", "noted", "after the nap"]);
  });

  it("is heard again once a step runs, although newer code has left out a step that waits", async () => {
    const { fn, written } = logged(async ({ step, logger }) => {
      logger.info("begin");
      await step.run("new", () => logger.info("in new"));
      logger.info("end");
    });
    const { engine } = await bench(fn);
    engine.handlers?.onRequest({
      ...{ app: "app", functionId: "app/f", runId: "00a-run-9", invocation: 2, attempt: 0, maxAttempts: 3 },
      ...{ stepAttempts: [], memo: [], memoTotal: 0, pending: ["gone"], withdrawn: [] },
      event: new TextEncoder().encode(JSON.stringify({ name: "test/started", id: "e", ts: 1, data: {} })),
    });
    await turns();
    expect(written()).toEqual(["in new", "end"]);
  });
});
