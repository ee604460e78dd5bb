import { describe, expect, it } from "vitest";
import { stepReport } from "@eddy/schemas";
import type { Steps } from "../../src/index.js";
import { bench, fn } from "../fixtures.js";
import { deferred, turns } from "../manual-clock.js";

describe("inline continuation", () => {
  it("runs step after step in one invocation, each after the acknowledgement of the one before", async () => {
    const done: string[] = [];
    const { engine } = await bench(
      fn(async ({ step }) => {
        const a = await step.run("a", () => (done.push("a"), 1));
        const b = await step.run("b", () => (done.push("b"), a + 1));
        return { b };
      }),
    );
    engine.acksItself = false;
    const run = await engine.startRun("app/f");
    expect(done).toEqual(["a"]);
    await engine.ack();
    expect(done).toEqual(["a", "b"]);
    await engine.ack();
    await engine.ack();
    expect(engine.story).toEqual(["1 stepCompleted a", "1 stepCompleted b", "1 returned"]);
    expect(run.status).toBe("completed");
    expect(run.output).toEqual({ b: 2 });
  });

  it("ends the invocation at a wait and goes on in the same closure when the engine has settled it", async () => {
    let entries = 0;
    const { engine } = await bench(
      fn(async ({ step }) => {
        entries += 1;
        const reply = await step.waitForEvent("wait", { event: "reply", timeout: "1h", match: "data.k" });
        return reply === null ? "nothing" : reply.data.text;
      }),
    );
    const run = await engine.startRun("app/f", { data: { k: 7 } });
    expect(engine.reports).toEqual([
      {
        runId: run.runId,
        invocation: 1,
        ops: [
          {
            kind: "waitRequested",
            stepId: "wait",
            event: "reply",
            match: "data.k",
            if: null,
            value: "n:7",
            since: "mark",
            timeout: { ms: 3_600_000 },
          },
        ],
        outcome: { kind: "suspended" },
      },
    ]);
    await engine.settle(run, "wait", { name: "reply", id: "e2", ts: 2, data: { k: 7, text: "yes" } });
    expect(run.output).toBe("yes");
    expect(entries).toBe(1);
    expect(engine.needed).toEqual([]);
  });

  it("gives null when a wait timed out, and undefined after a sleep", async () => {
    const { engine } = await bench(
      fn(async ({ step }) => {
        const slept: unknown = await step.sleep("nap", "5m");
        await step.sleepUntil("until", new Date(9_000));
        return [slept === undefined, await step.waitForEvent("w", { event: "x", timeout: 5, match: "id" })];
      }),
    );
    const run = await engine.startRun("app/f");
    await engine.settle(run, "nap");
    await engine.settle(run, "until");
    await engine.settle(run, "w");
    expect(run.output).toEqual([true, null]);
    expect(engine.reports.flatMap(({ ops }) => ops)).toMatchObject([
      { kind: "sleepRequested", stepId: "nap", until: { ms: 300_000 } },
      { kind: "sleepRequested", stepId: "until", until: { atMs: 9_000 } },
      { kind: "waitRequested", stepId: "w", timeout: { ms: 5 }, value: "s:e1" },
    ]);
  });

  it("stays open while the handler does ordinary work between steps, however long", async () => {
    const fetching = deferred<string>();
    const { engine, clock } = await bench(
      fn(async ({ step }) => {
        await step.run("a", () => 1);
        const page = await fetching.promise;
        return step.run("b", () => page);
      }),
    );
    const run = await engine.startRun("app/f");
    await clock.advance(30_000);
    expect(engine.story).toEqual(["1 stepCompleted a"]);
    fetching.resolve("page");
    await turns();
    expect(engine.story).toEqual(["1 stepCompleted a", "1 stepCompleted b", "1 returned"]);
    expect(run.output).toBe("page");
  });

  it("reports the value at the match path as canonical text, and null where there is none", async () => {
    const { engine } = await bench(
      fn(({ step }) =>
        Promise.all(
          ["data.text", "data.no", "data.list", "data.yes"].map((match) =>
            step.waitForEvent(match, { event: "x", timeout: "1h", match }),
          ),
        ),
      ),
    );
    await engine.startRun("app/f", { data: { text: "1", list: [1], yes: true } });
    expect(engine.reports[0]?.ops.map((op) => op.kind === "waitRequested" && op.value)).toEqual([
      "s:1",
      null,
      null,
      "b:1",
    ]);
  });
});

