/** What an event must be beside its value: conditions of waits, rules and triggers; names with a star; lanes; learned routes. */
import type { InboxRecord } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import type { Row } from "../../src/core/index.js";
import { Cluster } from "./cluster.js";
import { completed, done, fn, HOUR, Scenario, waitOp } from "./scenario.js";

const DEAR = "async.data.user == event.data.user && async.data.amount >= event.data.least";
const buyer = fn({
  id: "buyer",
  triggers: [{ event: "shop/entered" }],
  cancelOn: [{ event: "shop/left", if: "async.data.user == event.data.user && async.data.forGood" }],
  waits: [{ event: "shop/paid", if: DEAR }],
});

function entered(data: Record<string, unknown> = { user: "u1", least: 10 }) {
  const s = new Scenario([buyer]);
  s.send("shop/entered", data);
  return { s, request: s.lastRequest() };
}

describe("a condition of a wait", () => {
  it("is asked of events that have the right value, those that came before it too", () => {
    const { s, request } = entered();
    s.send("shop/paid", { user: "u1", amount: 9 });
    const event = s.send("shop/paid", { user: "u1", amount: 10.5 });
    s.report(request, [waitOp(request, "w", "shop/paid", { if: DEAR }, HOUR)]);
    expect(s.historyOf("waitResolved")).toMatchObject([{ eventId: event, fromLookback: true }]);
  });

  it("leaves an open wait open until it holds; what is missing or of another type makes it false", () => {
    const { s, request } = entered();
    s.report(request, [waitOp(request, "w", "shop/paid", { if: DEAR }, HOUR)]);
    for (const amount of [9, "10", null, undefined, [10]]) s.send("shop/paid", { user: "u1", amount });
    s.send("shop/paid", { user: "u2", amount: 10 });
    expect(s.historyOf("waitResolved")).toEqual([]);
    const event = s.send("shop/paid", { user: "u1", amount: 10 });
    expect(s.historyOf("waitResolved")).toMatchObject([{ eventId: event, fromLookback: false }]);
  });

  it("is asked of each of two waits at one key", () => {
    const { s, request } = entered();
    const cheap = "async.data.user == event.data.user && async.data.amount < event.data.least";
    s.report(request, [
      waitOp(request, "dear", "shop/paid", { if: DEAR }, HOUR),
      waitOp(request, "cheap", "shop/paid", { if: cheap }, HOUR),
    ]);
    s.send("shop/paid", { user: "u1", amount: 1 });
    expect(s.historyOf("waitResolved").map(({ stepId }) => stepId)).toEqual(["cheap"]);
    s.send("shop/paid", { user: "u1", amount: 20 });
    expect(s.historyOf("waitResolved").map(({ stepId }) => stepId)).toEqual(["cheap", "dear"]);
  });

  it("with a constant alone meets events that have it, whatever the trigger is", () => {
    const paid = fn({
      id: "any",
      triggers: [{ event: "go" }],
      waits: [{ event: "mail", if: 'async.data.to == "me"' }],
    });
    const s = new Scenario([paid]);
    s.send("go", {});
    const request = s.lastRequest();
    s.report(request, [waitOp(request, "w", "mail", { if: 'async.data.to == "me"' }, HOUR)]);
    s.send("mail", { to: "you" });
    expect(s.historyOf("waitResolved")).toEqual([]);
    s.send("mail", { to: "me" });
    expect(s.historyOf("waitResolved")).toHaveLength(1);
  });
});

it("cancels only by events for which the condition of the rule holds", () => {
  const { s } = entered();
  s.send("shop/left", { user: "u1", forGood: false });
  s.send("shop/left", { user: "u1" });
  s.send("shop/left", { user: "u2", forGood: true });
  expect(s.historyOf("runCancelled")).toEqual([]);
  const event = s.send("shop/left", { user: "u1", forGood: true });
  expect(s.historyOf("runCancelled")).toMatchObject([{ eventId: event }]);
});

describe("triggers", () => {
  it("with a star start runs for all names that begin so, with the anchor of the function", () => {
    const all = fn({ id: "all", triggers: [{ event: "order/*" }], waits: [{ event: "order/paid", match: "data.k" }] });
    const s = new Scenario([all]);
    for (const name of ["order/a", "order/b.c", "order/", "orders/a", "order"]) s.send(name, { k: "k1" });
    expect(s.runs.map(({ event }) => event.name).sort()).toEqual(["order/", "order/a", "order/b.c"]);
    expect(new Set(s.runs.map(({ anchor }) => anchor))).toEqual(new Set(["s:k1"]));
  });

  it("of one function that fit one event start one run", () => {
    const twice = fn({ id: "twice", triggers: [{ event: "a/*" }, { event: "a/b" }, { event: "*" }] });
    const s = new Scenario([twice]);
    s.send("a/b", {});
    expect(s.runs).toHaveLength(1);
  });

  it("with a condition start runs where it holds, or where another trigger asks nothing", () => {
    const triggers = [
      { event: "a", if: "event.data.n > 1" },
      { event: "a", if: "event.data.n == 0" },
      { event: "b", if: "event.data.n > 1" },
      { event: "b*" },
    ];
    const s = new Scenario([fn({ id: "f", triggers })]);
    for (const n of [0, 1, 2, "2", null]) s.send("a", { n });
    s.send("a", {});
    expect(s.runs).toHaveLength(2);
    s.send("b", { n: 0 });
    expect(s.runs).toHaveLength(3);
  });
});

