import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as s from "@eddy/schemas";
import { SEED } from "./arbitraries.js";

describe("canon", () => {
  it.each([
    ["text", "c-1", "s:c-1"],
    ["empty text", "", "s:"],
    ["text that looks like a number", "1", "s:1"],
    ["text that looks like canonical text", "n:1", "s:n:1"],
    ["one", 1, "n:1"],
    ["one point zero", 1.0, "n:1"],
    ["minus zero", -0, "n:0"],
    ["a fraction", 0.1, "n:0.1"],
    ["a large number", 1e21, "n:1e+21"],
    ["the largest safe integer", Number.MAX_SAFE_INTEGER, "n:9007199254740991"],
    ["true", true, "b:1"],
    ["false", false, "b:0"],
    ["text that says true", "true", "s:true"],
  ])("%s", (_name, value, expected) => {
    expect(s.canon(value)).toBe(expected);
  });

  it.each([
    ["a missing value", undefined],
    ["null", null],
    ["NaN", Number.NaN],
    ["infinity", Number.POSITIVE_INFINITY],
    ["an object", { a: 1 }],
    ["an array", ["c-1"]],
    ["an array of one number", [1]],
    ["a big integer", 1n],
    ["a function", () => "c-1"],
    ["a symbol", Symbol("c-1")],
  ])("%s matches nothing", (_name, value) => {
    expect(s.canon(value)).toBeNull();
  });

  it("is the same for two values only if they are the same scalar", () => {
    const scalar = fc.oneof(fc.string(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean());
    fc.assert(
      fc.property(scalar, scalar, (a, b) => {
        expect(s.canon(a) === s.canon(b)).toBe(a === b);
      }),
      SEED,
    );
  });

  it("survives the event's way through JSON", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.double({ noNaN: true }), fc.boolean()), (value) => {
        const sent = { data: { key: value } };
        const kept: unknown = JSON.parse(JSON.stringify(sent));
        expect(s.canon(s.valueAt(kept, "data.key"))).toBe(s.canon(value));
      }),
      SEED,
    );
  });
});

describe("valueAt", () => {
  const event = { id: "e1", data: { cart: { id: 7 }, list: ["a", "b"], "a-b": 1, none: null } };
  it.each([
    ["id", "e1"],
    ["data.cart.id", 7],
    ["data.list.1", "b"],
    ["data.a-b", 1],
    ["data.none", null],
    ["data.cart", { id: 7 }],
  ])("%s leads to %j", (path, expected) => {
    expect(s.valueAt(event, path)).toEqual(expected);
  });
  it.each(["nope", "data.nope", "data.cart.id.deep", "data.none.x", "data.list.length.x", "id.length"])(
    "%s leads nowhere",
    (path) => {
      expect(s.valueAt(event, path)).toBeUndefined();
    },
  );
  it.each(["constructor", "data.constructor.name", "__proto__", "data.toString", "data.__proto__.x"])(
    "%s is inherited, not the event's own",
    (path) => {
      expect(s.valueAt(event, path)).toBeUndefined();
    },
  );
  it.each([[undefined], [null], ["text"], [3]])("of %j leads nowhere", (root) => {
    expect(s.valueAt(root, "data.x")).toBeUndefined();
  });
});

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

describe("ids", () => {
  it("of runs and route keys are fixed for ever", () => {
    expect(s.runIdOf("shop/cart-abandonment-flow", "e1", "s:c-1")).toBe("fb48sfdm90jmjj2m16qqi6vq7030f");
    expect(s.routeKeyOf("cart/purchased", "data.cart_id", "s:c-1")).toBe("fb4a97hk668cvor9t5432l58ne89m");
    expect(s.configDigest("shop", [fn({ id: "f" })])).toBe("vgaao9fvnli9f0t6gofcl3sc9f");
  });

  it("carry the shard of the value that places them", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (functionId, eventId, anchor) => {
        const runId = s.runIdOf(functionId, eventId, anchor);
        expect(runId).toMatch(/^[0-9a-f]{3}[0-9a-v]{26}$/);
        expect(s.shardOfRun(runId)).toBe(s.shardOf(anchor));
        expect(s.routeKeyOf(functionId, eventId, anchor).slice(0, 3)).toBe(s.shardText(s.shardOf(anchor)));
      }),
      SEED,
    );
  });

  it("differ when any part differs", () => {
    const runs = [
      s.runIdOf("a/f", "e1", "s:1"),
      s.runIdOf("a/g", "e1", "s:1"),
      s.runIdOf("a/f", "e2", "s:1"),
      s.runIdOf("a/f", "e1", "n:1"),
      s.routeKeyOf("a/f", "e1", "s:1"),
    ];
    expect(new Set(runs).size).toBe(runs.length);
  });
});

type Partial<T> = { [K in keyof T]?: T[K] };
const fn = (given: Partial<s.FunctionConfig>): s.FunctionConfig => ({
  id: "f",
  name: "f",
  triggers: [{ event: "cart/added" }],
  cancelOn: [],
  waits: [],
  retries: 4,
  ...given,
});
const app = (...functions: s.FunctionConfig[]): s.RegisteredApp => ({
  app: "shop",
  version: 1,
  digest: "d",
  functions,
});

describe("anchor path", () => {
  const rule = { event: "x", match: "data.rule", timeout: null };
  const wait = { event: "y", match: "data.wait" };
  it.each([
    ["the first cancel rule's", fn({ cancelOn: [rule, { ...rule, match: "data.other" }], waits: [wait] }), "data.rule"],
    ["else the first wait's", fn({ waits: [wait, { ...wait, match: "data.other" }] }), "data.wait"],
    ["else the event's id", fn({}), "id"],
  ])("is %s", (_name, config, expected) => {
    expect(s.anchorPathOf(config)).toBe(expected);
  });
});

describe("routes", () => {
  const cart = fn({
    id: "cart",
    cancelOn: [{ event: "cart/added", match: "data.cart_id", timeout: { ms: 1000 } }],
    waits: [{ event: "cart/purchased", match: "data.cart_id" }],
  });

  it("name every path that anyone listens on, and the anchors of what an event triggers", () => {
    expect([...s.routesOf([app(cart)])]).toEqual([
      ["cart/added", { paths: ["data.cart_id"], anchors: ["data.cart_id"] }],
      ["cart/purchased", { paths: ["data.cart_id"], anchors: [] }],
    ]);
  });

  it("bring the trigger to the partitions of its foreign rules and waits", () => {
    const foreign = fn({
      cancelOn: [{ event: "user/deleted", match: "user.id", timeout: null }],
      waits: [{ event: "pay/done", match: "data.order" }],
    });
    expect(s.routesOf([app(foreign)]).get("cart/added")).toEqual({
      paths: ["data.order", "user.id"],
      anchors: ["user.id"],
    });
  });

  it("do not depend on the order of apps and functions", () => {
    const other = fn({ id: "other", waits: [{ event: "cart/added", match: "data.user" }] });
    const list = (...apps: s.RegisteredApp[]): unknown => [...s.routesOf(apps)];
    expect(list(app(cart, other))).toEqual(list(app(other, cart)));
    expect(list(app(cart), app(other))).toEqual(list(app(other), app(cart)));
  });

  it("of nobody are none", () => {
    expect(s.routesOf([])).toEqual(new Map());
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
