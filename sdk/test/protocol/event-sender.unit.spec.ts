import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Eddy, eventType, SendError } from "../../src/index.js";
import { backoffMs } from "../../src/protocol/backoff.js";
import { EventSender, SEND_TRIES_MAX } from "../../src/protocol/event-sender.js";
import { GENERATED_IDS_HEADER, HttpDelivery } from "../../src/protocol/http-delivery.js";

interface Call {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: { id: string; name: string; data: unknown }[] | { id: string; name: string; data: unknown };
}
type Answer = { status: number; body?: unknown; headers?: Record<string, string> } | Error;

const ok = (ids: readonly string[]): Answer => ({ status: 200, body: { ids, status: 200 } });
const echo = "echo";

/** A sender whose server gives these answers, one per try; `echo` accepts. */
function sender(answers: readonly (Answer | typeof echo)[]) {
  const calls: Call[] = [];
  const slept: number[] = [];
  let made = 0;
  const left = [...answers];
  const fetch = (async (url: string, init: { headers: Record<string, string>; body: string }) => {
    const body = JSON.parse(init.body) as Call["body"];
    calls.push({ url, headers: init.headers, body });
    const next = left.shift();
    const answer = next === echo ? ok([body].flat().map(({ id }) => id)) : next;
    if (answer === undefined) throw new Error("one try too many");
    if (answer instanceof Error) throw answer;
    const text = typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body ?? {});
    return new Response(text, { status: answer.status, ...(answer.headers ? { headers: answer.headers } : {}) });
  }) as unknown as typeof globalThis.fetch;
  const events = new EventSender({
    delivery: new HttpDelivery({ url: "http://gateway/e/key", headers: {}, fetch }),
    known: new Map(),
    sleep: async (ms) => void slept.push(ms),
    random: () => 1 - Number.EPSILON,
    makeId: () => `gen-${++made}`,
  });
  return { events, calls, slept };
}

const refusal = (status: number, code: string, path: string | null = null): Answer => ({
  status,
  body: { status, error: { code, message: `says ${code}`, path } },
});
const busy = refusal(503, "NOT_READY");

describe("ids", () => {
  it("are made before the first try and stay the same over tries", async () => {
    const { events, calls } = sender([new Error("connection refused"), { status: 500 }, busy, echo]);
    await expect(events.send({ name: "a" })).resolves.toEqual({ ids: ["gen-1"] });
    expect(calls.map(({ body }) => body)).toEqual(
      Array.from({ length: 4 }, () => ({ name: "a", id: "gen-1", data: {} })),
    );
  });

  it("are marked as generated: all, or by index, or not at all", async () => {
    const { events, calls } = sender([echo, echo, echo, echo]);
    await events.send([{ name: "a" }, { name: "b" }]);
    await expect(
      events.send([{ name: "a", id: "mine" }, { name: "b" }, { name: "c", id: undefined }]),
    ).resolves.toEqual({
      ids: ["mine", "gen-3", "gen-4"],
    });
    await events.send({ name: "a", id: "mine" });
    await events.send({ name: "a" });
    expect(calls.map(({ headers }) => headers[GENERATED_IDS_HEADER])).toEqual(["all", "[1,2]", undefined, "all"]);
  });

  it("go without their mark when it would not fit into a header", async () => {
    const { events, calls } = sender([echo]);
    await events.send(Array.from({ length: 5_000 }, (_, i) => (i === 0 ? { name: "a", id: "mine" } : { name: "a" })));
    expect(calls[0]?.headers[GENERATED_IDS_HEADER]).toBeUndefined();
  });
});

