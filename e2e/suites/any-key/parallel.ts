/** `Promise.all` and `Promise.race` over waits of this partition and of others, sleeps and steps. */
import { expect, it } from "vitest";
import { range, type Stage } from "./stage.js";

const RUNS = 12;

export function parallel(stage: Stage): void {
  all(stage);
  // Where the run lives, and elsewhere.
  for (const side of ["near", "far"] as const) waitAgainstSleep(stage, side);
  waitAgainstStep(stage);
}

function all(stage: Stage): void {
  stage.define({ id: "gather", triggers: [{ event: "gather" }] }, async ({ step }) => {
    const [near, far, , made] = await Promise.all([
      step.waitForEvent("near", { event: "gather/near", match: "data.a", timeout: "2h" }),
      step.waitForEvent("far", { event: "gather/far", match: "data.b", timeout: "2h" }),
      step.sleep("nap", "1h"),
      step.run("made", () => "made"),
    ]);
    return [near?.data.n ?? null, far?.data.n ?? null, made];
  });

  it("G1, G2: Promise.all of a local and a foreign wait, a sleep and a step", async () => {
    const { world } = stage;
    const started = await world.sendAll(range(RUNS).map((n) => ({ name: "gather", data: { a: `a${n}`, b: `b${n}` } })));
    await Promise.all(range(RUNS).map((n) => world.send("gather/near", { a: `a${n}`, n })));
    await Promise.all(range(RUNS / 2).map((n) => world.send("gather/far", { b: `b${n}`, n: n + 100 })));
    const ended = await world.allEnded(started, () => world.advance("1h"));
    const outputs = started.map((id) => ended.get(id)?.output);
    expect(outputs).toEqual(range(RUNS).map((n) => [n, n < RUNS / 2 ? n + 100 : null, "made"]));
  });
}

function waitAgainstSleep(stage: Stage, side: "near" | "far"): void {
  const key = side === "near" ? "data.a" : "data.b";
  const waits = { event: `race/${side}`, match: key } as const;
  stage.define(
    {
      id: `race-${side}`,
      triggers: [{ event: `race/${side}.start` }],
      cancelOn: { event: "race/stop", match: "data.a" },
      waits,
    },
    async ({ step }) => {
      const won = await Promise.race([
        step.waitForEvent("reply", { ...waits, timeout: "10d" }),
        step.sleep("nap", "1h"),
      ]);
      if (won) return ["won", won.data.n];
      const later = await step.waitForEvent("later", { ...waits, timeout: "10d" });
      return ["later", later?.data.n];
    },
  );

  it(`G2: a race of a ${side} wait and a sleep; the wait that lost takes no event from the next one`, async () => {
    const { world } = stage;
    const keys = (n: number) => ({ a: `${side}-a${n}`, b: `${side}-b${n}` });
    const start = range(RUNS).map((n) => ({ name: `race/${side}.start`, data: keys(n) }));
    const started = await world.sendAll(start);
    const [winners, losers] = [started.slice(0, RUNS / 2), started.slice(RUNS / 2)];
    const reply = (n: number, said: string) => world.send(`race/${side}`, { ...keys(n), n: said });
    await Promise.all(range(RUNS / 2).map((n) => reply(n, "first")));
    await world.allEnded(winners);
    await Promise.all(losers.map((id) => world.reached(id, "sleepStarted")));
    await world.advance("1h");
    // The engine may not know yet that the first wait has lost: then it gives back what that takes.
    await Promise.all(range(RUNS).map((n) => reply(n, "second")));
    const ended = await world.allEnded(started);
    expect(winners.map((id) => ended.get(id)?.output)).toEqual(winners.map(() => ["won", "first"]));
    expect(losers.map((id) => ended.get(id)?.output)).toEqual(losers.map(() => ["later", "second"]));
  });
}

function waitAgainstStep(stage: Stage): void {
  stage.define(
    { id: "quick", triggers: [{ event: "quick" }], cancelOn: { event: "race/stop", match: "data.a" } },
    async ({ step }) => {
      const first = await Promise.race([
        step.waitForEvent("reply", { event: "quick/reply", match: "data.b", timeout: "1h" }),
        step.run("work", () => "worked"),
      ]);
      await step.sleep("nap", "2h");
      const late = await step.waitForEvent("again", { event: "quick/reply", match: "data.b", timeout: "1h" });
      return [first, late?.data.n ?? null];
    },
  );

  it("G2: a step wins against a foreign wait, whose time is withdrawn with it", async () => {
    const { world } = stage;
    const started = await world.sendAll(range(RUNS).map((n) => ({ name: "quick", data: { a: `a${n}`, b: `qb${n}` } })));
    await Promise.all(started.map((id) => world.reached(id, "sleepStarted")));
    await world.advance("2h");
    await Promise.all(range(RUNS).map((n) => world.send("quick/reply", { b: `qb${n}`, n })));
    const ended = await world.allEnded(started);
    expect(started.map((id) => ended.get(id)?.output)).toEqual(range(RUNS).map((n) => ["worked", n]));
  });
}
