/** Of any condition: its route, its answer, and the part of the event that it reads never contradict each other. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as s from "@eddy/schemas";
import { SEED } from "./arbitraries.js";

const scalar = fc.oneof(
  fc.constantFrom<unknown>(
    0,
    1,
    -1,
    1.5,
    -0,
    2 ** 53,
    "",
    "a",
    "1",
    true,
    false,
    null,
    [],
    [1],
    {},
    { a: 1 },
    "\ud800",
  ),
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom("a", "b"),
);
const KEYS = ["a", "b", "c"] as const;
const someEvent = fc.record({
  id: fc.constantFrom("e1", "e2"),
  data: fc.oneof(
    { weight: 9, arbitrary: fc.dictionary(fc.constantFrom(...KEYS, "__proto__", "constructor"), scalar) },
    { weight: 1, arbitrary: scalar },
  ),
});
const field = (root: string) =>
  fc.oneof(
    fc.constantFrom(...KEYS, "__proto__", "constructor").map((key) => `${root}.data.${key}`),
    fc.constantFrom(...KEYS, "0").map((key) => `${root}.data["${key}"]`),
    fc.constant(`${root}.id`),
  );
const literal = fc.constantFrom("0", "1", "-1", "1.5", '"a"', '""', "true", "null", "9007199254740993", "1u", "[1]");
const operand = fc.oneof(field("async"), field("event"), literal);
const { condition } = fc.letrec<{ condition: string; term: string }>((tie) => ({
  term: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...KEYS).map((key) => `async.data.${key} == event.data.${key}`) },
    { weight: 6, arbitrary: fc.tuple(operand, operand).map(([a, b]) => `${a} == ${b}`) },
    fc.tuple(operand, fc.constantFrom("<", "!=", ">="), operand).map((parts) => parts.join(" ")),
    fc.tuple(field("async"), literal).map(([a, b]) => `${a} + ${b} == ${b}`),
    fc
      .oneof(field("async"), field("event"))
      .filter((path) => !path.endsWith("]"))
      .map((path) => `has(${path})`),
    tie("condition").map((text) => `!(${text})`),
    tie("condition").map((text) => `(${text})`),
  ),
  condition: fc.oneof(
    { maxDepth: 3 },
    tie("term"),
    fc.tuple(tie("condition"), fc.constantFrom("&&", "&&", "||"), tie("term")).map((parts) => parts.join(" ")),
  ),
}));
/** Those that the door would take. */
const taken = condition.filter((text) => {
  try {
    s.checkCondition(text, "listen");
    return true;
  } catch (error) {
    if (error instanceof s.ConditionError) return false;
    throw error;
  }
});
const RUNS = { ...SEED, numRuns: 2_000 };

describe("of any condition and any two events", () => {
  it("what holds is found by its route", () => {
    let held = 0;
    const property = fc.property(taken, someEvent, someEvent, (text, started, came) => {
      if (!s.holds(text, started, came)) return;
      const { path, of } = s.listenRouteOf({ event: "x", match: null, if: text });
      expect(s.canonAt(came, path)).not.toBeNull();
      expect(s.canonAt(came, path)).toBe(s.canonAt(started, of));
      held += s.equalityOf(text) === null ? 0 : 1;
    });
    fc.assert(property, RUNS);
    expect(held).toBeGreaterThan(20);
  });

  it("what is found by its route holds, where nothing is left to ask", () => {
    let found = 0;
    const property = fc.property(taken, someEvent, someEvent, (text, started, came) => {
      const listen = { event: "x", match: null, if: text };
      if (s.residualOf(listen) !== null) return;
      const { path, of } = s.listenRouteOf(listen);
      const value = s.canonAt(started, of);
      const isFound = value !== null && s.canonAt(came, path) === value;
      expect(s.holds(text, started, came)).toBe(isFound);
      found += isFound ? 1 : 0;
    });
    fc.assert(property, RUNS);
    expect(found).toBeGreaterThan(20);
  });

  it("the part of the event that it reads gives the same answer, route and value, also as JSON", () => {
    const property = fc.property(taken, someEvent, someEvent, (text, started, came) => {
      const part: unknown = JSON.parse(JSON.stringify(s.scopeOf(text, started)));
      expect(s.holds(text, part, came)).toBe(s.holds(text, started, came));
      const { of } = s.listenRouteOf({ event: "x", match: null, if: text });
      expect(s.canonAt(part, of)).toBe(s.canonAt(started, of));
    });
    fc.assert(property, RUNS);
  });

  it("the answer does not depend on what was asked before", () => {
    let unseen = 0;
    const property = fc.property(taken, fc.array(someEvent, { minLength: 2, maxLength: 4 }), (text, events) => {
      const pairs = events.flatMap((started) => events.map((came) => [started, came] as const));
      const inOrder = pairs.map(([started, came]) => s.holds(text, started, came));
      // Another text with the same meaning is parsed anew.
      const fresh = `${text}${" ".repeat((unseen++ % 50) + 1)}`;
      const backwards = [...pairs].reverse().map(([started, came]) => s.holds(fresh, started, came));
      expect(backwards.reverse()).toEqual(inOrder);
    });
    fc.assert(property, { ...RUNS, numRuns: 1_000 });
  });

  it("any text is taken or refused with a position in it, and never anything else", () => {
    const pieces = fc.constantFrom(
      "async",
      "event",
      ".",
      "data",
      "==",
      "&&",
      "||",
      "!",
      "(",
      ")",
      "[",
      "]",
      "1",
      '"',
      "?",
      ":",
      " ",
      "in",
      "has(",
      "-",
      "{",
      "}",
      ",",
      'b"a"',
      "\n",
    );
    const anyText = fc.oneof(
      fc.array(pieces, { maxLength: 12 }).map((list) => list.join("")),
      fc.string({ unit: "binary" }),
    );
    const property = fc.property(anyText, (text) => {
      try {
        s.checkCondition(text, "listen");
      } catch (error) {
        expect(error).toBeInstanceOf(s.ConditionError);
        const { position } = error as s.ConditionError;
        expect(position).toBeGreaterThanOrEqual(0);
        expect(position).toBeLessThanOrEqual(text.length);
        return;
      }
      expect(typeof s.holds(text, { id: "e1", data: {} }, { id: "e2", data: {} })).toBe("boolean");
      expect(s.equalityOf(text)).toEqual(s.equalityOf(text));
    });
    fc.assert(property, RUNS);
  });
});
