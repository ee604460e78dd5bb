/** The whole engine, from an HTTP event to a run's end, with a worker that speaks the protocol without the SDK. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { canon, type StepRequest } from "@eddy/schemas";
import { cancelBy, on, waitFor, waitOp } from "../partition/builders.js";
import { eventually, fn, Host, json, parse, type Kind, type Ops, type Script } from "./fixtures.js";

export const greet = fn({ id: "greet", triggers: [on("hello")] });
const cart = fn({
  id: "cart",
  triggers: [on("cart/added")],
  cancelOn: [cancelBy("cart/added", "data.cart", 86_400_000)],
  waits: [waitFor("cart/purchased", "data.cart")],
});

const returns = (value: unknown): Ops => ({ ops: [], outcome: { kind: "returned", data: json(value) } });
const done = (stepId: string, value: unknown): Ops["ops"][number] => ({
  kind: "stepCompleted",
  stepId,
  data: json(value),
});

/** One step, inline, then its result. */
export const greeter: Script = ({ event }) => {
  const { data } = parse(event) as { data: { n: number } };
  return { ops: [done("double", data.n * 2)], outcome: { kind: "returned", data: json({ doubled: data.n * 2 }) } };
};

/** Waits for a purchase, then reminds or not. What the wait gave is in the request's memo. */
const carter: Script = ({ event, memo }: StepRequest) => {
  const settled = memo.find(({ stepId }) => stepId === "wait");
  if (settled !== undefined) {
    if (settled.data !== null) return returns("bought");
    return { ops: [done("remind", "sent")], outcome: { kind: "returned", data: json("reminded") } };
  }
  const value = canon((parse(event) as { data: { cart: string } }).data.cart);
  const wait = { event: "cart/purchased", match: "data.cart", value, timeout: { ms: 86_400_000 } };
  return { ops: [waitOp("wait", wait)], outcome: { kind: "suspended" } };
};
const waitStarted = (host: Host, eventId: string): Promise<string> =>
  eventually("the wait has started", async () => {
    const [run] = await host.runsOf(eventId);
    const lines = run === undefined ? [] : await host.timeline(run.run_id);
    return lines.some(({ kind }) => kind === "waitStarted") && run?.run_id;
  });

let host: Host;

export function thinSlice(kind: Kind): void {
  beforeEach(async () => {
    host = await Host.start(kind);
  });
  afterEach(() => host.close());
  flows();
  workers();
}

function flows(): void {
  it("runs a step for an event and shows the result", async () => {
    await host.worker([greet], greeter);
    const id = await host.send("hello", { n: 21 });
    const run = await host.run(id, "Completed");
    expect(run).toMatchObject({ function_id: "shop/greet", event_id: id, output: { doubled: 42 }, error: null });
    const lines = await host.timeline(run.run_id);
    expect(lines.map((line) => line.kind)).toEqual(["runStarted", "runDispatched", "stepCompleted", "runCompleted"]);
    expect(lines[2]).toMatchObject({ stepId: "double", data: 42 });
    expect(host.logger.lines.filter(({ level }) => level === "error")).toEqual([]);
  });

  it("starts runs for events that were sent before any worker was there", async () => {
    const early = await host.worker([greet], () => null, "early");
    early.close();
    const id = await host.send("hello", { n: 1 });
    await host.run(id, "Running");
    await host.worker([greet], greeter, "late");
    expect((await host.run(id, "Completed")).output).toEqual({ doubled: 2 });
  });

  it("G1: reminds after the deadline, not before, and never after a purchase", async () => {
    await host.worker([cart], carter);
    const left = await host.send("cart/added", { cart: "left" });
    const bought = await host.send("cart/added", { cart: "bought" });
    await waitStarted(host, left);
    await waitStarted(host, bought);
    await host.advance("23h");
    expect((await host.runsOf(left))[0]?.status).toBe("Running");
    await host.send("cart/purchased", { cart: "bought" });
    await host.advance("2h");
    expect((await host.run(left, "Completed")).output).toBe("reminded");
    expect((await host.run(bought, "Completed")).output).toBe("bought");
    const clock = (await (await fetch(`${host.engine.url}/dev/clock`)).json()) as { advancedMs: number };
    expect(clock.advancedMs).toBe(25 * 3_600_000);
  });

  it("G4: of a burst of adds to one cart, one run is alive", async () => {
    await host.worker([cart], carter);
    const adds = Array.from({ length: 50 }, (_, i) => ({ name: "cart/added", id: `add-${i}`, data: { cart: "c" } }));
    expect((await host.post("/e/dev", adds)).status).toBe(200);
    const last = await eventually("49 are cancelled", async () => {
      const runs = (await Promise.all(adds.map(({ id }) => host.runsOf(id)))).flat();
      return runs.filter(({ status }) => status === "Cancelled").length === 49 && runs.at(-1);
    });
    expect(last).toMatchObject({ event_id: "add-49", status: "Running" });
  });

  it("G6: an event id that was sent before starts nothing", async () => {
    await host.worker([greet], greeter);
    await host.send("hello", { n: 1 }, "once");
    await host.run("once", "Completed");
    await host.send("hello", { n: 1 }, "once");
    const after = await host.send("hello", { n: 2 });
    await host.run(after, "Completed");
    expect(await host.runsOf("once")).toHaveLength(1);
  });

  it("gives events without `ts` the time of the moved clock", async () => {
    const worker = await host.worker([greet], greeter);
    await host.advance("48h");
    await host.run(await host.send("hello", { n: 1 }), "Completed");
    const { ts } = parse(worker.requests[0]?.event ?? null) as { ts: number };
    expect(ts - Date.now()).toBeGreaterThan(47 * 3_600_000);
  });
}

