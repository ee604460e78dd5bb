/** A run that keeps 30 MiB, on every way that a world has: through a sleep, and over to workers that know nothing of it. */
import { connect, Eddy } from "@eddy/sdk";
import { expect, it } from "vitest";
import { APP, World, type WorldKind } from "../world.js";

const RESULTS = 8;
const RESULT_BYTES = 3.75 * 1_048_576;
/** A handler that waits for something of its own is let go of after this. */
const DRAIN_MS = 50;

export function largeRuns(kind: WorldKind): void {
  it("a run keeps 30 MiB over a sleep and over its workers' end", { timeout: 90_000 }, async () => {
    const world = await World.start(kind);
    const gate = gated();
    const large = world.client.createFunction({ id: "large", triggers: [{ event: "large" }] }, async ({ step }) => {
      const each = Array.from({ length: RESULTS }, (_, i) =>
        step.run(`result-${i}`, () => String(i).repeat(RESULT_BYTES - 2)),
      );
      const results = await Promise.all(each);
      await step.sleep("sleep", "1h");
      await gate.pass(); // Of no step: a worker that closes gives the run back at once.
      return results.map((text) => `${text[0]}:${text.length}`).join();
    });
    const deploy = (): Promise<() => Promise<void>> => deployed(world, [large]);
    let end = await deploy();
    try {
      const eventId = await world.send("large", {});
      const runId = await world.reached(eventId, "sleepStarted");
      await world.advance("1h");
      await world.until("the run holds", () => gate.arrived || null);
      // What is given back goes out whole: a request in several records.
      const former = end;
      end = await deploy();
      await former();
      gate.open();
      const expected = Array.from({ length: RESULTS }, (_, i) => `${i}:${RESULT_BYTES - 2}`).join();
      expect(await world.ended(eventId)).toMatchObject({ status: "Completed", output: expected });
      const dispatched = (await world.timeline(runId)).filter(({ kind: what }) => what === "runDispatched");
      expect(dispatched.at(-1)).toMatchObject({ reason: "declined" });
    } finally {
      gate.open();
      await end();
      await world.close();
    }
  });
}

interface Gate {
  arrived: boolean;
  readonly pass: () => Promise<void>;
  readonly open: () => void;
}

/** Who passes waits until it is open. */
function gated(): Gate {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const gate: Gate = {
    arrived: false,
    pass: () => {
      gate.arrived = true;
      return opened;
    },
    open: () => open(),
  };
  return gate;
}

/** One worker by each way. @returns what ends them. */
async function deployed(world: World, functions: Parameters<World["work"]>[0]): Promise<() => Promise<void>> {
  const workers = await Promise.all(
    world.ways().map(({ sends, connects }) => {
      const client = new Eddy({ id: APP, ...sends });
      return connect({ apps: [{ client, functions }], ...connects, drainMs: DRAIN_MS, handleShutdownSignals: false });
    }),
  );
  return async () => void (await Promise.all(workers.map((worker) => worker.close())));
}
