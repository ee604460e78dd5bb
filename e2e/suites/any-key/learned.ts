/**
 * Waits that nobody foresaw: their event name and path are computed, so neither the handler's text nor an option tells
 * them. Each function is seen for the first time by its first run here.
 */
import { expect, it } from "vitest";
import { range, type Stage } from "./stage.js";

const MANY = 30;

export function learned(stage: Stage): void {
  firstRun(stage);
  many(stage);
  timedOut(stage);
}

/** Not literal, so not read. */
const joined = (...parts: readonly string[]): string => parts.join("");

/** Asks in a step, in which the answer is sent before the step is over, and waits only then. */
function asker(stage: Stage, id: string): void {
  stage.define({ id, triggers: [{ event: `${id}/start` }] }, async ({ event, step }) => {
    const name = joined(id, "/", "answered");
    const { question } = event.data;
    await step.run("ask", () => stage.world.send(name, { reply: { to: question }, question, said: "yes" }));
    const answer = await step.waitForEvent("answer", {
      event: name,
      match: joined("data.", "question"),
      timeout: "1h",
    });
    return answer?.data.said;
  });
}

function firstRun(stage: Stage): void {
  asker(stage, "learn");

  it("G9: the very first run gets an event of 0 ms after the step before a wait that nobody declared", async () => {
    const { world } = stage;
    for (const question of ["first", "second"]) {
      const run = await world.ended(await world.send("learn/start", { question }));
      expect(run).toMatchObject({ status: "Completed", output: "yes" });
    }
  });
}

function many(stage: Stage): void {
  asker(stage, "learn-many");

  it(`G9: and by ${MANY} first runs at once`, async () => {
    const { world } = stage;
    const started = await world.sendAll(
      range(MANY).map((question) => ({ name: "learn-many/start", data: { question } })),
    );
    const ended = await world.allEnded(started);
    expect(started.map((id) => ended.get(id)?.output)).toEqual(started.map(() => "yes"));
  });
}

function timedOut(stage: Stage): void {
  stage.define({ id: "learn-late", triggers: [{ event: "learn-late/start" }] }, async ({ step }) => {
    const match = joined("data.", "question");
    const first = await step.waitForEvent("first", { event: joined("learn-late", "/said"), match, timeout: "1h" });
    const second = await step.waitForEvent("second", { event: joined("learn-late", "/said"), match, timeout: "1h" });
    return [first?.data.no ?? null, second?.data.no ?? null];
  });

  it("G1: a wait that nobody declared times out once all senders know its route, not before its time", async () => {
    const { world } = stage;
    const started = await world.sendAll(range(4).map((question) => ({ name: "learn-late/start", data: { question } })));
    await Promise.all(started.map((id) => world.reached(id, "waitStarted")));
    await world.advance("59m");
    await world.send("learn-late/said", { question: 0, no: 1 });
    await world.advance("1m");
    await Promise.all(started.map((id) => world.reached(id, "waitStarted", 2)));
    await world.send("learn-late/said", { question: 1, no: 2 });
    const ended = await world.allEnded(started, () => world.advance("1h"));
    const outputs = started.map((id) => ended.get(id)?.output);
    expect(outputs).toEqual([[1, null], [null, 2], ...range(2).map(() => [null, null])]);
  });
}
