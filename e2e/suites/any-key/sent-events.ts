/** `step.sendEvent`: to runs that wait for it, another's and its own. */
import { expect, it } from "vitest";
import { range, type Stage } from "./stage.js";

const RUNS = 20;

export function sentEvents(stage: Stage): void {
  toAnother(stage);
  toItself(stage);
}

function toAnother(stage: Stage): void {
  stage.define({ id: "asks", triggers: [{ event: "talk/start" }] }, async ({ event, step }) => {
    await step.sendEvent("ask", { name: "talk/asked", data: { question: event.data.question } });
    const said = await step.waitForEvent("said", { event: "talk/said", match: "data.question", timeout: "1h" });
    return said?.data.answer;
  });
  stage.define({ id: "says", triggers: [{ event: "talk/asked" }] }, async ({ event, step }) => {
    const question = event.data.question as number;
    await step.sendEvent("say", { name: "talk/said", data: { question, answer: question * 2 } });
  });

  it("G9: a run that waits gets what another function's run sends", async () => {
    const { world } = stage;
    const started = await world.sendAll(range(RUNS).map((question) => ({ name: "talk/start", data: { question } })));
    const ended = await world.allEnded(started);
    expect(started.map((id) => ended.get(id)?.output)).toEqual(range(RUNS).map((n) => n * 2));
  });
}

function toItself(stage: Stage): void {
  stage.define({ id: "echo", triggers: [{ event: "echo/start" }] }, async ({ event, step }) => {
    const { n } = event.data;
    const [both, sent] = await Promise.all([
      step.waitForEvent("both", { event: "echo", match: "data.n", timeout: "1h" }),
      step.sendEvent("send", [
        { name: "echo", data: { n, no: 1 } },
        { name: "echo/after", data: { n, no: 2 } },
      ]),
    ]);
    const after = await step.waitForEvent("after", {
      event: "echo/after",
      match: "data.n",
      timeout: "1h",
      since: "trigger",
    });
    return [both?.data.no, both?.id === sent.ids[0], after?.data.no];
  });

  it("G9: a run gets what it sends itself, side by side with its wait and before it", async () => {
    const { world } = stage;
    const started = await world.sendAll(range(RUNS).map((n) => ({ name: "echo/start", data: { n } })));
    const ended = await world.allEnded(started);
    expect(started.map((id) => ended.get(id)?.output)).toEqual(started.map(() => [1, true, 2]));
  });
}
