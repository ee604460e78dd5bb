import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as s from "@eddy/schemas";
import { SEED } from "./arbitraries.js";

describe("shards and partitions", () => {
  /** Fixed for ever: a changed formula would send events to partitions that do not hold their runs. */
  it.each([
    ["s:c-1", 4020, 4, 0],
    ["s:c-1", 4020, 64, 52],
    ["n:42", 1766, 64, 38],
    ["b:1", 1091, 7, 6],
    ["s:", 2974, 64, 30],
  ])("of %s: shard %i; partition of %i is %i", (canonical, shard, partitions, partition) => {
    expect(s.shardOf(canonical)).toBe(shard);
    expect(s.partitionOf(canonical, partitions)).toBe(partition);
  });

  it("stay in their range and spread", () => {
    const used = new Set<number>();
    for (let i = 0; i < 20_000; i++) {
      const shard = s.shardOf(`s:cart-${i}`);
      expect(shard).toBeGreaterThanOrEqual(0);
      expect(shard).toBeLessThan(s.SHARDS);
      used.add(shard);
    }
    expect(used.size).toBeGreaterThan(4000);
  });

  it("put all of a shard on one partition, whatever the number of partitions", () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 4096 }), (value, partitions) => {
        const partition = s.partitionOf(value, partitions);
        expect(partition).toBe(s.partitionOfShard(s.shardOf(value), partitions));
        expect(partition).toBeLessThan(partitions);
      }),
      SEED,
    );
  });
});

const start = {
  functionId: "shop/cart-abandonment-flow",
  eventName: "cart/added",
  eventId: "e1",
  anchorValue: "s:c-1",
};

describe("ids", () => {
  it("of runs and route keys are fixed for ever", () => {
    expect(s.runBaseOf(start)).toBe("fb41c0hheot94k9hjkt839i489674");
    expect(s.runIdAt(s.runBaseOf(start), 1_000)).toBe("fb41c0hheot94k9hjkt839i489674rs");
    expect(s.routeKeyOf("cart/purchased", "data.cart_id", "s:c-1")).toBe("fb4a97hk668cvor9t5432l58ne89m");
    expect(s.configDigest("shop", [fn({ id: "f" })])).toBe("ikfmtjdkhho5glmr35knl6biiv");
  });

  it("carry the shard of the value that places them, and the base of a run", () => {
    const offsets = fc.oneof(fc.nat(), fc.constantFrom(0, 35, 36, Number.MAX_SAFE_INTEGER));
    const property = fc.property(fc.string(), fc.string(), fc.string(), offsets, (functionId, eventId, anchor, at) => {
      const base = s.runBaseOf({ functionId, eventName: "x", eventId, anchorValue: anchor });
      expect(base).toMatch(/^[0-9a-f]{3}[0-9a-v]{26}$/);
      const runId = s.runIdAt(base, at);
      expect(runId.length).toBeLessThanOrEqual(s.LIMITS.runIdCharsMax);
      expect(s.baseOfRun(runId)).toBe(base);
      expect(Number.parseInt(runId.slice(base.length), 36)).toBe(at);
      expect(s.isRunId(runId)).toBe(true);
      expect(s.isRunId(base)).toBe(false);
      expect(s.shardOfRun(runId)).toBe(s.shardOf(anchor));
      expect(s.routeKeyOf(functionId, eventId, anchor).slice(0, 3)).toBe(s.shardText(s.shardOf(anchor)));
    });
    fc.assert(property, SEED);
  });

  it.each([
    "",
    "0a1",
    "x".repeat(30),
    `${"0".repeat(29)}-`,
    `${"0".repeat(29)}A`,
    `0A1${"0".repeat(27)}`,
    "0".repeat(41),
  ])("%j is none of a run", (text) => {
    expect(s.isRunId(text)).toBe(false);
  });

  it("differ when any part differs", () => {
    const bases = [
      start,
      { ...start, functionId: "shop/other" },
      { ...start, eventName: "cart/other" },
      { ...start, eventId: "e2" },
      { ...start, anchorValue: "n:1" },
      // Parts are not run together.
      { ...start, eventName: "cart/addede", eventId: "1" },
    ].map((of) => s.runBaseOf(of));
    const ids = [...bases, s.runIdAt(bases[0] as string, 1), s.runIdAt(bases[0] as string, 2)];
    expect(new Set(ids).size).toBe(ids.length);
  });
});

