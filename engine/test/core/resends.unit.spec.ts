/** An event that is sent again has no effect (G6): neither when it comes, nor when its partition reads it again later. */
import { partitionOf } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { Cluster, keyOn } from "./cluster.js";
import { fn, HOUR, waitOp } from "./scenario.js";

const CART = keyOn(1, 4, "cart");
const USER = keyOn(2, 4, "user");
/** Without any value that its sender knows, the event goes to the partition of its id: the user's too. */
const ID = keyOn(2, 4, "id");

const nudge = fn({ id: "nudge", triggers: [{ event: "nudged" }], waits: [{ event: "user/paid", match: "data.user" }] });
const plain = fn({ id: "plain", cancelOn: [{ event: "cart/added", match: "data.cart" }] });

interface Sent {
  readonly stale: boolean;
}

/** What a run finds that asks late for a wait by `match`; it begins between the first sending and the second. */
function found([first, again]: readonly [Sent, Sent], match: string): string[] {
  const c = new Cluster();
  c.register([nudge, plain]);
  c.deliver();
  c.pass(1);
  c.deliver();
  const data = { user: USER, other: USER };
  const copies = c.copies("user/paid", data, { id: ID, ...first });
  expect([...copies.keys()]).toEqual([2]);
  for (const [partition, record] of copies) c.apply(partition, record);
  c.pass(10_000);
  c.send("cart/added", { cart: CART, ...data });
  c.pass(10_000);
  for (const [partition, record] of c.copies("user/paid", data, { id: ID, ...again })) c.apply(partition, record);
  c.deliver();
  expect(c.at(2).rejections).toHaveLength(1);
  const request = c.request();
  c.report(request, [waitOp({ data }, "paid", "user/paid", match, HOUR)]);
  c.deliver();
  return c.of("waitResolved").map(({ eventId }) => eventId);
}

describe("a late wait that reads its partition's inbox again leaves out what was sent again", () => {
  expect(partitionOf(`s:${ID}`, 4)).toBe(2);

  it("by a sender that knew the match value no more than the first time", () => {
    expect(found([{ stale: true }, { stale: true }], "data.user")).toEqual([]);
  });

  it("by a sender that left out the value that the partition knows it by", () => {
    expect(found([{ stale: false }, { stale: true }], "data.user")).toEqual([]);
  });

  it("by another value than it is asked for", () => {
    expect(found([{ stale: false }, { stale: true }], "data.other")).toEqual([]);
    expect(found([{ stale: true }, { stale: true }], "data.other")).toEqual([]);
  });
});
