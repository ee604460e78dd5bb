/** What a record becomes, by its source's configuration. */
import { describe, expect, it } from "vitest";
import { LIMITS } from "@eddy/schemas";
import type { SourceConfig } from "../../src/config/source-config.js";
import { decodeCloudEvent } from "../../src/sources/cloud-events.js";
import { NO_HEADERS, parseJson, UndecodableError, type Decoded } from "../../src/sources/decoded.js";
import { mappingOf, toEvent } from "../../src/sources/to-event.js";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const headersOf = (given: Record<string, string>) => new Map(Object.entries(given).map(([k, v]) => [k, bytes(v)]));
const PLACE = { topic: "orders", topicId: "5f2b9c0173aa4d1c8f6e0b1a2c3d4e5f", partition: 3, offset: 17 };
const AT = { place: PLACE, recordMs: 1_000, nowMs: 5_000 };

const source = (more: Partial<SourceConfig> = {}): SourceConfig => ({
  topic: "orders",
  format: "json",
  event: "order/placed",
  from: "earliest",
  ...more,
});
const record = (value: unknown, more: Partial<Decoded> = {}): Decoded => ({
  key: null,
  headers: NO_HEADERS,
  value,
  ...more,
});
const eventOf = (config: Partial<SourceConfig>, given: Decoded, at = AT) =>
  toEvent(mappingOf(source(config)), given, at);

/** Why the record is no event. */
function problemOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(UndecodableError);
    return (error as Error).message;
  }
  throw new Error("it was taken");
}

describe("an event of a record", () => {
  it("has the record's place as its id, its time, and the whole value as its data", () => {
    expect(eventOf({}, record({ order: "o1" }))).toEqual({
      name: "order/placed",
      id: "orders/3/17/5f2b9c01",
      ts: 1_000,
      data: { order: "o1" },
    });
  });

  it("takes all of it from where the source says", () => {
    const headers = headersOf({ "event.type": "order/paid" });
    const paths = { event: "headers.event.type", id: "key", ts: "value.meta.at", data: "value.body" };
    const value = { meta: { at: "1970-01-01T00:00:02Z" }, body: { order: "o1" } };
    expect(eventOf(paths, record(value, { key: "k1", headers }))).toEqual({
      name: "order/paid",
      id: "k1",
      ts: 2_000,
      data: { order: "o1" },
    });
    expect(eventOf({ ts: "value.at" }, record({ at: "3000" })).ts).toBe(3_000);
    expect(eventOf({ id: "value.ids.1" }, record({ ids: [7, 8] })).id).toBe("8");
  });

  it("is not delayed by a record's clock that is ahead; a record without a time gets the sender's", () => {
    expect(eventOf({}, record({}), { ...AT, recordMs: 9_000 }).ts).toBe(5_000);
    expect(eventOf({}, record({}), { ...AT, recordMs: -1 })).not.toHaveProperty("ts");
    expect(eventOf({ ts: "value.at" }, record({ at: 9_000 })).ts, "but by what the source names").toBe(9_000);
  });

  it("has an id that fits, whatever the topic is called", () => {
    const topic = "t".repeat(249);
    const { id } = eventOf({}, record({}), { ...AT, place: { ...PLACE, topic } });
    expect(id).toBe(`${PLACE.topicId}/3/17`);
  });

  it.each([
    [{ event: "value.type" }, { type: 7 }, "no name at value.type: expected text, got a number"],
    [{ event: "value.type" }, { type: "eddy/x" }, "name: names that start with eddy/ or inngest/ are reserved"],
    [{ id: "value.id" }, {}, "no id at value.id: expected text or a number, got nothing"],
    [{ id: "value.id" }, { id: "" }, "no id at value.id: expected text or a number, got a string"],
    [{ ts: "value.at" }, { at: "noon" }, 'no time at value.at: expected ms since 1970 or ISO 8601, got "noon"'],
    [{ ts: "value.at" }, {}, "no time at value.at: expected ms since 1970 or ISO 8601, got nothing"],
    [{ data: "value.body" }, { body: null }, "no data at value.body: expected an object, got null"],
    [{}, "text", "no data at value: expected an object, got a string"],
    [{ id: "value.__proto__.x" }, {}, "no id at value.__proto__.x: expected text or a number, got nothing"],
  ])("%j of %j: %s", (config, value, problem) => {
    expect(problemOf(() => eventOf(config, record(value)))).toBe(problem);
  });

  it("is none where the id is longer than ids may be", () => {
    const id = "i".repeat(LIMITS.eventIdCharsMax + 1);
    expect(problemOf(() => eventOf({ id: "value.id" }, record({ id })))).toContain("id");
  });
});

describe("a CloudEvent", () => {
  const { event: _, ...config } = source({ format: "cloudevents" });
  const become = (value: string, headers: Record<string, string> = {}) => {
    const all = headersOf(headers);
    const decoded = record(decodeCloudEvent(bytes(value), all), { headers: all });
    return toEvent(mappingOf(config), decoded, AT);
  };
  const attributes = { specversion: "1.0", id: "7", source: "/shop", type: "order/placed" };
  const prefixed = Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce_${name}`, value]));

  it("is the same event structured and binary, known by its source and id", () => {
    const event = { name: "order/placed", id: "/shop/7", ts: 2_000, data: { order: "o1" } };
    const time = "1970-01-01T00:00:02Z";
    expect(become(JSON.stringify({ ...attributes, time, data: { order: "o1" } }))).toEqual(event);
    const headers = { ...prefixed, ce_time: time, "content-type": "application/json; charset=utf-8" };
    expect(become('{"order":"o1"}', headers)).toEqual(event);
  });

  it("may have no data and no time", () => {
    expect(become("", prefixed)).toEqual({ name: "order/placed", id: "/shop/7", ts: 1_000, data: {} });
  });

  it.each([
    ["{}", {}, "no CloudEvent: it has neither specversion nor a header ce_specversion"],
    ['{"specversion":"0.3"}', {}, 'a CloudEvent of version "0.3", expected "1.0"'],
    ['{"specversion":"1.0","id":"1","type":"a"}', {}, "the CloudEvent has no source"],
    ["<a/>", { ...prefixed, ce_id: "" }, "the value is not JSON"],
    ["{}", { ...prefixed, ce_id: "" }, "the CloudEvent has no id"],
  ])("%s with headers %j is none: %s", (value, headers, problem) => {
    expect(problemOf(() => become(value, headers))).toContain(problem);
  });

  it("with data that is no JSON has it as base64, which is no object", () => {
    const headers = { ...prefixed, "content-type": "text/plain" };
    expect(decodeCloudEvent(bytes("hi"), headersOf(headers))).toMatchObject({ data_base64: "aGk=" });
  });
});

it("bytes that are no UTF-8 are no JSON", () => {
  expect(problemOf(() => parseJson(new Uint8Array([0x22, 0xff, 0x22])))).toContain("not JSON");
});
