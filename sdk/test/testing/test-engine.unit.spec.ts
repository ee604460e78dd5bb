/** `@eddy/sdk/testing` as its users have it. */
import { BadRecordError } from "@eddy/clients/errors";
import { MemoryEngine } from "@eddy/engine/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RetryAfterError } from "../../src/index.js";
import { testEngine, type TestEngine, type TestEngineOptions } from "../../src/testing/index.js";
import { cart, clock, eddy, mails, order, steps, strict } from "./shop.js";

let t: TestEngine;
const open = async (options: Partial<TestEngineOptions> = {}): Promise<TestEngine> =>
  (t = await testEngine({ functions: [cart, order, steps, strict], ...options }));
const added = (cart_id: string) => ({ name: "cart/product.added", data: { cart_id } });

beforeEach(() => {
  mails.length = 0;
});
afterEach(() => t.close());

describe("a run in virtual time", () => {
  it("waits, times out at its time and not before, and goes on", async () => {
    await open({ now: "2026-01-01T00:00:00Z" });
    const { ids, runs } = await t.send(added("c1"));
    expect(runs).toHaveLength(1);
    expect(await t.run(runs[0])).toMatchObject({
      function: "cart",
      event: { id: ids[0], name: "cart/product.added" },
      status: "Running",
      steps: [{ id: "wait-for-purchase", kind: "wait", status: "Waiting", output: null, attempts: 0 }],
      waits: [{ id: "wait-for-purchase", event: "cart/purchased", until: new Date("2026-01-02T00:00:00Z") }],
    });
    await t.advance(86_400_000 - 1);
    expect(mails).toEqual([]);
    await t.advance(1);
    expect(mails).toEqual(["c1"]);
    expect(t.now).toEqual(new Date("2026-01-02T00:00:00Z"));
    const run = await t.run(runs[0]);
    expect(run).toMatchObject({ status: "Completed", output: "reminded", error: null, waits: [] });
    expect(run.endedAt).toEqual(t.now);
    expect(run.steps).toMatchObject([
      { id: "wait-for-purchase", status: "TimedOut" },
      { id: "send-reminder", kind: "run", status: "Completed", output: 1, attempts: 1 },
    ]);
    expect(run.timeline.map(({ kind }) => kind)).toContain("waitTimedOut");
  });

  it("gets the event that it waits for", async () => {
    await open();
    const { runs } = await t.send(added("c1"));
    await t.send({ name: "cart/purchased", data: { cart_id: "other" } });
    await t.send({ name: "cart/purchased", data: { cart_id: "c1", total: 5 } });
    const run = await t.run(runs[0]);
    expect(run).toMatchObject({ status: "Completed", output: "bought" });
    expect(run.steps).toMatchObject([{ status: "Completed", output: { data: { cart_id: "c1", total: 5 } } }]);
  });

  it("is cancelled by its rule", async () => {
    await open();
    const { runs } = await t.send(added("c1"));
    const later = await t.send([added("c2"), added("c1")]);
    const statuses = [...runs, ...later.runs].map(async (id) => (await t.run(id)).status);
    expect(await Promise.all(statuses)).toEqual(["Cancelled", "Running", "Running"]);
    await t.advance("2 days");
    expect(mails.toSorted()).toEqual(["c1", "c2"]);
    expect((await t.runs("cart")).map(({ status }) => status)).toEqual(["Cancelled", "Completed", "Completed"]);
    expect((await t.run(runs[0])).steps).toMatchObject([{ status: "Withdrawn" }]);
  });

  it("has everything happen at its own time, however far one call moves it", async () => {
    await open({ now: 0 });
    clock.now = () => t.now.getTime();
    const { runs } = await t.send({ name: "steps/start" });
    await t.advance("3 weeks");
    const hour = 3_600_000;
    expect(await t.run(runs[0])).toMatchObject({ output: [hour, 2 * hour, 3 * hour] });
    expect(t.now.getTime()).toBe(21 * 24 * hour);
  });

  it("does not depend on real time, nor on fake timers of the test", async () => {
    vi.useFakeTimers();
    try {
      await open();
      const { runs } = await t.send(added("c1"));
      await t.advance("30 days");
      expect(await t.run(runs[0])).toMatchObject({ status: "Completed" });
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("doubles of steps", () => {
  it("replaces a body, which sees the step's input", async () => {
    await open();
    const body = vi.fn((_: string) => ({ ok: true }));
    t.replaceStep("send-reminder", body);
    const { runs } = await t.send(added("c1"));
    await t.advance("24h");
    expect(body.mock.calls).toEqual([["c1"]]);
    expect(mails).toEqual([]);
    expect((await t.run(runs[0])).steps[1]).toMatchObject({ id: "send-reminder", output: { ok: true } });
    t.restoreStep("send-reminder");
    await t.send(added("c2"));
    await t.advance("24h");
    expect(mails).toEqual(["c2"]);
  });

  it("fails attempts, which are tried again in virtual time", async () => {
    await open();
    t.failStep("charge", new Error("no"), { times: 2 });
    const { runs } = await t.send({ name: "order/placed" });
    expect((await t.run(runs[0])).steps).toMatchObject([
      { id: "charge", status: "Retrying", attempts: 1, error: { message: "no" } },
    ]);
    await t.advance("1 day");
    expect(await t.run(runs[0])).toMatchObject({
      status: "Completed",
      output: { charged: true },
      steps: [{ id: "charge", status: "Completed", attempts: 3 }, { id: "tell" }],
    });
  });

  it("fails a step for good", async () => {
    await open();
    t.failStep("charge", new TypeError("broken"), { in: order });
    const { runs } = await t.send({ name: "order/placed" });
    await t.advance("1 day");
    const run = await t.run(runs[0]);
    expect(run).toMatchObject({ status: "Failed", error: { name: "TypeError", message: "broken" } });
    expect(run.steps).toMatchObject([{ status: "Failed", attempts: 3 }]);
  });

  it("knows RetryAfterError and NonRetriableError", async () => {
    await open();
    t.failStep("charge", new RetryAfterError("later", "2h"), { times: 1 });
    const { runs } = await t.send([{ name: "order/placed" }, { name: "strict/start" }]);
    await t.advance("119m");
    expect((await t.run(runs[0])).steps).toMatchObject([{ status: "Retrying", attempts: 1 }]);
    await t.advance("1m");
    expect((await t.run(runs[0])).status).toBe("Completed");
    expect((await t.run(runs[1])).steps).toMatchObject([{ status: "Failed", attempts: 1 }]);
  });

  it("replaces what a step sends", async () => {
    await open();
    const body = vi.fn(() => ({ ids: ["none"] }));
    t.replaceStep("tell", body, { in: "order" });
    const { runs } = await t.send({ name: "order/placed" });
    expect(body.mock.calls).toEqual([[{ name: "order/charged", data: { orderId: 1 } }]]);
    expect((await t.run(runs[0])).steps[1]).toMatchObject({ id: "tell", output: { ids: ["none"] } });
  });

  it("refuses steps and functions that there are not, and says which there are", async () => {
    await open();
    expect(() => t.replaceStep("send-remindr", () => null)).toThrow(/no step "send-remindr".*"send-reminder"/);
    expect(() => t.failStep("charge", new Error(), { in: "ordr" })).toThrow(
      /no function "ordr"; it has "cart", "order"/,
    );
    expect(() => t.failStep("charge", new Error(), { in: cart })).toThrow(/no step "charge" is in the text of cart/);
    expect(() => t.replaceStep("wait-for-purchase", () => null)).toThrow(/Sleeps and waits have no body/);
    t.replaceStep("charge", () => null, { in: cart, unchecked: true });
  });
});

describe("what goes wrong", () => {
  it("says which step hangs, and goes on when it has ended", async () => {
    await open({ patienceMs: 100 });
    let end = (): void => undefined;
    t.replaceStep("charge", () => new Promise<void>((resolve) => (end = resolve)));
    await expect(t.send({ name: "order/placed" })).rejects.toThrow(
      /nothing has happened for 100 ms, and still runs: step "charge" of order/,
    );
    end();
    await t.advance(0);
    expect(await t.runs()).toMatchObject([{ status: "Completed" }]);
  });

  it("says which runs there are, where one is asked for that is not", async () => {
    await open();
    await expect(t.run("nothing")).rejects.toThrow("there is no run nothing; there are none");
    await t.send(added("c1"));
    await expect(t.run(undefined)).rejects.toThrow(/there is no run undefined; there are .* \(shop\/cart|test\/cart/);
  });

  it("refuses an event that is not valid, and time that goes back", async () => {
    await open();
    await expect(t.send({ name: "" })).rejects.toMatchObject({ name: "SendError", code: "EVENT_INVALID" });
    await expect(t.advanceTo(0)).rejects.toThrow(/advanceTo: expected a time from/);
  });

  it("says in the next call that the engine itself has failed, and in close", async () => {
    await open();
    const failure = vi.spyOn(MemoryEngine.prototype, "failure", "get").mockReturnValue(new Error("a broken invariant"));
    try {
      await expect(t.send(added("c1"))).rejects.toThrow(
        "the engine under test does not work any more: a broken invariant",
      );
      await expect(t.advance("1h")).rejects.toThrow("a broken invariant");
      await expect(t.close()).rejects.toThrow("a broken invariant");
      await expect(testEngine({ functions: [cart] })).rejects.toThrow("a broken invariant");
    } finally {
      failure.mockRestore();
    }
    await open();
  });

  it("says in the next call that the log refused what a step came to", async () => {
    await open();
    vi.spyOn(MemoryEngine.prototype, "report").mockRejectedValueOnce(new BadRecordError("a record of 9 MiB"));
    await expect(t.send({ name: "order/placed" })).rejects.toThrow("a record of 9 MiB");
    await expect(t.close()).rejects.toThrow("a record of 9 MiB");
    await open();
  });

  it("refuses to work once closed", async () => {
    await open();
    await t.close();
    await expect(t.send(added("c1"))).rejects.toThrow("this test engine is closed");
  });
});

describe("the functions' client", () => {
  it("sends to the test engine while that is open", async () => {
    await open({ client: eddy });
    t.replaceStep("charge", () => eddy.send(added("from-step")));
    const { runs } = await t.send({ name: "order/placed" });
    expect((await t.run(runs[0])).status).toBe("Completed");
    expect(await t.runs(cart)).toMatchObject([{ status: "Running" }]);
    await expect(testEngine({ functions: [cart], client: eddy })).rejects.toThrow(/in use by another test engine/);
    await t.close();
    const again = await testEngine({ functions: [cart], client: eddy });
    await again.close();
  });
});
