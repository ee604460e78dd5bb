/** Conditions: what they accept, which route they give, and what they answer. */
import { describe, expect, it } from "vitest";
import * as s from "@eddy/schemas";

const event = {
  id: "e1",
  name: "order/made",
  data: { id: "o-1", n: 1, f: 1.5, yes: true, none: null, list: [1, 2], map: { a: 1 }, "a-b": "dash", "x.y": "dot" },
};
const incoming = { id: "e2", name: "order/paid", data: { id: "o-1", n: 1, m: 7, yes: true, none: null, list: [1, 2] } };

/** What is said of a text that is refused, with its position. */
function refusal(text: string, scope: s.ConditionScope = "listen"): { message: string; position: number } {
  try {
    s.checkCondition(text, scope);
  } catch (error) {
    expect(error).toBeInstanceOf(s.ConditionError);
    const { message, position } = error as s.ConditionError;
    return { message, position };
  }
  throw new Error(`it was taken: ${text}`);
}

describe("the route of a condition", () => {
  it.each([
    ["async.data.id == event.data.id", { path: "data.id", of: "data.id" }],
    ["event.data.order.id == async.data.id", { path: "data.id", of: "data.order.id" }],
    ['async["data"]["a-b"] == event.data["a-b"]', { path: "data.a-b", of: "data.a-b" }],
    ["async.data.id == event.id && async.data.n > 1", { path: "data.id", of: "id" }],
    ["async.data.n > 1 && async.data.id == event.id", { path: "data.id", of: "id" }],
    ["async.data.n > 1 && (async.data.m < 2 && async.data.id == event.id)", { path: "data.id", of: "id" }],
    ["has(async.data.id) && async.data.id == event.id", { path: "data.id", of: "id" }],
    ['async.data.kind == "a"', { path: "data.kind", of: "=s:a" }],
    ["async.data.n == 1", { path: "data.n", of: "=n:1" }],
    ["async.data.n == -1", { path: "data.n", of: "=n:-1" }],
    ["async.data.n == 1.5", { path: "data.n", of: "=n:1.5" }],
    ["async.data.n == 0x10", { path: "data.n", of: "=n:16" }],
    ["true == async.data.yes", { path: "data.yes", of: "=b:1" }],
    ['async.data.kind == "a" && async.data.id == event.id', { path: "data.id", of: "id" }],
    ["async.data.a == event.data.a && async.data.b == event.data.b", { path: "data.a", of: "data.a" }],
    ['async.data.kind == "a" && async.data.n == 1', { path: "data.kind", of: "=s:a" }],
    ["async.data.constructor == event.data.__proto__", { path: "data.constructor", of: "data.__proto__" }],
  ])("%s", (text, expected) => {
    expect(s.equalityOf(text)).toEqual(expected);
  });

  it.each([
    "async.data.id == event.data.id || async.data.n == 1",
    "!(async.data.id == event.data.id)",
    "async.data.id != event.data.id",
    "async.data.yes ? async.data.id == event.data.id : false",
    "(async.data.id == event.data.id) == true",
    "async.data.id == async.data.other",
    "event.data.id == event.data.other",
    'event.data.id == "a"',
    "async == event",
    "async.data.id == event",
    "async.data.list[0] == event.data.id",
    'async.data["x.y"] == event.data.id',
    'async.data[""] == event.data.id',
    'async["=x"] == "y"',
    'async.data.id == event["=x"]',
    "async.data.id == null",
    "async.data.n == 1u",
    "async.data.n == 9007199254740993",
    "async.data.n + 1 == 2",
    "async.data.n > 1",
    "has(async.data.id)",
    "async.data.id in [event.data.id]",
    "async.data.yes",
    "true",
  ])("%s has none: it is a lane", (text) => {
    expect(s.equalityOf(text)).toBeNull();
    expect(s.hasMoreThanEquality(text)).toBe(true);
    const lane = s.listenRouteOf({ event: "a/b", match: null, if: text });
    expect(lane).toEqual({ path: "=l:a/b", of: "=l:a/b" });
    expect(s.residualOf({ event: "a/b", match: null, if: text })).toBe(text);
  });

  it("leaves nothing to ask where one equality is all", () => {
    const text = "async.data.id == event.data.id";
    expect(s.hasMoreThanEquality(text)).toBe(false);
    expect(s.residualOf({ event: "a", match: null, if: text })).toBeNull();
    const both = `${text} && async.data.n == event.data.n`;
    expect(s.hasMoreThanEquality(both)).toBe(true);
    expect(s.residualOf({ event: "a", match: null, if: both })).toBe(both);
  });
});

