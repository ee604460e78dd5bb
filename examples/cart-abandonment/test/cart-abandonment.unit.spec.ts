import { testEngine, type TestEngine } from "@eddy/sdk/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import cartAbandonment from "../src/cart-abandonment.js";
import { sentReminders } from "../src/mail.js";

let t: TestEngine;
beforeEach(async () => {
  sentReminders.length = 0;
  t = await testEngine({ functions: [cartAbandonment] });
});
afterEach(() => t.close());

const added = (cart: string) => ({
  name: "cart/product.added",
  data: { cart_id: cart },
  user: { email: "ada@example.com" },
});
const reminder = (cart: string) => ({ email: "ada@example.com", cart });
const statuses = (runs: readonly string[]): Promise<string[]> =>
  Promise.all(runs.map(async (id) => (await t.run(id)).status));

describe("cart abandonment", () => {
  it("sends one reminder after 24 hours, and not before", async () => {
    const { runs } = await t.send(added("c1"));
    await t.advance("23h");
    expect(await statuses(runs)).toEqual(["Running"]);
    expect(sentReminders).toEqual([]);
    await t.advance("1h");
    expect(await statuses(runs)).toEqual(["Completed"]);
    expect(sentReminders).toEqual([reminder("c1")]);
  });

  it("sends none after a purchase of this cart; another cart's purchase does not count", async () => {
    const { runs } = await t.send([added("bought"), added("left")]);
    await t.send({ name: "cart/purchased", data: { cart_id: "bought" } });
    expect(await statuses(runs)).toEqual(["Completed", "Running"]);
    await t.advance("24h");
    expect(sentReminders).toEqual([reminder("left")]);
  });

  it("sends one after a burst of 20 adds in one request: the last add counts", async () => {
    const { runs } = await t.send(Array.from({ length: 20 }, () => added("c1")));
    expect(await statuses(runs)).toEqual([...Array<string>(19).fill("Cancelled"), "Running"]);
    await t.advance("24h");
    expect(sentReminders).toEqual([reminder("c1")]);
  });

  it("counts 24 hours from the last add", async () => {
    const first = await t.send(added("c1"));
    await t.advance("12h");
    const second = await t.send(added("c1"));
    await t.advance("23h");
    expect(await statuses([...first.runs, ...second.runs])).toEqual(["Cancelled", "Running"]);
    expect(sentReminders).toEqual([]);
    await t.advance("1h");
    expect(sentReminders).toEqual([reminder("c1")]);
  });
});