interface InShort {
  readonly id?: string;
  readonly triggers?: readonly (Partial<s.FunctionTrigger> & { readonly event: string })[];
  readonly cancelOn?: readonly (Partial<s.CancelRule> & { readonly event: string })[];
  readonly waits?: readonly (Partial<s.DeclaredWait> & { readonly event: string })[];
}
const fn = ({ id = "f", triggers = [{ event: "cart/added" }], cancelOn = [], waits = [] }: InShort) =>
  s.functionConfig.parse({
    id,
    name: "f",
    triggers: triggers.map((trigger) => ({ if: null, ...trigger })),
    cancelOn: cancelOn.map((rule) => ({ match: null, if: null, timeout: null, ...rule })),
    waits: waits.map((wait) => ({ match: null, if: null, since: "mark", ...wait })),
    retries: 4,
  });
const app = (...functions: s.FunctionConfig[]): s.RegisteredApp => ({
  app: "shop",
  version: 1,
  digest: "d",
  functions,
  anchors: [],
  learned: [],
  retired: [],
  former: [],
});

describe("anchor path", () => {
  const rule = { event: "x", match: "data.rule" };
  const wait = { event: "y", match: "data.wait" };
  const constant = { event: "x", if: 'async.data.kind == "a"' };
  it.each([
    ["the first cancel rule's", fn({ cancelOn: [rule, { ...rule, match: "data.other" }], waits: [wait] }), "data.rule"],
    ["else the first wait's", fn({ waits: [wait, { ...wait, match: "data.other" }] }), "data.wait"],
    [
      "the trigger's side of a condition",
      fn({ waits: [{ event: "y", if: "async.data.a == event.data.b" }] }),
      "data.b",
    ],
    ["none that is a constant", fn({ cancelOn: [constant], waits: [constant, wait] }), "data.wait"],
    ["none that is a lane", fn({ cancelOn: [{ event: "x" }], waits: [wait] }), "data.wait"],
    ["else the event's id", fn({ waits: [{ event: "x" }, constant] }), "id"],
  ])("is %s", (_name, config, expected) => {
    expect(s.anchorPathOf(config)).toBe(expected);
  });
});

describe("what a wait or rule listens to", () => {
  it.each([
    [{ match: "data.x", if: null }, { path: "data.x", of: "data.x" }, null],
    [{ match: null, if: "async.data.a == event.data.b" }, { path: "data.a", of: "data.b" }, null],
    [
      { match: null, if: "async.data.a == event.data.b && async.data.n > 1" },
      { path: "data.a", of: "data.b" },
      "async.data.a == event.data.b && async.data.n > 1",
    ],
    [{ match: null, if: 'async.data.a == "x"' }, { path: "data.a", of: "=s:x" }, null],
    [{ match: null, if: "async.data.n > 1" }, { path: "=l:a/b", of: "=l:a/b" }, "async.data.n > 1"],
    [{ match: null, if: null }, { path: "=l:a/b", of: "=l:a/b" }, null],
  ])("%j", (given, route, residual) => {
    const listen = { event: "a/b", ...given };
    expect([s.listenRouteOf(listen), s.residualOf(listen)]).toEqual([route, residual]);
  });

  it("of a lane has one value for all events of a name, and another than any event can bring", () => {
    const { path, of } = s.listenRouteOf({ event: "a/b", match: null, if: null });
    expect([s.canonAt({ id: "1" }, path), s.canonAt(null, of)]).toEqual(["l:a/b", "l:a/b"]);
    expect(["l:a/b", 1, true].map(s.canon)).not.toContain("l:a/b");
  });
});