describe("a condition", () => {
  it.each([
    ["async.data.id == event.data.id", true],
    ["async.data.id != event.data.id", false],
    ['async.data.id == "o-1" && event.name == "order/made"', true],
    ["async.data.n == 1 && async.data.m == 7.0", true],
    ["async.data.n + 1 == 2", true],
    ["1 + async.data.n == 2.0", true],
    ["async.data.m - event.data.n * 2 > 4", true],
    ["async.data.m / 2 == 3.5", true],
    ["async.data.m % 2 == 1", true],
    ["event.data.f % 1 == 0.5", true],
    ["size(async.data.list) == 2 && size(async.data.list) + async.data.n == 3", true],
    ["7 / 2 == 3", true],
    ["async.data.m in [1, 7]", true],
    ["event.data.n in async.data.list", true],
    ["async.data.list[0] == 1", true],
    ["has(async.data.id) && !has(async.data.missing)", true],
    ['async.data.id.startsWith("o-") && async.data.id.endsWith("1") && async.data.id.contains("-")', true],
    ["int(string(async.data.n)) == 1 && double(async.data.m) == 7.0 && type(async.data.id) == string", true],
    ["async.data.none == null", true],
    ["async.data.missing == 1 || true", true],
    ["async.data.n == true", false],
    ['async.data.n == "1"', false],
    ["async.data.n == 9007199254740993", false],
  ])("%s is %s", (text, expected) => {
    expect(s.holds(text, event, incoming)).toBe(expected);
  });

  it.each([
    ["a missing key", "async.data.missing == event.data.missing"],
    ["a missing key, not at the top", "async.data.missing > 1"],
    ["a key below text", "async.data.id.deep == 1"],
    ["a key below null", "async.data.none.deep == 1"],
    ["a number and a text", 'async.data.n + "1" == "11"'],
    ["an order of unlike values", "async.data.n < async.data.id"],
    ["something else than true", "async.data.n"],
    ["text for true", "async.data.id"],
    ["a condition that is none", "async.data.n ? true : true"],
    ["no conversion", 'int("x") == 1'],
    ["no whole division", "1 / 0 == 1"],
    ["an overflow", "9223372036854775807 + 1 > 0"],
    ["an index beyond the end", "async.data.list[5] == 1"],
    ["an inherited name", "async.data.constructor == event.data.constructor"],
    ["a prototype", "async.data.__proto__ == event.data.__proto__"],
    ["an inherited method", 'async.data.id.length == 3 || async.data.toString.name == "toString"'],
    ["equal nulls", "async.data.none == event.data.none"],
    ["equal lists", "async.data.list == event.data.list"],
    ["equal nulls, second", "async.data.id == event.data.id && async.data.none == event.data.none"],
  ])("with %s is false, and throws nothing", (_, text) => {
    expect(s.holds(text, event, incoming)).toBe(false);
  });

  it.each([undefined, null, 1, "text", [], [1]])("over the event %j is false, and throws nothing", (odd) => {
    expect(s.holds("async.data.id == event.data.id", odd, incoming)).toBe(false);
    expect(s.holds("async.data.n > 0 && event.data.n > 0", event, odd ?? null)).toBe(false);
    expect(s.holds("event.data.n > 0", odd)).toBe(false);
  });

  it("with the event's own __proto__ reads that", () => {
    const odd: unknown = JSON.parse('{"data":{"__proto__":"p","constructor":"c"}}');
    expect(s.holds("async.data.__proto__ == event.data.__proto__", odd, odd)).toBe(true);
    expect(s.holds('event.data.constructor == "c"', odd)).toBe(true);
  });

  it("of events nested too deep for a comparison is false, and throws nothing", () => {
    const deep = (): unknown => {
      let value: unknown = 1;
      for (let i = 0; i < 200_000; i++) value = [value];
      return { data: { deep: value } };
    };
    expect(s.holds("(async.data.deep == event.data.deep) == true", deep(), deep())).toBe(false);
  });

  it("of a trigger asks the event alone", () => {
    expect(s.holds('event.data.id == "o-1" && event.data.n >= 1', event)).toBe(true);
    expect(s.holds("event.data.n > 1", event)).toBe(false);
    expect(refusal("async.data.n == 1", "trigger").message).toMatch(/async/);
  });
});