describe("a wait", () => {
  const given = { data: { id: "o1", total: 5 } };
  it.each<[string, object, object]>([
    ["a match", { match: "data.id" }, { match: "data.id", if: null, value: "s:o1" }],
    [
      "an equality of both events",
      { if: "event.data.id == async.data.order && async.data.total > event.data.total" },
      { match: null, value: "s:o1" },
    ],
    ["an equality whose value is missing", { if: "async.data.order == event.data.none" }, { value: null }],
    ["an equality with a constant", { if: "async.data.kind == 'big'" }, { value: "s:big" }],
    ["a condition without equality", { if: "async.data.total > 3" }, { value: "l:x" }],
    ["neither", {}, { match: null, if: null, value: "l:x", since: "mark" }],
    ["since", { match: "data.id", since: "registration" }, { since: "registration" }],
  ])("by %s tells the value at its route", async (_, options, expected) => {
    const { engine } = await bench(
      fn(({ step }) => step.waitForEvent("w", { event: "x", timeout: "1h", ...(options as { match: string }) })),
    );
    await engine.startRun("app/f", given);
    expect(engine.reports[0]?.ops).toMatchObject([{ kind: "waitRequested", ...options, ...expected }]);
    for (const report of engine.reports) expect(stepReport.parse(report)).toEqual(report);
  });
});

describe("results", () => {
  it("gives what JSON leaves of them, live and replayed alike", async () => {
    const seen: unknown[] = [];
    const { engine, replaceWorker } = await bench(
      fn(async ({ step }) => {
        const result = await step.run("a", () => ({ at: new Date(0), gone: undefined, f: () => 1 }));
        const nothing = await step.run("b", () => undefined);
        seen.push(result, nothing);
        await step.sleep("s", 1);
      }),
    );
    const run = await engine.startRun("app/f");
    await replaceWorker();
    await engine.settle(run, "s");
    const expected = [{ at: "1970-01-01T00:00:00.000Z" }, null];
    expect(seen).toEqual([...expected, ...expected]);
    expect(run.status).toBe("completed");
    expect(run.output).toBeNull();
  });

  it("hands extra arguments to the step's function", async () => {
    const { engine } = await bench(fn(({ step }) => step.run("sum", (a: number, b: number) => a + b, 2, 3)));
    const run = await engine.startRun("app/f");
    expect(run.output).toBe(5);
  });

  it("fails a step for good when its result is not JSON or too large, naming the limit", async () => {
    const { engine } = await bench(
      fn(async ({ step }) => {
        const results = await Promise.allSettled([
          step.run("bigint", () => 1n as never),
          step.run("large", () => "x".repeat(4 * 1_048_576)),
        ]);
        return results.map((r) => (r.status === "rejected" ? (r.reason as Error).message : "?"));
      }),
    );
    const run = await engine.startRun("app/f");
    expect(run.output).toEqual([
      "the result of step bigint cannot be written as JSON: Do not know how to serialize a BigInt",
      "step large returned 4194306 bytes, the limit is 4194304",
    ]);
  });

  it("fails the run when the handler's result is not JSON", async () => {
    const { engine } = await bench(fn(() => 1n));
    const run = await engine.startRun("app/f");
    expect(run.status).toBe("failed");
    expect(run.error).toMatchObject({
      name: "NonRetriableError",
      message: "the handler's result cannot be written as JSON: Do not know how to serialize a BigInt",
    });
  });
});

