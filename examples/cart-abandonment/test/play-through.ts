/** The function in virtual time, on any engine. */
import type { Eddy, EddyFunction } from "@eddy/sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import cartAbandonment from "../src/cart-abandonment.js";
import { sentReminders } from "../src/mail.js";

const PATIENCE_MS = 20_000;

/** An engine with a worker on the example's functions, wherever it runs. */
export interface Stage {
  /** @returns the events' ids. */
  send(events: Sent | Sent[]): Promise<readonly string[]>;
  /** GET, or POST where there is a body. @returns the parsed answer. @throws Error for any but 2xx. */
  call<T>(path: string, body?: unknown): Promise<T>;
  close(): Promise<void>;
}
type Sent = Parameters<Eddy["send"]>[0] extends infer Payload ? Exclude<Payload, readonly unknown[]> : never;

let stage: Stage;

interface Run {
  readonly run_id: string;
  readonly status: "Running" | "Completed" | "Failed" | "Cancelled";
}

const skip = (by: string): Promise<unknown> => stage.call("/dev/clock/advance", { by });

/** Asks again until the answer is yes, for a bounded time. */
async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error(`did not come true within ${PATIENCE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
const runOf = async (eventId: string): Promise<Run | undefined> =>
  (await stage.call<{ data: Run[] }>(`/v1/events/${eventId}/runs`)).data[0];
const has = (eventId: string, status: Run["status"]): Promise<void> =>
  until(`the run of ${eventId} is ${status}`, async () => (await runOf(eventId))?.status === status);
/** The run has begun to wait: from now on its 24 hours count. */
const waits = (eventId: string): Promise<void> =>
  until(`the run of ${eventId} waits`, async () => {
    const run = await runOf(eventId);
    if (run === undefined) return false;
    const { data } = await stage.call<{ data: { kind: string }[] }>(`/v1/runs/${run.run_id}/timeline`);
    return data.some(({ kind }) => kind === "waitStarted");
  });

const added = (cart: string) => ({
  name: "cart/product.added" as const,
  data: { cart_id: cart },
  user: { email: "ada@example.com" },
});
const reminder = (cart: string) => ({ email: "ada@example.com", cart });

export function playThrough(start: (functions: readonly EddyFunction[]) => Promise<Stage>): void {
  describe("cart abandonment", () => {
    beforeEach(async () => {
      sentReminders.length = 0;
      stage = await start([cartAbandonment]);
    });
    afterEach(() => stage.close());

    it("sends one reminder after 24 hours, and not before", async () => {
      const ids = await stage.send(added("c1"));
      const [id = ""] = ids;
      await waits(id);
      await skip("23h");
      expect((await runOf(id))?.status).toBe("Running");
      expect(sentReminders).toEqual([]);
      await skip("1h");
      await has(id, "Completed");
      expect(sentReminders).toEqual([reminder("c1")]);
    });

    it("sends none after a purchase of this cart; another cart's purchase does not count", async () => {
      const ids = await stage.send([added("bought"), added("left")]);
      const [bought = "", left = ""] = ids;
      await waits(bought);
      await waits(left);
      await stage.send({ name: "cart/purchased", data: { cart_id: "bought" } });
      await has(bought, "Completed");
      await skip("24h");
      await has(left, "Completed");
      expect(sentReminders).toEqual([reminder("left")]);
    });

    it("sends one after a burst of 20 adds in one request: the last add counts", async () => {
      const ids = await stage.send(Array.from({ length: 20 }, () => added("c1")));
      const last = ids.at(-1) ?? "";
      for (const id of ids.slice(0, -1)) await has(id, "Cancelled");
      await waits(last);
      await skip("24h");
      await has(last, "Completed");
      expect(sentReminders).toEqual([reminder("c1")]);
    });

    it("counts 24 hours from the last add", async () => {
      const [first = ""] = await stage.send(added("c1"));
      await waits(first);
      await skip("12h");
      const [second = ""] = await stage.send(added("c1"));
      await waits(second);
      await skip("23h");
      await has(first, "Cancelled");
      expect(sentReminders).toEqual([]);
      await skip("1h");
      await has(second, "Completed");
      expect(sentReminders).toEqual([reminder("c1")]);
    });
  });
}
