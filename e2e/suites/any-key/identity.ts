/** Ids of events and runs: a repeat is none, a later one is another run; a start in the future is a run already. */
import type { ClockReply, RunSummary } from "@eddy/schemas";
import { expect, it } from "vitest";
import { range, type Stage } from "./stage.js";

const RUNS = 10;
const HOUR_MS = 3_600_000;

export function identity(stage: Stage): void {
  stage.define({ id: "greet", triggers: [{ event: "greet" }] }, ({ event }) => event.data.n);
  stage.define(
    {
      id: "later",
      triggers: [{ event: "later" }],
      cancelOn: [
        { event: "later/off", match: "data.a" },
        { event: "later/off", match: "data.b" },
      ],
    },
    ({ event }) => event.data.n,
  );

  it("G6: a user's id is good for one run in 24 h; after that for another one, with another id", async () => {
    const { world } = stage;
    const ids = range(RUNS).map((n) => `greeting-${n}`);
    const events = ids.map((id, n) => ({ name: "greet", id, data: { n } }));
    await world.sendAll(events);
    const first = await world.allEnded(ids);
    await world.advance("23h");
    await world.sendAll(events);
    await world.advance("2h");
    await world.sendAll(events);
    const runs = await world.until("each event has started its second run", async () => {
      const found = await Promise.all(ids.map((id) => world.runsOf(id)));
      return found.every((of) => of.length > 1 && of.every(({ status }) => status === "Completed")) ? found : null;
    });
    expect(runs.map((of) => of.length)).toEqual(ids.map(() => 2));
    const runIds = runs.flatMap((of) => of.map(({ run_id }) => run_id));
    expect(new Set(runIds).size).toBe(2 * RUNS);
    expect(ids.every((id, i) => runs[i]?.some(({ run_id }) => run_id === first.get(id)?.run_id))).toBe(true);
  });

  it("G3: a run that begins in the future can be cancelled by any of its keys until then", async () => {
    const { world } = stage;
    const { nowMs } = await world.get<ClockReply>("/dev/clock");
    const ts = nowMs + HOUR_MS;
    const started = await world.sendAll(
      range(RUNS).map((n) => ({ name: "later", ts, data: { n, a: `a${n}`, b: `b${n}` } })),
    );
    await world.advance("30m");
    const waiting = await Promise.all(started.map((id) => world.runsOf(id)));
    expect(waiting.map((runs) => runs.map(({ status }) => status))).toEqual(started.map(() => ["Running"]));
    await world.sendAll([2, 3].map((n) => ({ name: "later/off", data: { a: `a${n}` } })));
    await world.sendAll([4, 5].map((n) => ({ name: "later/off", data: { b: `b${n}` } })));
    await world.allEnded(started.slice(2, 6));
    await world.advance("30m");
    const ended = await world.allEnded(started);
    const ends = started.map((id) => told(ended.get(id)));
    expect(ends).toEqual(range(RUNS).map((n) => (n >= 2 && n <= 5 ? "Cancelled" : n)));
  });
}

function told(run: RunSummary | undefined): unknown {
  return run?.status === "Completed" ? run.output : run?.status;
}