describe("ids", () => {
  it("counts repeated ids in order of appearance, around ids that users wrote so", async () => {
    const { engine } = await bench(
      fn(async ({ step }) => {
        await step.run("mail:1", () => "mine");
        for (const n of [0, 1, 2]) await step.run({ id: "mail", name: "Mail" }, () => n);
      }),
    );
    const run = await engine.startRun("app/f");
    expect(engine.memoOf(run)).toEqual({ "mail:1": "mine", mail: 0, "mail:2": 1, "mail:3": 2 });
  });

  it.each([
    ["an empty id", "", "a step id has 1 to 256 characters, this one 0"],
    ["a long id", "x".repeat(257), "a step id has 1 to 256 characters, this one 257"],
    ["no id", 7 as unknown as string, "expected a step id as text or { id, name }, got number"],
  ])("fails the run for %s", async (_, id, message) => {
    const { engine } = await bench(fn(({ step }) => step.run(id, () => 1)));
    const run = await engine.startRun("app/f");
    expect(run.status).toBe("failed");
    expect(run.error?.message).toBe(message);
  });

  it("fails the run at the 1,001st step, and lets it have 1,000", async () => {
    const many = (count: number, id: string) =>
      fn(async ({ step }) => {
        for (let i = 0; i < count; i++) await step.run("s", () => i);
        return count;
      }, id);
    const { engine } = await bench([many(1_000, "full"), many(1_001, "over")]);
    const full = await engine.startRun("app/full");
    const over = await engine.startRun("app/over");
    for (let i = 0; i < 400 && over.status === "running"; i++) await turns();
    expect([full.status, full.output]).toEqual(["completed", 1_000]);
    expect([over.status, over.error?.message]).toEqual(["failed", "a run has at most 1000 steps"]);
  });

  it("tells a step's function which step it is, through its own calls", async () => {
    const seen: unknown[] = [];
    const { engine } = await bench(
      fn(async ({ step, runId }) => {
        const inner = async (): Promise<void> => {
          await Promise.resolve();
          const { signal, ...rest } = step.current();
          seen.push({ ...rest, aborted: signal.aborted, runId: rest.runId === runId });
        };
        await Promise.all([step.run("pay", inner), step.run("pay", inner)]);
        expect(() => step.current()).toThrow("inside of a function given to step.run");
      }),
    );
    const { runId } = await engine.startRun("app/f");
    const common = { runId: true, attempt: 0, maxAttempts: 3, aborted: false };
    expect(seen).toEqual([
      { ...common, stepId: "pay", idempotencyKey: `${runId}/pay` },
      { ...common, stepId: "pay:1", idempotencyKey: `${runId}/pay:1` },
    ]);
  });
});

describe("arguments that cannot be", () => {
  it.each<[string, (step: Steps) => unknown, string]>([
    [
      "a bad duration",
      (s) => s.sleep("x", "soon"),
      'step "x": expected a duration such as "24h", "3 days" or a number of ms, up to 366 days; got "soon"',
    ],
    [
      "a bad time",
      (s) => s.sleepUntil("x", "tomorrow"),
      'step "x": step.sleepUntil: "tomorrow" is not a point in time',
    ],
    ["no time", (s) => s.sleepUntil("x", 5 as never), 'step "x": step.sleepUntil expects a Date or ISO 8601 text'],
    ["no function", (s) => s.run("x", 5 as never), 'step "x": step.run expects a function'],
    [
      "a wait without options",
      (s) => s.waitForEvent("x", undefined as never),
      'step "x": step.waitForEvent: event: expected an event name or an eventType',
    ],
    [
      "a wait without timeout",
      (s) => s.waitForEvent("x", { event: "e", match: "id" } as never),
      'step "x": step.waitForEvent: timeout: is required, for example "24h"',
    ],
    [
      "a wait with a bad match",
      (s) => s.waitForEvent("x", { event: "e", timeout: 1, match: "data..id" }),
      'step "x": step.waitForEvent: match: expected the path of a value in both events, such as "data.cart_id"',
    ],
    [
      "a wait with match and if",
      (s) => s.waitForEvent("x", { event: "e", timeout: 1, match: "id", if: "true" } as never),
      'step "x": step.waitForEvent: match and if exclude each other',
    ],
    [
      "a condition that is none",
      (s) => s.waitForEvent("x", { event: "e", timeout: 1, if: "async.data.id === 1" }),
      'step "x": step.waitForEvent: if: does not parse as CEL at character 17 of "async.data.id === 1": ' +
        "Unexpected character: =",
    ],
    [
      "a condition over what is not there",
      (s) => s.waitForEvent("x", { event: "e", timeout: 1, if: "run.id == 1" }),
      'step "x": step.waitForEvent: if: does not parse as CEL at character 1 of "run.id == 1": Unknown variable: run',
    ],
    [
      "a wait for names with a *",
      (s) => s.waitForEvent("x", { event: "e/*", timeout: 1 }),
      'step "x": step.waitForEvent: event: a * at the end of a name is for triggers alone',
    ],
    [
      "a wait since the dawn of time",
      (s) => s.waitForEvent("x", { event: "e", timeout: 1, since: "dawn" as never }),
      'step "x": step.waitForEvent: since: expected "trigger" or "registration"',
    ],
  ])("fails the run without another attempt for %s", async (_, use, message) => {
    const { engine } = await bench(fn(({ step }) => use(step)));
    const run = await engine.startRun("app/f");
    expect(run.status).toBe("failed");
    expect(run.error).toMatchObject({ name: "NonRetriableError", message });
  });
});
