/** What the README promises, seen from outside: events in, real workers, on each world that is given. */
import { NonRetriableError, type Eddy } from "@eddy/sdk";
import { afterEach, beforeEach, expect, it } from "vitest";
import { World, type WorldKind } from "../world.js";

function cartFlow(eddy: Eddy, reminded: string[]) {
  return eddy.createFunction(
    {
      id: "cart-abandonment-flow",
      triggers: [{ event: "cart/product.added" }],
      cancelOn: { event: "cart/product.added", timeout: "24h", match: "data.cart_id" },
    },
    async ({ event, step }) => {
      const purchased = await step.waitForEvent("wait-for-purchase", {
        event: "cart/purchased",
        timeout: "24h",
        match: "data.cart_id",
      });
      if (purchased !== null) return "bought";
      await step.run("send-reminder", () => reminded.push(event.data.cart_id as string));
      return "reminded";
    },
  );
}

let world: World;
const reminded: string[] = [];

export function promises(kind: WorldKind): void {
  beforeEach(async () => {
    reminded.length = 0;
    world = await World.start(kind);
  });
  afterEach(() => world.close());
  waits();
  bursts();
  steps();
  doors();
}

function waits(): void {
  it("G1: no timer fires early, and a purchase before the deadline is never a timeout", async () => {
    await world.work([cartFlow(world.client, reminded)]);
    const bought = await world.send("cart/product.added", { cart_id: "bought" });
    const left = await world.send("cart/product.added", { cart_id: "left" });
    await world.reached(bought, "waitStarted");
    await world.reached(left, "waitStarted");
    await world.advance("23h");
    expect((await world.runsOf(left))[0]?.status).toBe("Running");
    await world.send("cart/purchased", { cart_id: "bought" });
    await world.advance("1h");
    expect(await world.ended(bought)).toMatchObject({ status: "Completed", output: "bought" });
    expect(await world.ended(left)).toMatchObject({ status: "Completed", output: "reminded" });
    expect(reminded).toEqual(["left"]);
  });

  it("G2: a wait resolves once, however many events come", async () => {
    await world.work([cartFlow(world.client, reminded)]);
    const id = await world.send("cart/product.added", { cart_id: "c" });
    const runId = await world.reached(id, "waitStarted");
    const purchases = Array.from({ length: 20 }, () => ({ name: "cart/purchased", data: { cart_id: "c" } }));
    await world.sendAll(purchases);
    await world.advance("25h");
    await world.ended(id);
    const ends = (await world.timeline(runId)).filter((e) => e.kind === "waitResolved" || e.kind === "waitTimedOut");
    expect(ends).toHaveLength(1);
    expect(reminded).toEqual([]);
  });

  it("G9: a reply sent 0 ms after the step before the wait, or inside it, is received", async () => {
    const reply = (n: number) => world.send("review/completed", { n, approved: true });
    const fn = world.client.createFunction({ id: "ask", triggers: [{ event: "ask" }] }, async ({ event, step }) => {
      const n = event.data.n as number;
      await step.run("request", () => (n % 2 === 0 ? reply(n) : null));
      if (n % 2 === 1) void reply(n);
      const review = await step.waitForEvent("review", { event: "review/completed", match: "data.n", timeout: "1h" });
      return review === null ? "missed" : "received";
    });
    await world.work([fn]);
    const ids = await world.sendAll(Array.from({ length: 50 }, (_, n) => ({ name: "ask", data: { n } })));
    const outputs = [...(await world.allEnded(ids)).values()].map(({ output }) => output);
    expect(new Set(outputs)).toEqual(new Set(["received"]));
  });
}

function bursts(): void {
  it.each(["in one request", "as single requests"])(
    "G3, G4: of 1,000 adds to one cart %s, 999 are cancelled and 1 is alive",
    async (how) => {
      await world.work([cartFlow(world.client, reminded)]);
      const adds = Array.from({ length: 1_000 }, () => ({ name: "cart/product.added", data: { cart_id: "c" } }));
      const ids =
        how === "in one request"
          ? await world.sendAll(adds)
          : (await Promise.all(adds.map((add) => world.sendAll(add)))).flat();
      const cancelled = new Set<string>();
      await world.until("999 of 1,000 runs are cancelled", () => allButOne(ids, cancelled));
      const runs = (await Promise.all(ids.map((id) => world.runsOf(id)))).flat();
      expect(runs).toHaveLength(1_000);
      const statuses = runs.map((run) => run.status);
      expect(statuses.filter((status) => status === "Cancelled")).toHaveLength(999);
      expect(statuses.filter((status) => status === "Running")).toHaveLength(1);
      if (how === "in one request") expect(statuses.at(-1)).toBe("Running");
      const alive = ids[statuses.indexOf("Running")] as string;
      await world.reached(alive, "waitStarted");
      await world.advance("24h");
      expect(await world.ended(alive)).toMatchObject({ output: "reminded" });
      expect(reminded).toEqual(["c"]);
    },
    120_000,
  );
}