describe("routes", () => {
  const cart = fn({
    id: "cart",
    cancelOn: [{ event: "cart/added", match: "data.cart_id", timeout: { ms: 1000 } }],
    waits: [{ event: "cart/purchased", match: "data.cart_id" }],
  });
  const routes = (...apps: s.RegisteredApp[]): s.Routes => new s.Routes(apps);

  it("name every path that anyone listens on, and the anchors of what an event triggers", () => {
    const of = routes(app(cart));
    expect(of.of("cart/added")).toEqual({ paths: ["data.cart_id"], anchors: ["data.cart_id"] });
    expect(of.of("cart/purchased")).toEqual({ paths: ["data.cart_id"], anchors: [] });
  });

  it("bring the trigger to the partitions of its foreign rules and waits: their side of it", () => {
    const foreign = fn({
      cancelOn: [{ event: "user/deleted", match: "user.id" }],
      waits: [{ event: "pay/done", if: "async.data.ref == event.data.order" }, { event: "any/thing" }],
    });
    const of = routes(app(foreign));
    expect(of.of("cart/added")).toEqual({ paths: ["=l:any/thing", "data.order", "user.id"], anchors: ["user.id"] });
    expect(of.of("user/deleted").paths).toEqual(["user.id"]);
    expect(of.of("pay/done").paths).toEqual(["data.ref"]);
    expect(of.of("any/thing").paths).toEqual(["=l:any/thing"]);
  });

  it("of a name join those of all wildcards that stand for it", () => {
    const all = fn({ id: "all", triggers: [{ event: "*" }] });
    const some = fn({
      id: "some",
      triggers: [{ event: "cart/*" }],
      waits: [{ event: "pay/done", match: "data.user" }],
    });
    const of = routes(app(cart, all, some));
    expect(of.of("cart/added")).toEqual({
      paths: ["data.cart_id", "data.user", "id"],
      anchors: ["data.cart_id", "data.user", "id"],
    });
    expect(of.of("cart/other")).toEqual({ paths: ["data.user", "id"], anchors: ["data.user", "id"] });
    expect(of.of("cart/")).toEqual({ paths: ["data.user", "id"], anchors: ["data.user", "id"] });
    expect(of.of("cart")).toEqual({ paths: ["id"], anchors: ["id"] });
    expect(of.of("pay/done")).toEqual({ paths: ["data.user", "id"], anchors: ["id"] });
  });

  it.each([
    ["a/b", "a/b", true],
    ["a/b", "a/bc", false],
    ["a/*", "a/b", true],
    ["a/*", "a/", true],
    ["a/*", "a", false],
    ["*", "", true],
    ["a/*", "a/*", true],
  ])("the trigger %s and the name %s: %s", (trigger, name, expected) => {
    expect(s.namesEvent(trigger, name)).toBe(expected);
  });

  it("hold what was learned, with its side of the triggers of that function alone", () => {
    const other = fn({ id: "other", triggers: [{ event: "other/made" }] });
    const learned = [
      { functionId: "cart", event: "late/thing", path: "data.late", of: "data.mine" },
      { functionId: "cart", event: "late/const", path: "data.each", of: null },
    ];
    const of = routes({ ...app(cart, other), learned });
    expect(of.of("late/thing")).toEqual({ paths: ["data.late"], anchors: [] });
    expect(of.of("late/const")).toEqual({ paths: ["data.each"], anchors: [] });
    expect(of.of("cart/added")).toEqual({ paths: ["data.cart_id", "data.mine"], anchors: ["data.cart_id"] });
    expect(of.of("other/made")).toEqual({ paths: ["id"], anchors: ["id"] });
  });

  it("hold what runs of former registrations may still listen to", () => {
    const retired = [
      { event: "old/thing", path: "data.old", isListened: true },
      { event: "cart/purchased", path: "data.was", isListened: false },
    ];
    const of = routes({ ...app(cart), retired });
    expect(of.of("old/thing")).toEqual({ paths: ["data.old"], anchors: [] });
    expect(of.of("cart/purchased")).toEqual({ paths: ["data.cart_id", "data.was"], anchors: [] });
    expect(of.all).toEqual(expect.arrayContaining(retired));
  });

  it("tell what is listened to from where triggers are read", () => {
    const of = routes(app(cart));
    const added = { event: "cart/added", path: "data.cart_id" };
    expect(of.of(added.event).paths).toContain(added.path);
    expect(of.isListened({ event: "cart/purchased", path: "data.cart_id" })).toBe(true);
    expect(of.isListened({ ...added, event: "nobody/knows" })).toBe(false);
  });

  it("do not depend on the order of apps and functions, nor on what was asked before", () => {
    const other = fn({
      id: "other",
      triggers: [{ event: "cart/*" }],
      waits: [{ event: "cart/added", match: "data.user" }],
    });
    const names = ["cart/added", "cart/purchased", "cart/else", "none"];
    const list = (asked: readonly string[], ...apps: s.RegisteredApp[]): unknown => {
      const of = routes(...apps);
      const found = new Map(asked.map((name) => [name, of.of(name)]));
      return names.map((name) => found.get(name));
    };
    const expected = list(names, app(cart, other));
    expect(list([...names].reverse(), app(other, cart))).toEqual(expected);
    expect(list(names, app(cart), app(other))).toEqual(expected);
    expect(list([...names, ...names], app(other), app(cart))).toEqual(expected);
  });

  it("of nobody are none", () => {
    expect(routes().of("a")).toEqual(s.NO_ROUTE);
    expect(routes(app(cart)).of("nobody/listens")).toEqual(s.NO_ROUTE);
    expect(routes(app(cart)).of("constructor")).toEqual(s.NO_ROUTE);
  });
});

