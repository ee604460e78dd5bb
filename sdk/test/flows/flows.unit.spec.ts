/** The two functions that the first issue is about, as a user pastes them. */
import { beforeEach, describe, expect, it } from "vitest";
import { bench } from "../fixtures.js";
import cartAbandonment from "./cart-abandonment.js";
import { generateAndPublish } from "./generate-and-publish.js";
import { seen } from "./world.js";

beforeEach(() => void (seen.length = 0));

const cart = { name: "cart/product.added", data: { cart_id: "c1" }, user: { email: "a@b.c" } };
const content = { name: "content/generation.requested", data: { contentId: "p1", prompt: "cats" } };
const bought = { name: "cart/purchased", id: "e2", ts: 2, data: { cart_id: "c1" } };
const reviewed = (data: object) => ({ name: "content/review.completed", id: "e3", ts: 3, data });

describe("the cart", () => {
  it("is declared with its trigger, cancel rule and wait", () => {
    expect(cartAbandonment.config).toEqual({
      id: "cart-abandonment-flow",
      name: "cart-abandonment-flow",
      triggers: [{ event: "cart/product.added", if: null }],
      cancelOn: [{ event: "cart/product.added", match: "data.cart_id", if: null, timeout: { ms: 86_400_000 } }],
      waits: [{ event: "cart/purchased", match: "data.cart_id", if: null, since: "mark" }],
      retries: 4,
    });
  });

  it.each([false, true])("reminds once when nothing is bought (replayed by another worker: %s)", async (replayed) => {
    const { engine, replaceWorker } = await bench(cartAbandonment);
    const run = await engine.startRun("app/cart-abandonment-flow", cart);
    if (replayed) await replaceWorker();
    expect(seen).toEqual([]);
    await engine.settle(run, "wait-for-purchase");
    expect([run.status, run.output]).toEqual(["completed", null]);
    expect(seen).toEqual([["mail", "a@b.c", "c1"]]);
  });

  it("does not remind after a purchase", async () => {
    const { engine } = await bench(cartAbandonment);
    const run = await engine.startRun("app/cart-abandonment-flow", cart);
    await engine.settle(run, "wait-for-purchase", bought);
    expect([run.status, seen]).toEqual(["completed", []]);
  });
});

describe("the approval", () => {
  const asked = ["review", "p1", "draft of cats", "http://cms/review/p1"];

  it.each([
    ["approved", reviewed({ contentId: "p1", approved: true }), [asked, ["published", "p1", "draft of cats"]]],
    ["rejected", reviewed({ contentId: "p1", approved: false, feedback: "dogs" }), [asked, ["archived", "p1", "dogs"]]],
    ["not answered", null, [asked]],
  ])("ends when %s, live and replayed alike", async (_, review, expected) => {
    for (const replayed of [false, true]) {
      seen.length = 0;
      const { engine, replaceWorker } = await bench(generateAndPublish);
      const run = await engine.startRun("app/generate-and-publish", content);
      expect(engine.story).toEqual([
        "1 stepCompleted generate-draft",
        "1 stepCompleted request-review",
        "1 waitRequested wait-for-review",
        "1 suspended",
      ]);
      if (replayed) await replaceWorker();
      await engine.settle(run, "wait-for-review", review);
      expect(run.status).toBe("completed");
      expect(seen).toEqual(expected);
    }
  });
});