/**
 * Does each of these events have a run, and are all of them cancelled but one at most? Looks no further than to the first two of which that is not known:
 * thousands of look-ups, again and again, would take longer than what they look at.
 */
async function allButOne(ids: readonly string[], cancelled: Set<string>): Promise<true | null> {
  const open = ids.filter((id) => !cancelled.has(id));
  for (let i = 0; i < open.length; i += 50) {
    const some = open.slice(i, i + 50);
    const runs = await Promise.all(some.map((id) => world.runsOf(id)));
    for (const [j, id] of some.entries()) if (runs[j]?.[0]?.status === "Cancelled") cancelled.add(id);
    if (runs.some((of) => of.length === 0) || some.filter((id) => !cancelled.has(id)).length > 1) return null;
  }
  return cancelled.size >= ids.length - 1 || null;
}

function steps(): void {
  it("G5: a recorded step never runs again, through retries of what follows it", async () => {
    let first = 0;
    let second = 0;
    const fn = world.client.createFunction({ id: "two-steps", triggers: [{ event: "go" }] }, async ({ step }) => {
      const a = await step.run("first", () => ++first);
      const b = await step.run("second", () => {
        if (++second < 3) throw new Error(`attempt ${second}`);
        return second;
      });
      return [a, b];
    });
    await world.work([fn]);
    const id = await world.send("go", {});
    await world.reached(id, "stepFailed");
    await world.advance("1m");
    await world.reached(id, "stepFailed", 2);
    await world.advance("2m");
    expect(await world.ended(id)).toMatchObject({ status: "Completed", output: [1, 3] });
    expect([first, second]).toEqual([1, 3]);
  });

  it("says why a run failed: a NonRetriableError ends it at once", async () => {
    let attempts = 0;
    const fn = world.client.createFunction({ id: "fails", triggers: [{ event: "go" }] }, async ({ step }) => {
      await step.run("bad", () => {
        attempts++;
        throw new NonRetriableError("no such customer");
      });
    });
    await world.work([fn]);
    const run = await world.ended(await world.send("go", {}));
    expect(run).toMatchObject({ status: "Failed", error: { message: "no such customer" } });
    expect(attempts).toBe(1);
  });
}

function doors(): void {
  it("G6: a second event with the same id and match values has no effect", async () => {
    await world.work([cartFlow(world.client, reminded)]);
    await world.send("cart/product.added", { cart_id: "c" }, "mine");
    await world.send("cart/product.added", { cart_id: "c" }, "mine");
    await world.send("cart/product.added", { cart_id: "other" }, "mine");
    const runs = await world.until("both carts have a run", async () => {
      const found = await world.runsOf("mine");
      return found.length >= 2 ? found : null;
    });
    expect(runs.map((run) => run.status)).toEqual(["Running", "Running"]);
  });

  it("G8: bad input is refused at the door and stops nothing", async () => {
    await world.work([cartFlow(world.client, reminded)]);
    for (const body of ["{", "[]", "null", { name: "" }, { name: "eddy/x" }, { name: "x", ts: -1 }, { data: {} }]) {
      const response = await world.post("/e/key", body);
      expect(response.status).toBe(400);
      expect(((await response.json()) as { error: { code: string } }).error.code).toBeTruthy();
    }
    const id = await world.send("cart/product.added", { cart_id: "c" });
    await world.reached(id, "waitStarted");
  });
}

/** Not in memory. Where the log is not in the same place, one engine also loses its local data. */
export function restarts(kind: WorldKind): void {
  it.each(kind === "kafka" ? [false, true] : [false])(
    "G7: waits, cancel rules and memoised steps are there again (wiped: %s)",
    async (wiped) => {
      const world = await World.start(kind);
      const reminded: string[] = [];
      try {
        let drafts = 0;
        const review = world.client.createFunction({ id: "rev", triggers: [{ event: "rev" }] }, async ({ step }) => {
          const draft = await step.run("draft", () => ++drafts);
          const answer = await step.waitForEvent("answer", { event: "ans", match: "data.id", timeout: "48h" });
          return { draft, approved: (answer?.data.approved as boolean | undefined) ?? null };
        });
        await world.work([cartFlow(world.client, reminded), review]);
        const cart = await world.send("cart/product.added", { cart_id: "c" });
        const asked = await world.send("rev", { id: 7 });
        await world.reached(cart, "waitStarted");
        await world.reached(asked, "waitStarted");
        await world.restart({ wiped });
        const second = await world.send("cart/product.added", { cart_id: "c" });
        expect(await world.ended(cart)).toMatchObject({ status: "Cancelled" });
        await world.send("ans", { id: 7, approved: true });
        expect(await world.ended(asked)).toMatchObject({ output: { draft: 1, approved: true } });
        expect(drafts).toBe(1);
        await world.reached(second, "waitStarted");
        await world.advance("24h");
        expect(await world.ended(second)).toMatchObject({ output: "reminded" });
        expect(reminded).toEqual(["c"]);
      } finally {
        await world.close();
      }
    },
    120_000,
  );
}