describe("a lane", () => {
  const open = fn({
    id: "open",
    triggers: [{ event: "go" }],
    waits: [{ event: "bell" }],
    cancelOn: [{ event: "fire" }],
  });

  it("gives every run the events of its name, without any value", () => {
    const s = new Scenario([open]);
    s.send("go", {});
    s.send("go", {});
    for (const request of s.requests.slice(0, 2)) s.report(request, [waitOp(request, "w", "bell", {}, HOUR)]);
    s.send("bell", { loud: true });
    expect(s.historyOf("waitResolved")).toHaveLength(2);
    s.send("fire", {});
    expect(s.historyOf("runCancelled")).toHaveLength(2);
    expect([...s.world.rows.keys()].filter((key) => /^[rsge]\|/.test(key))).toEqual([]);
  });
});

/** Of one partition, which is inbox 0 as well: what it learns it tells itself. */
describe("a wait that nobody declared", () => {
  const plain = fn({ id: "plain", triggers: [{ event: "go" }] });
  function alone(settleMs = 0): Cluster {
    const c = new Cluster(1);
    c.register([plain], settleMs);
    c.deliver();
    c.send("go", { user: "u1" });
    return c;
  }
  const seen = (c: Cluster, ms = HOUR): void => {
    const request = c.request();
    c.report(request, [completed("a"), waitOp(request, "w", "seen", "data.user", ms)]);
  };

  it("gets what came since the run began, is learned, and times out", () => {
    const c = alone();
    const event = c.send("seen", { user: "u1" });
    seen(c);
    expect(c.of("waitResolved")).toMatchObject([{ eventId: event, fromLookback: true }]);
    expect(c.posted.map(({ to, record }) => [to, record.kind])).toEqual([[0, "learn"]]);
    c.deliver();
    const functions = c.at(0).world.get("f" as never) as Row<"functions">;
    expect(functions).toMatchObject({ version: 2, apps: [{ learned: [{ functionId: "plain", event: "seen" }] }] });
    c.pass(1);
    c.deliver();
    expect((c.at(0).world.get("p" as never) as Row<"partition">).settling).toEqual([]);
    c.report(c.request(), [waitOp({ data: { user: "u1" } }, "w2", "seen", "data.user", HOUR)]);
    expect(c.posted, "it is declared now").toEqual([]);
    c.pass(HOUR);
    expect(c.of("waitTimedOut")).toHaveLength(1);
  });

  it("does not time out before its route has settled, and takes nothing after its deadline", () => {
    const c = alone(20_000);
    c.pass(20_001);
    c.deliver();
    seen(c, 1_000);
    c.deliver();
    c.pass(1_500);
    expect(c.of("waitTimedOut")).toEqual([]);
    c.send("seen", { user: "u1" });
    expect(c.of("waitResolved")).toEqual([]);
    c.pass(20_000);
    c.deliver();
    c.pass(1_000);
    expect(c.of("waitTimedOut")).toHaveLength(1);
    c.report(c.request(), [], done());
    expect(c.leftovers()).toEqual([]);
  });

  it("is learned once, however many runs ask for it, and a constant of one run is no route of all", () => {
    const c = alone();
    const first = c.request();
    c.send("go", { user: "u2" });
    const ask = (request: typeof first): void => {
      const own = { if: `async.data.to == "${request.runId}"` };
      c.report(request, [waitOp(request, "w", "seen", "data.user", HOUR), waitOp(request, "x", "mail", own, HOUR)]);
    };
    ask(first);
    ask(c.request());
    expect(c.posted).toHaveLength(4);
    c.deliver();
    const { apps } = c.at(0).world.get("f" as never) as Row<"functions">;
    expect(apps[0]?.learned).toEqual([
      { functionId: "plain", event: "seen", path: "data.user", of: "data.user" },
      { functionId: "plain", event: "mail", path: "data.to", of: null },
    ]);
    c.send("mail", { to: first.runId });
    expect(c.of("waitResolved")).toMatchObject([{ runId: first.runId, stepId: "x" }]);
  });

  it("of an app that nobody registered is not learned", () => {
    const c = alone();
    seen(c);
    const [{ record } = {}] = c.posted;
    const before = c.at(0).effects.length;
    c.apply(0, { ...record, app: "gone" } as InboxRecord);
    expect(c.at(0).rejections).toEqual(["STALE_REGISTRATION"]);
    expect(c.at(0).effects).toHaveLength(before);
  });
});
