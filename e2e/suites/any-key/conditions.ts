/** Conditions, lanes, wildcards: what an event must be, said otherwise than by one equal value. */
import { expect, it } from "vitest";
import { range, type Stage } from "./stage.js";

const RUNS = 12;

export function conditions(stage: Stage): void {
  lanes(stage);
  residuals(stage);
  withoutEquality(stage);
  triggers(stage);
}

function lanes(stage: Stage): void {
  stage.define({ id: "lane", triggers: [{ event: "lane/start" }] }, async ({ step }) => {
    const any = await step.waitForEvent("any", { event: "lane/go", timeout: "1d" });
    return (any?.data.n as number | undefined) ?? null;
  });

  it("G2: a wait without match or if takes the first event of its name, in every run", async () => {
    const { world } = stage;
    const started = await world.sendAll(range(RUNS).map((n) => ({ name: "lane/start", data: { n } })));
    await world.send("lane/go", { n: 7 });
    await world.send("lane/go", { n: 8 });
    const ended = await world.allEnded(started);
    expect(started.map((id) => ended.get(id)?.output)).toEqual(started.map(() => 7));
  });
}

function residuals(stage: Stage): void {
  stage.define({ id: "offer", triggers: [{ event: "offer/asked" }] }, async ({ step }) => {
    const made = await step.waitForEvent("made", {
      event: "offer/made",
      if: `async.data.id == event.data.id && async.data.price < event.data.price_max
        && (async.data.code.startsWith("X") || async.data.is_open == true)`,
      timeout: "1d",
    });
    return (made?.data.n as number | undefined) ?? null;
  });

  it("G1, G8: a condition is asked of each event at its key; what is missing or of another type is false", async () => {
    const { world } = stage;
    const started = await world.sendAll(
      range(RUNS).map((id) => ({ name: "offer/asked", data: { id, price_max: 10 } })),
    );
    const unfit = (id: number) => [
      { id },
      { id, price: "5", code: "X1" },
      { id, price: null, code: "X1" },
      { id, price: 10, code: "X1" },
      { id, price: 5 },
      { id, price: 5, code: 7 },
      { id, price: 5, code: "Y", is_open: "true" },
      { id: `${id}`, price: 5, code: "X1" },
      { id: [id], price: 5, code: "X1" },
      { price: 5, code: "X1" },
    ];
    const events = range(RUNS).flatMap((id) => [...unfit(id), { id, price: 5, code: 7, is_open: true, n: id }]);
    await world.sendAll(events.map((data) => ({ name: "offer/made", data })));
    const ended = await world.allEnded(started);
    expect(started.map((id) => ended.get(id)?.output)).toEqual(range(RUNS));
  });
}

function withoutEquality(stage: Stage): void {
  stage.define({ id: "bid", triggers: [{ event: "bid/open" }] }, async ({ step }) => {
    const bid = await step.waitForEvent("bid", {
      event: "bid/made",
      if: "async.data.sum > event.data.least",
      timeout: "1d",
    });
    return (bid?.data.sum as number | undefined) ?? null;
  });

  it("G2: a condition without an equality is asked of every event of the name", async () => {
    const { world } = stage;
    const least = [10, 100, 1_000, "10", null, undefined];
    const started = await world.sendAll(least.map((sum) => ({ name: "bid/open", data: { least: sum } })));
    await world.send("bid/made", {});
    await world.send("bid/made", { sum: 50 });
    await world.send("bid/made", { sum: 500 });
    const first = await world.allEnded(started.slice(0, 2));
    const rest = await world.allEnded(started.slice(2), () => world.advance("1d"));
    const outputs = started.map((id) => (first.get(id) ?? rest.get(id))?.output);
    expect(outputs).toEqual([50, 500, null, null, null, null]);
  });
}

function triggers(stage: Stage): void {
  stage.define(
    {
      id: "wild",
      triggers: [{ event: "wild/*", if: "event.data.total > 100" }, { event: "wild/added" }],
    },
    ({ event }) => `${event.name} ${event.data.total as number}`,
  );

  it("starts by the beginning of a name and by a condition, once however many triggers an event fits", async () => {
    const { world } = stage;
    const fit = [
      { name: "wild/added", data: { total: 500 } },
      { name: "wild/added", data: { total: 1 } },
      { name: "wild/gone", data: { total: 500 } },
      { name: "wild/", data: { total: 101 } },
    ];
    const unfit = [
      { name: "wild/gone", data: { total: 100 } },
      { name: "wild/gone", data: { total: "500" } },
      { name: "wild/gone", data: {} },
      { name: "wild", data: { total: 500 } },
      { name: "wilder/gone", data: { total: 500 } },
    ];
    const ignored = await world.sendAll(unfit);
    const started = await world.sendAll(fit);
    const ended = await world.allEnded(started);
    expect(started.map((id) => ended.get(id)?.output)).toEqual(fit.map(({ name, data }) => `${name} ${data.total}`));
    expect(await Promise.all(ignored.map((id) => world.runsOf(id)))).toEqual(ignored.map(() => []));
  });
}
