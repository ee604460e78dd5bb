/** The zod schemas at the doors, each bound at, below and above. */
import { describe, expect, it } from "vitest";
import * as s from "@eddy/schemas";
import type { z } from "zod";

const accepts = (schema: z.ZodType, value: unknown): boolean => schema.safeParse(value).success;
/** Paths of the fields that are at fault. */
function faults(schema: z.ZodType, value: unknown): readonly string[] {
  const { error } = schema.safeParse(value);
  return (error?.issues ?? []).map((issue) => issue.path.join("."));
}
const text = (length: number): string => "x".repeat(length);
const list = <T>(length: number, item: (i: number) => T): T[] => Array.from({ length }, (_, i) => item(i));

describe("an event at the door", () => {
  it("may be a name alone, and may have fields that we do not know", () => {
    expect(accepts(s.eventInput, { name: "a" })).toBe(true);
    expect(s.eventInput.parse({ name: "a", trace: { id: 1 } })).toEqual({ name: "a", trace: { id: 1 } });
  });

  it.each([
    ["name", { name: text(256) }, { name: text(257) }],
    ["name", { name: "a" }, { name: "" }],
    ["name", { name: "eddy" }, { name: "eddy/x" }],
    ["name", { name: "inngest.x" }, { name: "inngest/function.failed" }],
    ["name", { name: "a" }, {}],
    ["name", { name: "a" }, { name: 1 }],
    ["id", { name: "a", id: text(256) }, { name: "a", id: text(257) }],
    ["id", { name: "a", id: "1" }, { name: "a", id: "" }],
    ["id", { name: "a" }, { name: "a", id: null }],
    ["ts", { name: "a", ts: 0 }, { name: "a", ts: -1 }],
    ["ts", { name: "a", ts: 8_640_000_000_000_000 }, { name: "a", ts: 8_640_000_000_000_001 }],
    ["ts", { name: "a", ts: 1 }, { name: "a", ts: 1.5 }],
    ["ts", { name: "a", ts: 1 }, { name: "a", ts: "2026-01-01" }],
    ["data", { name: "a", data: {} }, { name: "a", data: [] }],
    ["data", { name: "a", data: { x: null } }, { name: "a", data: "x" }],
    ["user", { name: "a", user: {} }, { name: "a", user: null }],
    ["v", { name: "a", v: text(64) }, { name: "a", v: text(65) }],
  ])("%s: %j is accepted, %j names the field", (field, good, bad) => {
    expect(faults(s.eventInput, good)).toEqual([]);
    expect(faults(s.eventInput, bad)).toEqual([field]);
  });

  it("comes alone or with up to 5,000 in one request", () => {
    const events = (n: number): unknown => list(n, () => ({ name: "a" }));
    expect(accepts(s.sendEventsBody, { name: "a" })).toBe(true);
    expect([0, 1, 5000, 5001].map((n) => accepts(s.sendEventsBody, events(n)))).toEqual([false, true, true, false]);
  });
});

const trigger = { event: "a", if: null };
const config = (given: object = {}): object => ({
  id: "f",
  name: "f",
  triggers: [trigger],
  cancelOn: [],
  waits: [],
  retries: 4,
  ...given,
});
const rule = { event: "a", match: "data.x", if: null, timeout: null };
const wait = { event: "a", match: "data.x", if: null, since: "mark" };
const lane = { match: null, if: null };
const condition = { match: null, if: "async.data.x == event.data.x" };

