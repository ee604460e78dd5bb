/**
 * A partition may learn from its home's repeat what the event's own copy lacked there: then what the copy would have done
 * counts from where that stands.
 */
import { describe, expect, it } from "vitest";
import { Cluster, keyOn } from "./cluster.js";
import { fn } from "./scenario.js";

const CART = keyOn(1, 4, "cart");
const USER = keyOn(2, 4, "user");
const data = { cart: CART, user: USER, team: USER };

/** At `data.cart` it lives on partition 1; by `data.user` every event of a cart has a copy on partition 2, too. */
const plain = fn({ id: "plain", cancelOn: [{ event: "cart/added", match: "data.cart" }] });
const other = fn({ id: "other", triggers: [{ event: "x" }], waits: [{ event: "cart/added", match: "data.user" }] });
const asking = fn({
  id: "plain",
  cancelOn: [{ event: "cart/added", match: "data.cart" }],
  waits: [{ event: "user/paid", match: "data.team" }],
});

describe("a guest that its trigger's repeat makes, after a copy that could not", () => {
  it("listens from the copy on (G1), and keeps what came since", () => {
    const c = new Cluster();
    c.register([plain, other]);
    c.deliver();
    c.pass(1);
    c.deliver();
    c.send("cart/added", data, { id: "add" });
    const copyAt = c.at(2).nextOffset - 1;
    c.register([asking, other]);
    c.deliver(({ to, record }) => to === 2 && record.kind === "registered");
    const paid = c.copies("user/paid", data, { id: keyOn(2, 4, "paid"), stale: true });
    expect([...paid.keys()]).toEqual([2]);
    for (const [partition, record] of paid) c.apply(partition, record);
    c.deliver(({ from, to }) => from === 1 && to === 2);
    const repeatAt = c.at(2).nextOffset - 1;
    const rows = [...c.at(2).world.rows];
    const guests = rows.flatMap(([key, row]) => (key.startsWith("g|") ? [row] : []));
    expect(guests).toMatchObject([{ fromOffset: copyAt, heardAt: repeatAt }]);
    expect(rows.flatMap(([key, row]) => (key.startsWith("e|") ? [row] : []))).toMatchObject([
      { eventId: keyOn(2, 4, "paid") },
    ]);
  });
});
