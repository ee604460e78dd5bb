/** `strict` functions: the log is asked before each step. */
import { expect, it } from "vitest";
import { World, type WorldKind } from "../world.js";

export function strictSteps(kind: WorldKind): void {
  it("G3: no step follows one during which the run was cancelled, whatever its worker knows", async () => {
    const world = await World.start(kind);
    try {
      const began: string[] = [];
      const cancelOn = { event: "order/cancelled", match: "data.order" };
      const fn = world.client.createFunction(
        { id: "ship", strict: true, triggers: [{ event: "order/paid" }], cancelOn },
        async ({ event, step }) => {
          const order = event.data.order as string;
          await step.run("pack", async () => {
            began.push(`pack ${order}`);
            // In the log before the result of this step is.
            if (order.startsWith("cancelled")) await world.send("order/cancelled", { order });
          });
          await step.run("ship", () => void began.push(`ship ${order}`));
          return "shipped";
        },
      );
      await world.work([fn]);
      const orders = Array.from({ length: 10 }, (_, i) => [`cancelled ${i}`, `kept ${i}`]).flat();
      const ids = await world.sendAll(orders.map((order) => ({ name: "order/paid", data: { order } })));
      const ends = await Promise.all(ids.map((id) => world.ended(id)));
      expect(ends.map(({ status }) => status)).toEqual(
        orders.map((o) => (o.startsWith("kept") ? "Completed" : "Cancelled")),
      );
      const shipped = orders.filter((order) => order.startsWith("kept")).map((order) => `ship ${order}`);
      expect(began.filter((step) => step.startsWith("ship")).sort()).toEqual(shipped.sort());
      expect(began.filter((step) => step.startsWith("pack"))).toHaveLength(orders.length);
    } finally {
      await world.close();
    }
  });

  it("parallel steps, waits, retries and memory of results are as without it", async () => {
    const world = await World.start(kind);
    try {
      let entries = 0;
      let flaky = 0;
      const fn = world.client.createFunction(
        { id: "all-of-it", strict: true, triggers: [{ event: "go" }] },
        async ({ event, step }) => {
          entries += 1;
          const [a, b] = await Promise.all([step.run("a", () => 1), step.run("b", () => 2)]);
          await step.run("reply", () => world.send("reply", { n: event.data.n as number }));
          const reply = await step.waitForEvent("wait", { event: "reply", match: "data.n", timeout: "1h" });
          const c = await step.run("c", () => {
            flaky += 1;
            if (flaky === 1) throw new Error("once");
            return 3;
          });
          await step.sleep("nap", "1h");
          return [a, b, reply?.name, c, await step.run("d", () => 4)];
        },
      );
      await world.work([fn]);
      const id = await world.send("go", { n: 1 });
      await world.reached(id, "stepFailed");
      await world.advance("1m");
      await world.reached(id, "sleepStarted");
      await world.advance("1h");
      expect(await world.ended(id)).toMatchObject({ status: "Completed", output: [1, 2, "reply", 3, 4] });
      expect(flaky).toBe(2);
      // The handler is re-entered where an attempt failed; where a step yields it goes on in its closure.
      if (kind !== "kafka") expect(entries).toBe(2);
    } finally {
      await world.close();
    }
  });
}