describe("a function's configuration at the door", () => {
  it.each([
    ["id", { id: text(128) }, { id: text(129) }],
    ["id", { id: "a.b_c-1" }, { id: "-a" }],
    ["id", { id: "0" }, { id: "a/b" }],
    ["id", { id: "a" }, { id: "a|b" }],
    ["triggers", { triggers: list(10, () => trigger) }, { triggers: list(11, () => trigger) }],
    ["triggers", {}, { triggers: [] }],
    ["triggers.0.event", { triggers: [{ ...trigger, event: "a/*" }] }, { triggers: [{ ...trigger, event: "a/*/b" }] }],
    ["triggers.0.event", { triggers: [{ ...trigger, event: "*" }] }, { triggers: [{ ...trigger, event: "**" }] }],
    ["triggers.0.if", { triggers: [{ ...trigger, if: "event.data.x > 1" }] }, { triggers: [{ ...trigger, if: "" }] }],
    [
      "triggers.0.if",
      { triggers: [{ ...trigger, if: "has(event.user)" }] },
      { triggers: [{ ...trigger, if: "has(async.user)" }] },
    ],
    ["cancelOn.0.if", { cancelOn: [{ ...rule, ...lane }] }, { cancelOn: [{ ...rule, ...lane, if: "nope(" }] }],
    ["cancelOn.0.if", { cancelOn: [{ ...rule, ...condition }] }, { cancelOn: [{ ...rule, if: condition.if }] }],
    ["waits.0.if", { waits: [{ ...wait, ...condition }] }, { waits: [{ ...wait, if: condition.if }] }],
    [
      "waits.0.if",
      { waits: [{ ...wait, ...lane }] },
      { waits: [{ ...wait, ...lane, if: `${" ".repeat(4_093)}true` }] },
    ],
    ["waits.0.since", { waits: [{ ...wait, since: "trigger" }] }, { waits: [{ ...wait, since: "start" }] }],
    ["cancelOn", { cancelOn: list(5, () => rule) }, { cancelOn: list(6, () => rule) }],
    ["cancelOn.0.match", { cancelOn: [rule] }, { cancelOn: [{ ...rule, match: "data..x" }] }],
    ["cancelOn.0", { cancelOn: [rule] }, { cancelOn: [{ ...rule, extra: 1 }] }],
    ["waits", { waits: list(50, () => wait) }, { waits: list(51, () => wait) }],
    ["retries", { retries: 0 }, { retries: -1 }],
    ["retries", { retries: 20 }, { retries: 21 }],
    ["retries", { retries: 1 }, { retries: 1.5 }],
  ])("%s: %j is accepted, %j names the field", (field, good, bad) => {
    expect(faults(s.functionConfig, config(good))).toEqual([]);
    expect(faults(s.functionConfig, config(bad))).toEqual([field]);
  });

  it("says of a condition that does not parse where it goes wrong", () => {
    const given = config({ waits: [wait, { ...wait, ...lane, if: "async.data.x == event.data.x &&& true" }] });
    const issue = s.functionConfig.safeParse(given).error?.issues[0];
    expect(issue?.path).toEqual(["waits", 1, "if"]);
    expect(issue?.message).toMatch(
      /^does not parse as CEL at character \d+ of "async.data.x == event.data.x &&& true": ./,
    );
  });

  it.each(["data.x", "data.cart-id", "user.id", "id", "$x._y", "data.0"])("%s is a match path", (path) => {
    expect(accepts(s.matchPath, path)).toBe(true);
  });
  it.each(["", ".x", "data.", "data..x", "data[0]", "0.data", "data x", "data.x == 1", `d.${text(255)}`])(
    "%s is no match path",
    (path) => {
      expect(accepts(s.matchPath, path)).toBe(false);
    },
  );

  it("holds each function id once", () => {
    expect(accepts(s.appConfig, { app: "shop", functions: [config(), config({ id: "g" })] })).toBe(true);
    expect(faults(s.appConfig, { app: "shop", functions: [config(), config()] })).toEqual(["functions"]);
  });

  it("holds up to 1,000 functions", () => {
    const functions = (n: number): object[] => list(n, (i) => config({ id: `f${i}` }));
    const given = [0, 1000, 1001].map((n) => accepts(s.appConfig, { app: "shop", functions: functions(n) }));
    expect(given).toEqual([true, true, false]);
  });
});

describe("timeouts and slots at the door", () => {
  it.each([
    ["a length", s.timeout, { ms: s.LIMITS.timeoutMsMax }, { ms: s.LIMITS.timeoutMsMax + 1 }],
    ["a negative length", s.timeout, { ms: 0 }, { ms: -1 }],
    ["a point in time", s.timeout, { atMs: 0 }, { atMs: -1 }],
    ["both", s.timeout, { ms: 1 }, { ms: 1, atMs: 1 }],
    [
      "a step id",
      s.stepOp,
      { kind: "stepCompleted", stepId: text(256), data: new Uint8Array() },
      { kind: "stepCompleted", stepId: "", data: new Uint8Array() },
    ],
    ["an advance", s.advanceClockBody, { by: "24h" }, { by: -1 }],
    ["an empty advance", s.advanceClockBody, { by: 0 }, { by: "" }],
  ])("%s", (_name, schema, good, bad) => {
    expect([accepts(schema, good), accepts(schema, bad)]).toEqual([true, false]);
  });
});
