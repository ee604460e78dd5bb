/** `step.sendEvent`: once per run, with ids that a repeat says again. */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { eventInput } from "@eddy/schemas";
import { eventType, SendError, type EventPayload } from "../../src/index.js";
import { EventSender, type EventDelivery } from "../../src/protocol/event-sender.js";
import { eventIdOf, sendInStep } from "../../src/step/step-send.js";
import { bench, fn } from "../fixtures.js";
import { turns } from "../manual-clock.js";

const nameAndMessage = (error: unknown): string[] => [(error as Error).name, (error as Error).message];

describe("step.sendEvent", () => {
  it("sends one or several, once, and gives their ids, live and replayed alike", async () => {
    const ids: unknown[] = [];
    const { engine, sent, replaceWorker } = await bench(
      fn(async ({ step }) => {
        ids.push((await step.sendEvent("one", { name: "a", data: { n: 1 } })).ids);
        ids.push((await step.sendEvent({ id: "more" }, [{ name: "b" }, { name: "c", id: "mine", ts: 5 }])).ids);
        ids.push((await step.sendEvent("one", { name: "d" })).ids, (await step.sendEvent("none", [])).ids);
        await step.sleep("s", 1);
        return "ok";
      }),
    );
    const run = await engine.startRun("app/f");
    const { runId } = run;
    expect(sent).toEqual([
      { name: "a", data: { n: 1 }, id: `${runId}/one/0` },
      { name: "b", data: {}, id: `${runId}/more/0` },
      { name: "c", data: {}, id: "mine", ts: 5 },
      { name: "d", data: {}, id: `${runId}/one:1/0` },
    ]);
    await replaceWorker();
    await engine.settle(run, "s");
    expect([run.output, sent.length]).toEqual(["ok", 4]);
    const first = [[`${runId}/one/0`], [`${runId}/more/0`, "mine"], [`${runId}/one:1/0`], []];
    expect(ids).toEqual([...first, ...first]);
  });

  it("goes beside a wait: the wait is asked for first, so that its reply is seen", async () => {
    const { engine, sent, clock } = await bench(
      fn(async ({ step }) => {
        const [reply] = await Promise.all([
          step.waitForEvent("w", { event: "pong", timeout: "1h" }),
          step.sendEvent("ping", { name: "ping" }),
        ]);
        return reply?.data.n;
      }),
    );
    const run = await engine.startRun("app/f");
    await clock.advance(500);
    expect(engine.story).toEqual(["1 waitRequested w", "1 stepCompleted ping", "1 suspended"]);
    expect(sent).toHaveLength(1);
    await engine.settle(run, "w", { name: "pong", id: "p", ts: 1, data: { n: 7 } });
    expect(run.output).toBe(7);
  });

  it.each<[string, unknown, string]>([
    ["no event", undefined, "an event: "],
    ["a reserved name", { name: "eddy/x" }, "name: names that start with"],
    ["no name, in a list", [{ name: "a" }, { data: {} }], "[1].name: "],
    ["data that is no object", eventType("t").create(5 as never), "data: "],
    [
      "data that does not fit its type",
      eventType("t", { schema: z.object({ n: z.number() }) }).create({} as never),
      "data.n: ",
    ],
    ["what is no JSON", { name: "a", data: { n: 1n } }, "an event cannot be written as JSON"],
  ])("fails for good for %s, having sent nothing; the handler may go on", async (_, events, message) => {
    const { engine, sent } = await bench(
      fn(({ step }) => step.sendEvent("s", events as EventPayload).catch(nameAndMessage)),
    );
    const run = await engine.startRun("app/f");
    expect(run.output).toEqual(["NonRetriableError", expect.stringContaining(message)]);
    expect([engine.story[0], sent]).toEqual(["1 stepFailed s", []]);
    expect(engine.reports[0]?.ops).toMatchObject([{ retriable: false }]);
  });
});

describe("what a step sends with", () => {
  /** A way to the log whose tries come to this, the last for ever. */
  const failing = (...errors: readonly SendError[]): EventSender => {
    let tries = 0;
    const delivery: EventDelivery = {
      async try() {
        const error = errors[Math.min(tries++, errors.length - 1)] as SendError;
        return { error, retryAfterMs: null };
      },
      close: async () => undefined,
    };
    return new EventSender({ delivery, known: new Map() });
  };
  const step = { runId: "00a", stepId: "s" } as never;

  it.each([
    ["refused", new SendError("INVALID_EVENT", "no", { status: 400 }), "NonRetriableError"],
    ["too large", new SendError("EVENT_TOO_LARGE", "no", { status: 413 }), "NonRetriableError"],
    ["too many at a time", new SendError("BUSY", "no", { status: 429 }), "SendError"],
    ["not in time", new SendError("SLOW", "no", { status: 408 }), "SendError"],
    ["not available", new SendError("UNAVAILABLE", "no", { status: 503 }), "SendError"],
    ["no answer", new SendError("SEND_FAILED", "no"), "SendError"],
  ])("says whether another attempt may help: %s", async (_, error, name) => {
    const sender = failing(error);
    const sending = sendInStep((events, idOf) => sender.send(events, idOf), step, { name: "a" });
    await expect(sending).rejects.toMatchObject({ name, message: "no" });
  });
});

describe("ids of events that a step sends", () => {
  const runId = `00a${"r".repeat(61)}`;

  it("are valid and differ for whatever steps and indexes a run may have", () => {
    const stepIds = ["a", "a/0", "a/1", "x".repeat(256), `${"x".repeat(255)}y`, "\ud800", "\ud801", "ü😀", `"\\ud800"`];
    const ids = stepIds.flatMap((stepId) => [0, 1, 4_999].map((index) => eventIdOf({ runId, stepId }, index)));
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(eventInput.safeParse({ name: "a", id })).toMatchObject({ success: true });
    expect(ids[0]).toBe(`${runId}/a/0`);
    expect(eventIdOf({ runId, stepId: "x".repeat(256) }, 0)).toMatch(/^00ar+\/[0-9a-v]{26}\/0$/);
  });

  it("say the step as long as they can", () => {
    const longest = 256 - runId.length - "//0".length;
    expect(eventIdOf({ runId, stepId: "x".repeat(longest) }, 0)).toHaveLength(256);
    expect(eventIdOf({ runId, stepId: "x".repeat(longest + 1) }, 0)).toHaveLength(64 + 26 + 3);
  });
});

it("events sent from a step that its handler did not wait for are recorded all the same", async () => {
  const { engine, sent } = await bench(
    fn(async ({ step }) => {
      void step.sendEvent("aside", { name: "a" });
      await step.run("r", () => 1);
      await step.sleep("s", 1);
    }),
  );
  await engine.startRun("app/f");
  await turns();
  expect(sent).toHaveLength(1);
  expect(engine.story.slice(0, 2).sort()).toEqual(["1 stepCompleted aside", "1 stepCompleted r"]);
});