describe("a text that is no condition is refused with its position", () => {
  it.each([
    ["async.data.n ==", 15, /EOF/],
    ["async.data.n == 1 && )", 21, /RPAREN/],
    ["async.data.n = 1", 13, /./],
    ["asyn.data.n == 1", 0, /Unknown variable: asyn/],
    ["async.data.n == 1 && foo == 2", 21, /Unknown variable: foo/],
    ["event.data.n == 1e400", 16, /number/],
    ["1 + 2", 0, /expected true or false, this is of type int/],
    ['"text"', 0, /of type string/],
    ["[true]", 0, /of type list/],
    ['async.data.n == 1 && 1 == "1"', 21, /overload/],
    ['async.data.id.matches("^(a+)+$")', 0, /matches\(\) is not for conditions/],
    ["true && async.data.list.all(x, x > 0)", 8, /all\(\) is not/],
    ["async.data.list.exists(event, event == 1)", 0, /exists\(\) is not/],
    ["cel.bind(event, async, event.data.n == 2)", 0, /bind\(\) is not/],
    ['timestamp("2024-01-01T00:00:00.000").getHours() == 1', 0, /getHours\(\) is not/],
    ["now() == 1", 0, /now\(\) is not/],
    ["async.data.id.lowerAscii() == event.id", 0, /lowerAscii\(\) is not/],
  ])("%s", (text, position, message) => {
    expect(refusal(text)).toEqual({ message: expect.stringMatching(message) as string, position });
  });

  it.each([
    ["nodes", `async.data.n in [${"1,".repeat(199)}1] && async.data.m in [${"1,".repeat(199)}1]`],
    ["parentheses", `${"(".repeat(49)}true${")".repeat(49)}`],
    ["additions", `async.data.n${" + 1".repeat(16)} > 0`],
    ["characters", `async.data.id == "${"x".repeat(s.LIMITS.conditionCharsMax - 18)}"`],
  ])("bounds the number of %s, and takes as many", (_, text) => {
    s.checkCondition(text, "listen");
  });
  it.each([
    ["nodes", Array.from({ length: 200 }, () => "async.data.n == 1").join(" && "), /AST/i],
    ["parentheses", `${"(".repeat(2_000)}true${")".repeat(2_000)}`, /depth/i],
    ["additions", `async.data.n${" + 1".repeat(17)} > 0`, /more than 16 additions/],
    ["elements", `async.data.n in [${"1,".repeat(200)}1]`, /list/i],
  ])("bounds the number of %s, and refuses more", (_, text, message) => {
    expect(refusal(text).message).toMatch(message);
  });

  it("says at the doors where the text is wrong", () => {
    const rule = { event: "a", match: null, if: "async.data.n = 1", timeout: null };
    const issue = s.cancelRule.safeParse(rule).error?.issues[0];
    expect(issue?.path).toEqual(["if"]);
    expect(issue?.message).toMatch(/^does not parse as CEL at character 14 of "async.data.n = 1": /);
  });
});

describe("the part of the event that a condition reads", () => {
  it.each<[string, unknown]>([
    ["async.data.id == event.data.id", { data: { id: "o-1" } }],
    [
      "async.data.id == event.id && event.data.n > 0 && has(event.data.map.a)",
      { id: "e1", data: { n: 1, map: { a: 1 } } },
    ],
    ["size(event.data) > 1 && event.data.n == 1", { data: event.data }],
    ["event.data.n == 1 && size(event.data) > 1", { data: event.data }],
    ["event.data.list[0] == async.data.n", { data: { list: [1, 2] } }],
    ['event.data["x.y"] == async.data.id', { data: event.data }],
    ["event.data.missing.deep == 1 || event.data.none.deep == 1", { data: { none: null } }],
    ["async.data.n == 1", {}],
    ["size(event) > 1", event],
    ["async == event", event],
  ])("of %s", (text, expected) => {
    expect(s.scopeOf(text, event)).toEqual(expected);
  });

  it("is not cut out of a list, which would become an object", () => {
    const listed = { data: ["a", "b"] };
    const text = 'event.data["0"] == async.data.id && event.data["1"] != "c"';
    expect(s.scopeOf(text, listed)).toEqual(listed);
  });

  it("does not touch the event, and takes names such as __proto__ as they are", () => {
    const odd: unknown = JSON.parse('{"data":{"__proto__":{"a":1,"b":2},"x":{"y":1,"z":2}}}');
    const before = JSON.stringify(odd);
    const scope = s.scopeOf("event.data.__proto__.a == async.data.x && event.data.x.y == 1", odd);
    expect(JSON.stringify(scope)).toBe('{"data":{"__proto__":{"a":1},"x":{"y":1}}}');
    expect(JSON.stringify(odd)).toBe(before);
    expect(({} as Record<string, unknown>)["a"]).toBeUndefined();
  });
});