describe("tries", () => {
  it("are bounded, with backoff that grows to a cap", async () => {
    const { events, calls, slept } = sender(
      Array.from({ length: SEND_TRIES_MAX }, () => new Error("connection refused")),
    );
    await expect(events.send({ name: "a" })).rejects.toMatchObject({ code: "SEND_FAILED", status: null });
    expect(calls).toHaveLength(SEND_TRIES_MAX);
    expect(slept).toEqual([200, 400, 800, 1_600, 3_200]);
    expect(backoffMs({ firstMs: 200, maxMs: 10_000 }, 50, () => 0)).toBe(5_000);
  });

  it.each([
    [429, "7", [7_000]],
    [503, "1", [1_000]],
    [503, "0", [200]],
    [503, "soon", [200]],
  ])("after %i wait as long as Retry-After says (%s)", async (status, retryAfter, expected) => {
    const { events, slept } = sender([{ status, headers: { "retry-after": retryAfter } }, echo]);
    await events.send({ name: "a" });
    expect(slept).toEqual(expected);
  });

  it("after a Retry-After date wait until then, and are given up when it asks for too long", async () => {
    const at = new Date(Date.now() + 20_000).toUTCString();
    const { events, slept } = sender([{ status: 503, headers: { "retry-after": at } }, echo]);
    await events.send({ name: "a" });
    expect(slept[0]).toBeGreaterThan(10_000);
    const long = sender([{ status: 503, headers: { "retry-after": "3600" } }]);
    await expect(long.events.send({ name: "a" })).rejects.toMatchObject({ status: 503 });
  });

  it.each([400, 401, 404, 413, 415])("are not repeated after %i", async (status) => {
    const { events, calls } = sender([refusal(status, "INVALID_EVENT", "[0].name")]);
    await expect(events.send([{ name: "a" }])).rejects.toMatchObject({
      name: "SendError",
      code: "INVALID_EVENT",
      message: "says INVALID_EVENT",
      status,
      path: "[0].name",
    });
    expect(calls).toHaveLength(1);
  });

  it("end with what the server said where it is not Eddy's gateway", async () => {
    const html = sender([{ status: 404, body: "<html>" }]);
    await expect(html.events.send({ name: "a" })).rejects.toThrow("http://gateway/e/key answered 404: <html>");
    const other = sender([{ status: 200, body: { hello: 1 } }]);
    await expect(other.events.send({ name: "a" })).rejects.toThrow("answered 200, but not as Eddy's gateway does");
  });
});

describe("events that cannot be sent are refused before any try", () => {
  const typed = eventType("typed", { schema: z.object({ n: z.number(), at: z.object({ x: z.string() }) }) });
  it.each<[string, unknown, string | null]>([
    ["no name", {}, "name"],
    ["an empty name in a list", [{ name: "a" }, { name: "" }], "[1].name"],
    ["a reserved name", { name: "eddy/x" }, "name"],
    ["a time that is none", { name: "a", ts: -1 }, "ts"],
    ["data that is no object", { name: "a", data: 5 }, "data"],
    ["text", "a", null],
    ["text in a list", ["a"], "[0]"],
    ["a cycle", { name: "a", data: cycle() }, null],
    ["a bigint", { name: "a", data: { n: 1n } }, null],
    ["too many", Array.from({ length: 5_001 }, () => ({ name: "a" })), null],
    ["data that does not fit its schema", typed.create({ n: "1" as never, at: { x: "" } }), "data.n"],
    [
      "data that does not fit its schema, deeper",
      [{ name: "a" }, typed.create({ n: 1, at: {} as never })],
      "[1].data.at.x",
    ],
  ])("%s", async (_, events, path) => {
    const { events: to, calls } = sender([]);
    const error: unknown = await to.send(events as never).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(SendError);
    expect(error).toMatchObject({ code: "EVENT_INVALID", path, status: null });
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({ name: "SendError", code: "EVENT_INVALID", path });
    expect(calls).toEqual([]);
  });

  it("by the client's schemas, where the event is named by text", async () => {
    const eddy = new Eddy({ id: "a", baseUrl: "http://127.0.0.1:1", schemas: [typed] });
    await expect(eddy.send({ name: "typed", data: { n: "x" as never, at: { x: "" } } })).rejects.toMatchObject({
      code: "EVENT_INVALID",
      path: "data.n",
    });
  });
});

it("sends nothing for an empty list", async () => {
  const { events, calls } = sender([]);
  await expect(events.send([])).resolves.toEqual({ ids: [] });
  expect(calls).toEqual([]);
});

it("posts to the gateway with the event key, through the client's fetch", async () => {
  const urls: string[] = [];
  const fetch = (async (url: string, init: { body: string }) => {
    urls.push(url);
    return Response.json({ ids: [(JSON.parse(init.body) as { id: string }).id], status: 200 });
  }) as unknown as typeof globalThis.fetch;
  const eddy = new Eddy({ id: "a", baseUrl: "http://gw:1/base/", eventKey: "k/1", fetch });
  const { ids } = await eddy.send({ name: "x" });
  expect(ids[0]).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
  expect(urls).toEqual(["http://gw:1/base/e/k%2F1"]);
});

function cycle(): object {
  const data: { self?: unknown } = {};
  data.self = data;
  return data;
}