function workers(): void {
  it("aborts the worker's invocation of a run that is cancelled", async () => {
    const worker = await host.worker([cart], () => null);
    const first = await host.send("cart/added", { cart: "c" });
    const [request] = await eventually("the request", () => worker.requests.length > 0 && worker.requests);
    await host.send("cart/added", { cart: "c" });
    await eventually("the abort", () => worker.aborted.includes(request?.runId ?? ""));
    expect((await host.run(first, "Cancelled")).run_id).toBe(request?.runId);
  });

  it("answers needState from the partition that owns the run", async () => {
    const worker = await host.worker([cart], carter);
    const id = await host.send("cart/added", { cart: "c" });
    const runId = await waitStarted(host, id);
    worker.send({ kind: "needState", runId, invocation: 99 });
    await host.send("cart/purchased", { cart: "c" });
    expect((await host.run(id, "Completed")).output).toBe("bought");
  });

  it("closes cleanly while work is under way, and says good-bye to workers", async () => {
    const worker = await host.worker([cart], () => null);
    await host.send("cart/added", { cart: "c" });
    await eventually("the request", () => worker.requests.length > 0);
    await host.engine.close();
    await eventually("closed", () => worker.closed);
    expect(worker.closed?.code).toBe(1001);
    await expect(fetch(`${host.engine.url}/health/live`)).rejects.toThrow();
    expect(host.logger.lines.filter(({ level }) => level === "error")).toEqual([]);
  });
}

/** Not in memory. */
export function restarts(kind: Kind): void {
  it("goes on after a restart: waits, clock, ended runs, and workers that come back", async () => {
    const host = await Host.start(kind);
    try {
      const before = await host.worker([cart, greet], (request) =>
        request.functionId === "shop/cart" ? carter(request) : greeter(request),
      );
      const ended = await host.send("hello", { n: 4 });
      await host.run(ended, "Completed");
      const waiting = await host.send("cart/added", { cart: "c" });
      await waitStarted(host, waiting);
      await host.advance("23h");
      await host.restart();
      expect(before.closed).not.toBeNull();
      expect((await host.runsOf(ended))[0]).toMatchObject({ status: "Completed", output: { doubled: 8 } });
      expect((await host.runsOf(waiting))[0]?.status).toBe("Running");
      await host.worker([cart, greet], carter, "again");
      await host.advance("2h");
      expect((await host.run(waiting, "Completed")).output).toBe("reminded");
    } finally {
      await host.close();
    }
  });
}
