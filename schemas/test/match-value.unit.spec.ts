/** Values by which events meet. */
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

describe("the value at a path", () => {
  it.each([
    ["data.x", "s:a"],
    ["=s:a", "s:a"],
    ["=l:a/b", "l:a/b"],
    ["=", ""],
    ["data.none", null],
    ["data.list", null],
    ["data.missing.deep", null],
    ["data.__proto__", null],
  ])("%s", (path, expected) => {
    expect(s.canonAt({ data: { x: "a", none: null, list: [1] } }, path)).toBe(expected);
  });

  it("that is a constant is among the event's values, and has its copy", () => {
    const route = { paths: ["=l:a", "data.x"], anchors: [] };
    const values = s.matchValuesOf({ id: "e1" }, route);
    expect(values).toEqual([
      ["=l:a", "l:a"],
      ["id", "s:e1"],
    ]);
    expect(s.partitionsOf(values, route, 64)).toEqual([s.partitionOf("l:a", 64)]);
  });
});
