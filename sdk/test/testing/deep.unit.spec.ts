/** The test engine where time, rest and doubles are not simple. */
import { afterEach, describe, expect, it } from "vitest";
import type { EddyFunction, Handler } from "../../src/index.js";
import { testEngine, type TestEngine, type TestEngineOptions } from "../../src/testing/index.js";
import { eddy } from "./shop.js";

const opened: TestEngine[] = [];
async function open(functions: readonly EddyFunction[], more: Partial<TestEngineOptions> = {}): Promise<TestEngine> {
  const t = await testEngine({ functions, now: 0, ...more });
  opened.push(t);
  return t;
}
afterEach(() => Promise.all(opened.splice(0).map((t) => t.close())));

const HOUR = 3_600_000;
const on = (event: string, handler: Handler) => eddy.createFunction({ id: "fn", triggers: [{ event }] }, handler);
const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("the test engine", () => {
  it("learns waits that the handler's text does not show, and lets them time out", async () => {
    const waitFor = (step: Parameters<Handler>[0]["step"], name: string) =>
      step.waitForEvent("hidden", { event: `${name}/done`, match: "data.id", timeout: "1h" });
    const t = await open([on("job/start", ({ step }) => waitFor(step, "job"))]);
    const { runs } = await t.send([
      { name: "job/start", data: { id: 1 } },
      { name: "job/start", data: { id: 2 } },
    ]);
    await t.send({ name: "job/done", data: { id: 1, well: true } });
    await t.advance("1h");
    expect(await t.run(runs[0])).toMatchObject({ status: "Completed", output: { data: { well: true } } });
    expect(await t.run(runs[1])).toMatchObject({ status: "Completed", output: null, endedAt: new Date(HOUR) });
  });

  it("withdraws what lost a race", async () => {
    const t = await open([
      on("race/start", async ({ step }) => {
        const won = await Promise.race([
          step.waitForEvent("answer", { event: "race/answer", match: "data.id", timeout: "2h" }),
          step.sleep("patience", "1h"),
        ]);
        await step.sleep("rest", "3h");
        return won ?? "no patience";
      }),
    ]);
    const { runs } = await t.send({ name: "race/start", data: { id: 1 } });
    await t.advance("1h");
    expect((await t.run(runs[0])).steps).toMatchObject([
      { id: "answer", kind: "wait", status: "Withdrawn" },
      { id: "patience", kind: "sleep", status: "Completed" },
      { id: "rest", kind: "sleep", status: "Waiting" },
    ]);
    await t.advance("3h");
    expect(await t.run(runs[0])).toMatchObject({ output: "no patience", endedAt: new Date(4 * HOUR) });
  });

  it("rests only when steps that take real time have ended, and what they caused", async () => {
    const t = await open([
      on("slow/start", async ({ step, event }) => {
        const left = event.data.left as number;
        await Promise.all(["a", "b"].map((id) => step.run(id, () => later(20))));
        await later(10);
        if (left > 0) await step.sendEvent("next", { name: "slow/start", data: { left: left - 1 } });
        return left;
      }),
    ]);
    await t.send({ name: "slow/start", data: { left: 3 } });
    expect((await t.runs()).map(({ status, output }) => [status, output as number])).toEqual(
      [3, 2, 1, 0].map((left) => ["Completed", left]),
    );
  });

  it("delays what has a ts in the future", async () => {
    const t = await open([on("later/start", () => "started")]);
    const { runs } = await t.send({ name: "later/start", ts: 2 * HOUR });
    await t.advance(2 * HOUR - 1);
    expect(await t.run(runs[0])).toMatchObject({ status: "Running", steps: [] });
    await t.advance(1);
    expect(await t.run(runs[0])).toMatchObject({ status: "Completed" });
  });

  it("forgets nothing in a year, and is quick about it", async () => {
    const t = await open([
      on("year/start", async ({ step }) => {
        for (let week = 0; week < 52; week++) await step.sleep("week", "7 days");
        return "a year";
      }),
    ]);
    const { runs } = await t.send([{ name: "year/start" }, { name: "other/event", id: "e1" }]);
    await t.advance("365 days");
    expect(await t.run(runs[0])).toMatchObject({ status: "Completed", output: "a year" });
    expect((await t.run(runs[0])).steps).toHaveLength(52);
  });

  it("is apart from every other", async () => {
    const fn = on("apart/start", ({ step }) => step.sleep("wait", "1h"));
    const [a, b] = await Promise.all([open([fn]), open([fn])]);
    const [inA, inB] = await Promise.all([a.send({ name: "apart/start" }), b.send({ name: "apart/start" })]);
    a.failStep("wait", new Error("of a alone"), { unchecked: true });
    await a.advance("1h");
    expect(await a.run(inA.runs[0])).toMatchObject({ status: "Completed" });
    expect(await b.run(inB.runs[0])).toMatchObject({ status: "Running" });
    await expect(b.run(inA.ids[0])).rejects.toThrow("there is no run");
  });

  it("moves time once for each of two calls at the same time", async () => {
    const t = await open([on("none", () => null)]);
    await Promise.all([t.advance("1h"), t.advance("2h")]);
    expect(t.now).toEqual(new Date(3 * HOUR));
  });

  it("says that a handler waits for something that never comes", async () => {
    const t = await open([on("stuck/start", () => new Promise(() => undefined))], { patienceMs: 50 });
    await expect(t.send({ name: "stuck/start" })).rejects.toThrow(/1 handler\(s\) await something that is no step/);
  });

  it("refuses what is no function, and two of one id", async () => {
    await expect(testEngine({ functions: [] })).rejects.toThrow("expected at least one");
    await expect(testEngine({ functions: [{} as EddyFunction] })).rejects.toThrow("functions[0]: expected what");
    const fn = on("x", () => null);
    await expect(testEngine({ functions: [fn, fn] })).rejects.toThrow('functions: "fn" is given twice');
    await expect(testEngine({ functions: [fn], now: "soon" })).rejects.toThrow("now: soon is not a point in time");
  });
});
