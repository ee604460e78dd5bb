/** Which waiter gets a free slot, where workers have different functions. */
import { beforeEach, describe, expect, it } from "vitest";
import { offset } from "@eddy/schemas";
import { WorkerPool, type Wanted, type Worker } from "../../src/dispatch/worker-pool.js";

const cause = { offset: offset(1), index: 0 };
const wanted = (functionId: string, runId: string): Wanted => ({ functionId, runId, invocation: 1, cause });
/** How often a worker was looked at. */
let looks: number;

function worker(id: string, slots: number, ...functions: string[]): Worker {
  const link = {
    send: () => undefined,
    close: () => undefined,
    get isCongested() {
      looks += 1;
      return false;
    },
  };
  return { id, link, slots, functions: new Set(functions), inFlight: new Map(), isDraining: false };
}

let pool: WorkerPool;
let served: string[];
beforeEach(() => {
  pool = new WorkerPool();
  served = [];
  looks = 0;
});

function take(functionId: string, runId: string): void {
  const { signal } = new AbortController();
  void pool.take(wanted(functionId, runId), signal).then((taken) => served.push(`${runId} ${taken?.id ?? "-"}`));
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a pool of workers with different functions", () => {
  it("serves requests for one function in their order, and those for others past them", async () => {
    const a = worker("a", 1, "f");
    const b = worker("b", 1, "g");
    pool.add(a);
    pool.add(b);
    take("f", "f1");
    take("f", "f2");
    take("f", "f3");
    take("g", "g1");
    await turn();
    expect(served).toEqual(["f1 a", "g1 b"]);
    pool.release(a, "f1", 1);
    await turn();
    pool.release(a, "f2", 1);
    await turn();
    expect(served).toEqual(["f1 a", "g1 b", "f2 a", "f3 a"]);
  });

  it("gives a slot that several wait for to the one that came first", async () => {
    const both = worker("both", 1, "f", "g");
    pool.add(both);
    for (const id of ["f1", "g1", "f2"]) take(id.slice(0, 1), id);
    for (const id of ["f1", "g1"]) {
      await turn();
      pool.release(both, id, 1);
    }
    await turn();
    expect(served).toEqual(["f1 both", "g1 both", "f2 both"]);
  });

  it("lets nobody overtake those who wait for the same function", () => {
    const a = worker("a", 1, "f");
    pool.add(a);
    take("f", "f1");
    take("f", "f2");
    expect(pool.tryTake(wanted("f", "f3"))).toBeNull();
    pool.add(worker("b", 1, "g"));
    expect(pool.tryTake(wanted("g", "g1"))?.id).toBe("b");
  });

  it("looks at the workers once per function that goes on waiting, however many wait", () => {
    const a = worker("a", 1, "f");
    pool.add(a);
    take("f", "f0");
    for (let i = 1; i < 100; i += 1) take("f", `f${i}`);
    looks = 0;
    pool.serve();
    expect(looks).toBe(1);
  });

  it("gives a run back to the worker that had it last, while that has the function", async () => {
    const [a, b] = [worker("a", 5, "f"), worker("b", 5, "f", "g")];
    pool.add(a);
    take("f", "r");
    await turn();
    pool.release(a, "r", 1);
    pool.add(b);
    take("f", "r");
    await turn();
    pool.release(a, "r", 1);
    take("g", "r");
    await turn();
    expect(served).toEqual(["r a", "r a", "r b"]);
  });

  it("gives a run that failed to another worker, if one has a slot", async () => {
    const [a, b] = [worker("a", 5, "f"), worker("b", 1, "f")];
    pool.add(a);
    pool.add(b);
    take("f", "r");
    await turn();
    pool.failedAt("r", "a");
    pool.release(a, "r", 1);
    take("f", "r");
    await turn();
    pool.failedAt("r", "b");
    pool.release(b, "r", 1);
    take("f", "r");
    await turn();
    pool.failedAt("r", "a");
    pool.release(a, "r", 1);
    take("f", "other");
    await turn();
    pool.release(a, "other", 1);
    expect(served).toEqual(["r a", "r b", "r a", "other a"]);
    b.inFlight.set("busy", { invocation: 1, cause: null, isSent: true, isEnding: false, heartbeats: 0 });
    take("f", "r");
    await turn();
    expect(served.at(-1)).toBe("r a");
  });

  it.each(["drains", "leaves"])("lets any worker answer when the last that has the function %s", async (how) => {
    const [a, b] = [worker("a", 1, "g"), worker("b", 1, "f")];
    pool.add(a);
    pool.add(b);
    take("g", "g1");
    take("g", "g2");
    await turn();
    expect(served).toEqual(["g1 a"]);
    if (how === "drains") pool.drain(a);
    else pool.remove(a);
    await turn();
    expect(served).toEqual(["g1 a", "g2 b"]);
  });

  it("knows who has a function and takes requests", () => {
    const a = worker("a", 1, "f");
    expect(pool.has("f")).toBe(false);
    pool.add(a);
    expect([pool.has("f"), pool.has("g")]).toEqual([true, false]);
    pool.drain(a);
    expect(pool.has("f")).toBe(false);
  });
});
