import { afterEach, beforeEach, describe, expect, it } from "vitest";
import cart from "../../examples/cart-abandonment/src/cart-abandonment.js";
import { sentReminders } from "../../examples/cart-abandonment/src/mail.js";
import { World, type WorldKind } from "../world.js";

const added = (cartId: string) => ({
  name: "cart/product.added",
  data: { cart_id: cartId },
  user: { email: "ada@example.com" },
});
const reminder = (cartId: string) => ({ email: "ada@example.com", cart: cartId });

export function cartAbandonment(kind: WorldKind): void {
  describe(`cart abandonment, ${kind}`, () => {
    let world: World;
    beforeEach(async () => {
      sentReminders.length = 0;
      world = await World.start(kind);
      await world.work([cart]);
    });
    afterEach(() => world.close());
    const status = async (eventId: string) => (await world.runsOf(eventId))[0]?.status;

    it("sends one reminder after 24 hours, and not before", async () => {
      const [id = ""] = await world.sendAll(added("c1"));
      await world.reached(id, "waitStarted");
      await world.advance("23h");
      expect(await status(id)).toBe("Running");
      expect(sentReminders).toEqual([]);
      await world.advance("1h");
      expect((await world.ended(id)).status).toBe("Completed");
      expect(sentReminders).toEqual([reminder("c1")]);
    });

    it("sends none after a purchase of this cart; another cart's purchase does not count", async () => {
      const [bought = "", left = ""] = await world.sendAll([added("bought"), added("left")]);
      for (const id of [bought, left]) await world.reached(id, "waitStarted");
      await world.send("cart/purchased", { cart_id: "bought" });
      expect((await world.ended(bought)).status).toBe("Completed");
      await world.advance("24h");
      expect((await world.ended(left)).status).toBe("Completed");
      expect(sentReminders).toEqual([reminder("left")]);
    });

    it("sends one after a burst of 20 adds in one request: the last add counts", async () => {
      const ids = await world.sendAll(Array.from({ length: 20 }, () => added("c1")));
      const last = ids.at(-1) ?? "";
      for (const id of ids.slice(0, -1)) expect((await world.ended(id)).status).toBe("Cancelled");
      await world.reached(last, "waitStarted");
      await world.advance("24h");
      expect((await world.ended(last)).status).toBe("Completed");
      expect(sentReminders).toEqual([reminder("c1")]);
    });

    it("counts 24 hours from the last add", async () => {
      const [first = ""] = await world.sendAll(added("c1"));
      await world.reached(first, "waitStarted");
      await world.advance("12h");
      const [second = ""] = await world.sendAll(added("c1"));
      await world.reached(second, "waitStarted");
      await world.advance("23h");
      expect((await world.ended(first)).status).toBe("Cancelled");
      expect(sentReminders).toEqual([]);
      await world.advance("1h");
      expect((await world.ended(second)).status).toBe("Completed");
      expect(sentReminders).toEqual([reminder("c1")]);
    });
  });
}
