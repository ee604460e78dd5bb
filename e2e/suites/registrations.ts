/**
 * Workers register at the same time, with different lists for one app and for two, while events flow. The functions lie
 * at other keys each, so that every registration changes which partitions an event goes to.
 */
import type { RunSummary } from "@eddy/schemas";
import { Eddy, type EddyFunction } from "@eddy/sdk";
import { expect, it } from "vitest";
import { World, type WorldKind } from "../world.js";

const AFTERWARDS = 60;
const EVERY_MS = 25;

function define(app: string, id: string, match: string | null): EddyFunction {
  const cancelOn = match === null ? {} : { cancelOn: { event: "flow/stop", match } };
  const options = { id, triggers: [{ event: "flow/tick" }], ...cancelOn };
  return new Eddy({ id: app }).createFunction(options, async ({ event, step }) => {
    // Of another run: where this one listens elsewhere, it is told.
    await step.waitForEvent("never", { event: "flow/never", match: "data.c", timeout: "1s" });
    return event.data.n;
  });
}

/** Sends until it is told to stop. @returns the ids of what was acknowledged */
async function flow(world: World, signal: AbortSignal): Promise<readonly string[]> {
  const ids: string[] = [];
  while (!signal.aborted) {
    ids.push(await send(world, ids.length));
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  return ids;
}
const send = (world: World, n: number): Promise<string> =>
  world.send("flow/tick", { n, a: `a${n % 13}`, b: `b${n % 17}`, c: `c${n % 19}` });

const functionsOf = (runs: readonly RunSummary[]): readonly string[] => runs.map((run) => run.function_id).sort();

export function registrations(kind: WorldKind): void {
  it("no event is lost or starts a function twice while registrations race", async () => {
    const world = await World.start(kind);
    try {
      const stop = new AbortController();
      const flowing = flow(world, stop.signal);
      const both = define("one", "both", "data.a");
      await world.workAtOnce([
        { app: "one", functions: [both, define("one", "left", "data.b")] },
        { app: "one", functions: [both, define("one", "right", null)] },
        { app: "two", functions: [define("two", "other", "data.b")] },
      ]);
      stop.abort();
      const before = await flowing;
      const after = await Promise.all(Array.from({ length: AFTERWARDS }, (_, i) => send(world, before.length + i)));
      const isOver = (run: RunSummary): boolean => run.status === "Completed" || /left|right/.test(run.function_id);
      const runs = await world.until("the runs that all workers know have ended", async () => {
        const found = await Promise.all([...before, ...after].map((id) => world.runsOf(id)));
        const isHere = found.slice(before.length).every((of) => of.length >= 3);
        return isHere && found.every((of) => of.every(isOver)) ? found : null;
      });
      for (const of of runs) expect(functionsOf(of)).toEqual([...new Set(functionsOf(of))]);
      // One of the lists of the app is in force: the same for all.
      const [last] = runs.slice(-1).map(functionsOf);
      expect(last).toEqual(["one/both", expect.stringMatching(/^one\/(left|right)$/), "two/other"]);
      expect(runs.slice(before.length).map(functionsOf)).toEqual(after.map(() => last));
    } finally {
      await world.close();
    }
  }, 120_000);
}