describe("match values", () => {
  const route: s.EventRoute = { paths: ["data.cart_id", "data.none", "user.id"], anchors: ["data.cart_id"] };
  const event = { id: "e1", user: { id: 7 }, data: { cart_id: "c-1", none: null } };

  it("are the scalars at the route's paths, with the id, sorted by path", () => {
    expect(s.matchValuesOf(event, route)).toEqual([
      ["data.cart_id", "s:c-1"],
      ["id", "s:e1"],
      ["user.id", "n:7"],
    ]);
  });
  it("of an event that nobody knows are its id", () => {
    expect(s.matchValuesOf(event, s.NO_ROUTE)).toEqual([["id", "s:e1"]]);
  });
  it("are found by path", () => {
    const values = s.matchValuesOf(event, route);
    expect([s.matchValue(values, "user.id"), s.matchValue(values, "data.none")]).toEqual(["n:7", null]);
  });
  it("place a run by its anchor, or by the event's id where the anchor is missing", () => {
    const values = s.matchValuesOf(event, route);
    expect([s.anchorValueOf(values, "data.cart_id"), s.anchorValueOf(values, "data.none")]).toEqual(["s:c-1", "s:e1"]);
  });
  it("without an id are a bug", () => {
    expect(() => s.anchorValueOf([["data.x", "s:1"]], "data.y")).toThrow(/always hold its id/);
  });
});

describe("partitions of an event", () => {
  const P = 64;
  const at = (canonical: string): number => s.partitionOf(canonical, P);
  const copies = (event: { id: string }, route: s.EventRoute): readonly number[] =>
    s.partitionsOf(s.matchValuesOf(event, route), route, P);
  const ascending = (...of: number[]): number[] => [...new Set(of)].sort((a, b) => a - b);

  it("is one where trigger, wait and rule share a key", () => {
    const route = { paths: ["data.cart_id"], anchors: ["data.cart_id"] };
    expect(copies({ id: "e1", data: { cart_id: "c-1" } } as { id: string }, route)).toEqual([at("s:c-1")]);
  });
  it("are one per distinct value, ascending, so that the home copy is first", () => {
    const route = { paths: ["data.a", "data.b", "data.c"], anchors: ["data.a"] };
    const event = { id: "e1", data: { a: "x1", b: "x2", c: "x1" } };
    expect(copies(event, route)).toEqual(ascending(at("s:x1"), at("s:x2")));
  });
  it("hold the event's id where an anchor is missing: the run must start somewhere", () => {
    const route = { paths: ["data.a", "data.b"], anchors: ["data.a"] };
    const event = { id: "e1", data: { b: "x2" } };
    expect(copies(event, route)).toEqual(ascending(at("s:e1"), at("s:x2")));
  });
  it("hold the id for an anchor of null as for a missing one", () => {
    const route = { paths: ["data.a"], anchors: ["data.a"] };
    expect(copies({ id: "e1", data: { a: null } } as { id: string }, route)).toEqual([at("s:e1")]);
  });
  it("do not hold the id where only listeners miss their value", () => {
    const route = { paths: ["data.a", "data.b"], anchors: ["data.a"] };
    expect(copies({ id: "e1", data: { a: "x1" } } as { id: string }, route)).toEqual([at("s:x1")]);
  });
  it("are the id's where nobody listens and nothing matches", () => {
    expect(copies({ id: "e1" }, s.NO_ROUTE)).toEqual([at("s:e1")]);
    expect(copies({ id: "e1" }, { paths: ["data.a"], anchors: [] })).toEqual([at("s:e1")]);
  });

  it("always hold every run's and every listener's partition, and never none", () => {
    const scalar = fc.oneof(fc.string(), fc.integer(), fc.constant(null));
    const paths = ["data.a", "data.b", "data.c"];
    const shapes = fc.record({
      data: fc.record({ a: scalar, b: scalar, c: scalar }, { requiredKeys: [] }),
      listened: fc.subarray(paths),
      anchors: fc.subarray(paths),
      partitions: fc.integer({ min: 1, max: 256 }),
    });
    fc.assert(
      fc.property(shapes, ({ data, listened, anchors, partitions }) => {
        const event = { id: "e1", data };
        const route = { paths: [...new Set([...listened, ...anchors])].sort(), anchors };
        const values = s.matchValuesOf(event, route);
        const found = s.partitionsOf(values, route, partitions);
        expect(found.length).toBeGreaterThan(0);
        expect(found).toEqual(ascending(...found));
        for (const anchor of anchors)
          expect(found).toContain(s.partitionOf(s.anchorValueOf(values, anchor), partitions));
        for (const path of listened) {
          const value = s.canon(s.valueAt(event, path));
          if (value !== null) expect(found).toContain(s.partitionOf(value, partitions));
        }
      }),
      SEED,
    );
  });
});
