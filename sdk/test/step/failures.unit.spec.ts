import { describe, expect, it } from "vitest";
import { NonRetriableError, RetryAfterError, StepError } from "../../src/index.js";
import { bench, fn } from "../fixtures.js";

describe("failures", () => {
  it("has a failed step tried again, with its attempt counted, and remembers what worked", async () => {
    const attempts: number[] = [];
    const ran: string[] = [];
    const { engine } = await bench(
      fn(async ({ step, attempt, maxAttempts }) => {
        attempts.push(attempt);
        await step.run("good", () => void ran.push("good"));
        return step.run("bad", () => {
          ran.push(`bad ${step.current().attempt}`);
          if (step.current().attempt < 2) throw new TypeError(`no ${step.current().attempt}`);
          return maxAttempts;
        });
      }),
    );
    const run = await engine.startRun("app/f");
    expect(engine.reports.at(-1)).toMatchObject({
      ops: [
        {
          kind: "stepFailed",
          stepId: "bad",
          retriable: true,
          retryAfter: null,
          error: { name: "TypeError", message: "no 0" },
        },
      ],
      outcome: { kind: "suspended" },
    });
    await engine.retry(run, "bad");
    await engine.retry(run, "bad");
    expect(run.output).toBe(3);
    expect(ran).toEqual(["good", "bad 0", "bad 1", "bad 2"]);
    expect(attempts).toEqual([0, 1, 2]);
    expect(engine.needed).toEqual([]);
  });

  it("rejects with a StepError that the handler can catch once the attempts are used up", async () => {
    const { engine } = await bench(
      fn(async ({ step }) => {
        try {
          await step.run("bad", () => {
            throw new RangeError("too far", { cause: new Error("because") });
          });
        } catch (error) {
          const is = error instanceof StepError;
          const { name, message, stepId, stack } = error as StepError;
          return { is, name, message, stepId, told: stack?.includes("[cause]: Error: because") };
        }
        return null;
      }),
    );
    const run = await engine.startRun("app/f");
    await engine.retry(run, "bad");
    await engine.retry(run, "bad");
    expect(run.output).toEqual({ is: true, name: "RangeError", message: "too far", stepId: "bad", told: true });
  });

  it("fails the run at once when a StepError is not caught", async () => {
    const { engine } = await bench(
      fn(({ step }) =>
        step.run("bad", () => {
          throw new NonRetriableError("never");
        }),
      ),
    );
    const run = await engine.startRun("app/f");
    expect(engine.story).toEqual(["1 stepFailed bad", "1 suspended", "2 threw"]);
    expect(engine.reports.at(-1)?.outcome).toMatchObject({ retriable: false, error: { message: "never" } });
    expect(run.status).toBe("failed");
  });

  it.each<[string, () => unknown, object]>([
    ["an error", () => new Error("x"), { retriable: true, retryAfter: null, error: { name: "Error", message: "x" } }],
    [
      "a NonRetriableError",
      () => new NonRetriableError("x"),
      { retriable: false, error: { name: "NonRetriableError" } },
    ],
    [
      "a RetryAfterError in text",
      () => new RetryAfterError("x", "90s"),
      { retriable: true, retryAfter: { ms: 90_000 } },
    ],
    ["a RetryAfterError in ms", () => new RetryAfterError("x", 5), { retriable: true, retryAfter: { ms: 5 } }],
    ["a RetryAfterError with a date", () => new RetryAfterError("x", new Date(9)), { retryAfter: { atMs: 9 } }],
    ["text", () => "broken", { retriable: true, error: { name: "Error", message: "broken", stack: null } }],
    ["nothing", () => undefined, { retriable: true, error: { name: "Error", message: "undefined", stack: null } }],
    [
      "an object",
      () => ({ code: 7 }),
      { retriable: true, error: { name: "Error", message: "{ code: 7 }", stack: null } },
    ],
    [
      "an error of another realm",
      () => ({ name: "E", message: "m" }),
      { error: { name: "E", message: "m", stack: null } },
    ],
  ])("tells the engine of %s thrown by a step, and by a handler", async (_, make, expected) => {
    const thrower = fn(() => {
      throw make();
    }, "handler");
    const stepper = fn(({ step }) => step.run("s", () => Promise.reject(make() as Error)), "step");
    const { engine } = await bench([thrower, stepper]);
    await engine.startRun("app/handler");
    expect(engine.reports.at(-1)?.outcome).toMatchObject({ kind: "threw", ...expected });
    await engine.startRun("app/step");
    const op = engine.reports.flatMap(({ ops }) => ops).find(({ kind }) => kind === "stepFailed");
    expect(op).toMatchObject({ stepId: "s", ...expected });
  });

  it("re-enters a handler that threw, with its attempt and what it has recorded", async () => {
    const attempts: number[] = [];
    let ran = 0;
    const { engine } = await bench(
      fn(async ({ step, attempt }) => {
        attempts.push(attempt);
        await step.run("once", () => (ran += 1));
        if (attempt < 1) throw new Error("again");
        return "ok";
      }),
    );
    const run = await engine.startRun("app/f");
    expect(run.status).toBe("suspended");
    await engine.retry(run, "");
    expect([run.output, ran, attempts, engine.needed]).toEqual(["ok", 1, [0, 1], []]);
  });

  it("does not end the process for a failed step that the handler never looks at", async () => {
    const { engine, clock } = await bench(
      fn(async ({ step }) => {
        void step.run("ignored", () => Promise.reject(new NonRetriableError("x")));
        await step.sleep("s", 1);
        return "ok";
      }),
    );
    const run = await engine.startRun("app/f");
    await clock.advance(500);
    await engine.settle(run, "s");
    expect(run.output).toBe("ok");
  });
});
