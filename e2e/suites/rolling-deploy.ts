/**
 * Deploys while runs are under way: workers of two versions of an app at the same time, on every way that a world has.
 * Nobody's attempts are used up by a deploy, nobody waits for a lease, and what a version lacks is named.
 */
import type { RunSummary } from "@eddy/schemas";
import { connect, Eddy, type Steps } from "@eddy/sdk";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { APP, World, type WorkersWay, type WorldKind } from "../world.js";

type Functions = Parameters<World["work"]>[0];
type Worker = Awaited<ReturnType<typeof connect>>;

let world: World;
let workers: Worker[] = [];

/** One world for all of them: each has functions and events of its own. */
export function rollingDeploy(kind: WorldKind): void {
  beforeAll(async () => {
    world = await World.start(kind);
  });
  afterEach(async () => {
    const open = workers;
    workers = [];
    await Promise.all(open.map((worker) => worker.close()));
  });
  afterAll(() => world.close());
  newFunctions();
  closing();
  versions();
}

const define = (id: string, handler: (step: Steps) => unknown, retries = 0) =>
  world.client.createFunction({ id, triggers: [{ event: `${id}/asked` }], retries }, ({ step }) => handler(step));

/** A version of the app: one worker by each way of this world. @returns what ends it */
async function deploy(functions: Functions): Promise<() => Promise<void>> {
  const version = await Promise.all(world.ways().map((way) => deployBy(way, functions)));
  return async () => void (await Promise.all(version.map((worker) => worker.close())));
}
async function deployBy({ sends, connects }: WorkersWay, functions: Functions): Promise<Worker> {
  const client = new Eddy({ id: APP, ...sends });
  const worker = await connect({ apps: [{ client, functions }], ...connects, handleShutdownSignals: false });
  workers.push(worker);
  return worker;
}

async function kindsOf({ run_id: runId }: RunSummary): Promise<string[]> {
  return (await world.timeline(runId)).map(({ kind }) => kind);
}
async function reasonsOf({ run_id: runId }: RunSummary): Promise<string[]> {
  const entries = (await world.timeline(runId)) as readonly { readonly kind: string; readonly reason?: string }[];
  return entries.filter(({ kind }) => kind === "runDispatched").map(({ reason }) => reason ?? "");
}

/**
 * A gateway has workers of both versions and chooses. A process that takes steps from Kafka by itself has one: what
 * lies on its partitions and it does not have goes on when it ends.
 */
async function endWhereItHoldsUp(end: () => Promise<void>): Promise<void> {
  if (world.kind === "kafka") await end();
}

const EVENTS = 12;
const sendSome = (name: string) =>
  Promise.all(Array.from({ length: EVENTS }, (_, n) => world.send(`${name}/asked`, { n })));

function newFunctions(): void {
  it("G8: a function that is new in a deploy runs, though workers of the former version are here still", async () => {
    const kept = define("kept", (step) => step.run("do", () => "kept"));
    const end = await deploy([kept]);
    await deploy([kept, define("added", (step) => step.run("do", () => "added"))]);
    const ids = [...(await sendSome("added")), ...(await sendSome("kept"))];
    await endWhereItHoldsUp(end);
    for (const run of (await world.allEnded(ids)).values()) {
      expect([run.status, run.output]).toEqual(["Completed", run.function_id.slice(APP.length + 1)]);
      expect(await kindsOf(run)).not.toContain("attemptFailed");
    }
  });

  it("G8: runs of a new function wait, and use up no attempt, while all who have it are away", async () => {
    const before = define("before", (step) => step.run("do", () => "before"));
    const end = await deploy([before]);
    const next = [before, define("after", (step) => step.run("do", () => "after"))];
    await (
      await deploy(next)
    )();
    const ids = await sendSome("after");
    for (const id of ids) await world.reached(id, "runDispatched", 2);
    await deploy(next);
    await endWhereItHoldsUp(end);
    for (const run of (await world.allEnded(ids)).values()) {
      expect(run).toMatchObject({ status: "Completed", output: "after" });
      expect(await kindsOf(run)).not.toContain("attemptFailed");
    }
  });
}

function closing(): void {
  it("G5: a worker that closes ends its running steps and gives its runs back: others go on at once", async () => {
    let running = 0;
    let open = (): void => undefined;
    const held = new Promise<void>((resolve) => (open = resolve));
    const version = (who: string) =>
      define("long", async (step) => {
        const first = await step.run("first", async () => {
          running += 1;
          if (who === "old") await held;
          return who;
        });
        return [first, await step.run("second", () => who)];
      });
    const end = await deploy([version("old")]);
    const ids = await sendSome("long");
    await world.until("all first steps run", () => running === EVENTS || null);
    await deploy([version("new")]);
    const closed = end();
    open();
    await closed;
    for (const run of (await world.allEnded(ids)).values()) {
      expect(run).toMatchObject({ status: "Completed", output: ["old", "new"] });
      expect(await reasonsOf(run)).toEqual(["start", "declined"]);
    }
    expect(running).toBe(EVENTS);
  });
}

function versions(): void {
  it("G8: a run goes on where a version has more steps behind what it did, and ends where one has none", async () => {
    const former = async (step: Steps): Promise<unknown> => {
      await step.run("a", () => 1);
      await step.sleep("nap", "1h");
      return "former";
    };
    const end = await deploy([define("longer", former), define("shorter", former)]);
    const longer = await sendSome("longer");
    const shorter = await sendSome("shorter");
    for (const id of [...longer, ...shorter]) await world.reached(id, "sleepStarted");
    await deploy([
      define("longer", async (step) => [await former(step), await step.run("b", () => 2)]),
      define("shorter", (step) => step.run("a", () => 3)),
    ]);
    await end();
    await world.advance("1h");
    for (const run of (await world.allEnded(longer)).values()) expect(run.output).toEqual(["former", 2]);
    for (const run of (await world.allEnded(shorter)).values()) expect(run.output).toBe(1);
  });

  it("G8: a step that became another kind: the attempt names it, and the former version finishes the run", async () => {
    const former = define(
      "changed",
      async (step) => [await step.run("pay", () => 1), await step.sleep("nap", "1h")],
      9,
    );
    const end = await deploy([former]);
    const ids = await sendSome("changed");
    for (const id of ids) await world.reached(id, "sleepStarted");
    await end();
    const endNext = await deploy([define("changed", (step) => step.sleep("pay", "1h"), 9)]);
    await world.advance("1h");
    for (const id of ids) {
      const run = await world.reached(id, "attemptFailed");
      const failed = (await world.timeline(run)).find(({ kind }) => kind === "attemptFailed");
      expect(failed).toMatchObject({ error: { name: "NonDeterminismError", message: expect.stringMatching(/"pay"/) } });
    }
    await endNext();
    await deploy([former]);
    for (const run of (await world.allEnded(ids, () => world.advance("10m"))).values()) {
      expect(run).toMatchObject({ status: "Completed", output: [1, null] });
    }
  });
}
