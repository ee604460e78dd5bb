import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeHistory, errorReply, eventRunsReply, LIMITS, offset, sendEventsReply } from "@eddy/schemas";
import { MemoryStoreFactory } from "../../src/adapters/memory/memory-store.js";
import { AddressError, TransientError } from "../../../clients/src/errors/codes.js";
import { HistoryTailer } from "../../src/history/history-tailer.js";
import { inboxOf, inboxOfKind, PARTITIONS, settle, TOPICS, until, world, type World } from "./fixtures.js";
import { FakeOwners, type FakePartition, TestGateway } from "./gateway-fixtures.js";
import { runIdOf, tailerDeps } from "./history-fixtures.js";

describe("HTTP", () => {
  let w: World;
  let url: string;
  let face: TestGateway;
  let tailers: HistoryTailer[];
  let partitions: FakePartition[];

  beforeEach(async () => {
    w = await world();
    const owners = new FakeOwners();
    partitions = owners.fakes;
    const stores = new MemoryStoreFactory();
    tailers = partitions.map((_, partition) => new HistoryTailer(tailerDeps(w, partition, { stores })));
    owners.histories = tailers;
    face = new TestGateway(w, { owners });
    url = await face.listen();
  });
  afterEach(async () => {
    await face.gateway.close();
    await Promise.all(tailers.map((tailer) => tailer.stop()));
    await w.close();
  });

  const post = (path: string, body: string | Uint8Array | undefined, headers: Record<string, string> = {}) =>
    fetch(url + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body }),
    });
  const send = (value: unknown, headers: Record<string, string> = {}) => post("/e/dev", JSON.stringify(value), headers);
  const inboxSize = async (): Promise<number> => {
    const sizes = await Promise.all([0, 1, 2, 3].map((p) => inboxOf(w.log, p)));
    return sizes.reduce((sum, records) => sum + records.length, 0);
  };

  describe("sending", () => {
    it("answers ids and 200 once the log has the events, in their order", async () => {
      const reply = await send([{ name: "a", id: "one" }, { name: "b" }]);
      expect(reply.status).toBe(200);
      expect(sendEventsReply.parse(await reply.json())).toEqual({ ids: ["one", "made-1"], status: 200 });
      expect(await inboxSize()).toBe(2);
    });

    it("takes a single event, and a charset in the content type", async () => {
      const reply = await post("/e/any-key", JSON.stringify({ name: "a", data: { x: "ü" } }), {
        "content-type": "application/json; charset=utf-8",
      });
      expect(reply.status).toBe(200);
      expect(await inboxSize()).toBe(1);
    });

    it("takes the same id twice in one request: the log's readers drop the second", async () => {
      const reply = await send([
        { name: "a", id: "same" },
        { name: "a", id: "same" },
      ]);
      expect(await reply.json()).toEqual({ ids: ["same", "same"], status: 200 });
    });

    it("hands on which ids the SDK made", async () => {
      await send([{ name: "a", id: "x" }], { "x-eddy-generated-ids": "all" });
      await send([{ name: "a", id: "x" }], { "x-eddy-generated-ids": "[]" });
      const all = (await Promise.all([0, 1, 2, 3].map((p) => inboxOfKind(w.log, p, "event")))).flat();
      expect(all.map(({ idFrom }) => idFrom)).toEqual(["generated", "user"]);
    });

    const long = "x".repeat(257);
    it.each<[string, number, string, string | null, unknown]>([
      ["a number", 400, "INVALID_EVENT", null, 7],
      ["null", 400, "INVALID_EVENT", null, null],
      ["a string", 400, "INVALID_EVENT", null, "cart/added"],
      ["an empty array", 400, "EMPTY_REQUEST", null, []],
      ["an array in an array", 400, "INVALID_EVENT", "[0]", [[]]],
      ["no name", 400, "INVALID_EVENT", "name", { data: {} }],
      ["an empty name", 400, "INVALID_EVENT", "name", { name: "" }],
      ["a name of 257 characters", 400, "INVALID_EVENT", "name", { name: long }],
      ["a name that is no string", 400, "INVALID_EVENT", "name", { name: 3 }],
      ["a reserved name", 400, "INVALID_EVENT", "name", { name: "eddy/x" }],
      ["another reserved name", 400, "INVALID_EVENT", "[1].name", [{ name: "a" }, { name: "inngest/x" }]],
      ["an empty id", 400, "INVALID_EVENT", "id", { name: "a", id: "" }],
      ["an id of 257 characters", 400, "INVALID_EVENT", "id", { name: "a", id: long }],
      ["an id that is a number", 400, "INVALID_EVENT", "id", { name: "a", id: 4 }],
      ["a ts below 0", 400, "INVALID_EVENT", "ts", { name: "a", ts: -1 }],
      ["a ts beyond all dates", 400, "INVALID_EVENT", "ts", { name: "a", ts: 8_640_000_000_000_001 }],
      ["a ts with a fraction", 400, "INVALID_EVENT", "ts", { name: "a", ts: 1.5 }],
      ["a ts as text", 400, "INVALID_EVENT", "ts", { name: "a", ts: "2026-01-01" }],
      ["data that is an array", 400, "INVALID_EVENT", "data", { name: "a", data: [] }],
      ["data that is null", 400, "INVALID_EVENT", "data", { name: "a", data: null }],
      ["user that is text", 400, "INVALID_EVENT", "[0].user", [{ name: "a", user: "me" }]],
      ["a version that is too long", 400, "INVALID_EVENT", "v", { name: "a", v: long }],
      ["5,001 events", 400, "TOO_MANY_EVENTS", null, Array.from({ length: 5_001 }, () => ({ name: "a" }))],
      ["an event over 1 MiB", 413, "EVENT_TOO_LARGE", null, { name: "a", data: { x: "y".repeat(1_048_576) } }],
    ])("refuses %s, names the field, and stores and logs nothing", async (_, status, code, path, body) => {
      const reply = await send(body);
      expect(reply.status).toBe(status);
      const { error } = errorReply.parse(await reply.json());
      expect(error).toMatchObject({ code, path });
      expect(error.message).not.toBe("");
      expect(await inboxSize()).toBe(0);
      expect(w.logger.lines).toEqual([]);
    });

    it.each<[string, number, string, string | undefined, Record<string, string>]>([
      ["broken JSON", 400, "INVALID_JSON", '{"name":', {}],
      ["a poisoned prototype", 400, "INVALID_JSON", '{"name":"a","data":{"__proto__":{"x":1}}}', {}],
      ["no body", 400, "EMPTY_REQUEST", "", {}],
      ["text", 415, "UNSUPPORTED_MEDIA_TYPE", '{"name":"a"}', { "content-type": "text/plain" }],
      ["a form", 415, "UNSUPPORTED_MEDIA_TYPE", "name=a", { "content-type": "application/x-www-form-urlencoded" }],
      ["a header that is no list", 400, "INVALID_HEADER", '{"name":"a"}', { "x-eddy-generated-ids": "some" }],
      ["a header with an index too high", 400, "INVALID_HEADER", '{"name":"a"}', { "x-eddy-generated-ids": "[1]" }],
      ["a header with text in it", 400, "INVALID_HEADER", '[{"name":"a"}]', { "x-eddy-generated-ids": '["0"]' }],
    ])("refuses %s", async (_, status, code, body, headers) => {
      const reply = await post("/e/dev", body, headers);
      expect(reply.status).toBe(status);
      expect(errorReply.parse(await reply.json()).error.code).toBe(code);
      expect(await inboxSize()).toBe(0);
      expect(w.logger.lines).toEqual([]);
    });

    it("refuses a body over the limit and an event key that is too long", async () => {
      const large = await post("/e/dev", new Uint8Array(LIMITS.requestBytesMax + 1));
      expect(large.status).toBe(413);
      expect(errorReply.parse(await large.json()).error.code).toBe("REQUEST_TOO_LARGE");
      const key = await post(`/e/${"k".repeat(257)}`, '{"name":"a"}');
      expect(errorReply.parse(await key.json()).error.code).toBe("INVALID_EVENT_KEY");
    });

    it("answers 503 with Retry-After while the log does not answer, without a stack trace", async () => {
      w.log.beforeAppend = () => {
        throw new TransientError("the disk is away");
      };
      const asked = send({ name: "a" });
      let reply: Response | null = null;
      void asked.then((answer) => (reply = answer));
      await until("an answer", () => {
        w.clock.advance(100);
        return reply !== null;
      });
      const answer = await asked;
      expect(answer.status).toBe(503);
      expect(answer.headers.get("retry-after")).toBe("1");
      const text = await answer.text();
      expect(errorReply.parse(JSON.parse(text)).error.code).toBe("UNAVAILABLE");
      expect(text).not.toContain(".ts:");
    });

    it("answers 503 with Retry-After where the log takes too long, whatever comes of it", async () => {
      let release = (): void => undefined;
      w.log.beforeAppend = () => new Promise((resolve) => (release = resolve));
      const asked = send({ name: "a", id: "one" });
      let isAnswered = false;
      void asked.then(() => (isAnswered = true));
      await settle();
      w.clock.advance(9_999);
      await settle();
      expect(isAnswered).toBe(false);
      await until("an answer", () => {
        w.clock.advance(1);
        return isAnswered;
      });
      const answer = await asked;
      expect(answer.status).toBe(503);
      expect(answer.headers.get("retry-after")).toBe("1");
      expect(errorReply.parse(await answer.json()).error.message).toContain("10000 ms");
      release();
    });

    it("answers 500 without a stack trace for a bug, and logs that one", async () => {
      w.log.beforeAppend = () => {
        throw new Error("a bug with secrets");
      };
      const answer = await send({ name: "a" });
      expect(answer.status).toBe(500);
      expect(await answer.text()).not.toMatch(/secrets|\.ts:/);
      expect(w.logger.lines.map(({ level }) => level)).toEqual(["error"]);
    });

    it("lets no web site read answers: no CORS header, no preflight", async () => {
      const preflight = await fetch(`${url}/e/dev`, {
        method: "OPTIONS",
        headers: { origin: "https://evil.example", "access-control-request-method": "POST" },
      });
      expect(preflight.status).toBe(404);
      const reply = await send({ name: "a" }, { origin: "https://evil.example" });
      expect(reply.headers.get("access-control-allow-origin")).toBeNull();
    });
  });

  describe("look-ups", () => {
    const runId = runIdOf("shop/cart", "e 1/ü", "s:x");

    async function started(): Promise<void> {
      await Promise.all(tailers.map((tailer) => tailer.start()));
    }
    async function record(index: number, entry: Parameters<typeof encodeHistory>[1]): Promise<void> {
      const partition = Number.parseInt(runId.slice(0, 3), 16) % PARTITIONS;
      const cause = { offset: offset(1), index };
      const value = encodeHistory(cause, entry);
      const { baseOffset } = await w.log.append(TOPICS.history, partition, [{ key: runId, value }]);
      await tailers[partition]?.reached(offset(baseOffset + 1));
    }
    const base = { runId, functionId: "shop/cart", atMs: 1_000 };
    const start = { kind: "runStarted", ...base, eventId: "e 1/ü", eventName: "cart/added", dueAtMs: 0 } as const;

    it("shows the runs of an event, and one run, in the shape of the API", async () => {
      await started();
      await record(0, start);
      const runs = await fetch(`${url}/v1/events/${encodeURIComponent("e 1/ü")}/runs`);
      const { data } = eventRunsReply.parse(await runs.json());
      expect(data).toMatchObject([{ run_id: runId, status: "Running", event_id: "e 1/ü", output: null, error: null }]);
      await record(1, { kind: "runCompleted", ...base, atMs: 2_000, data: new TextEncoder().encode('{"ok":true}') });
      const one = await fetch(`${url}/v1/runs/${runId}`);
      expect(await one.json()).toEqual({
        data: {
          run_id: runId,
          function_id: "shop/cart",
          event_id: "e 1/ü",
          event_name: "cart/added",
          status: "Completed",
          run_started_at: "1970-01-01T00:00:01.000Z",
          ended_at: "1970-01-01T00:00:02.000Z",
          output: { ok: true },
          error: null,
        },
      });
    });

    it("answers 404 for a run that is not there, and an empty list for such an event", async () => {
      await started();
      for (const id of ["nope", runId, "0".repeat(29)]) {
        const reply = await fetch(`${url}/v1/runs/${id}`);
        expect(reply.status).toBe(404);
        expect(errorReply.parse(await reply.json()).error.code).toBe("RUN_NOT_FOUND");
      }
      for (const id of ["nope", "x".repeat(300)]) {
        expect(await (await fetch(`${url}/v1/events/${id}/runs`)).json()).toEqual({ data: [] });
      }
    });

    it("answers 503 with Retry-After, never a stale answer, until history is read", async () => {
      for (const path of [`/v1/runs/${runId}`, "/v1/events/e/runs"]) {
        const reply = await fetch(url + path);
        expect(reply.status).toBe(503);
        expect(reply.headers.get("retry-after")).toBe("1");
      }
    });

    it("answers errors for paths that cannot be decoded, and for unknown ones", async () => {
      expect((await fetch(`${url}/v1/runs/%zz`)).status).toBe(400);
      const reply = await fetch(`${url}/nope?x=1`);
      expect(reply.status).toBe(404);
      expect(errorReply.parse(await reply.json()).error).toMatchObject({ code: "NOT_FOUND" });
      expect(w.logger.lines).toEqual([]);
    });
  });

  describe("clock", () => {
    it("shows stream time", async () => {
      for (const partition of partitions) partition.advanceMs = 60_000;
      const nowMs = w.clock.nowMs() + 60_000;
      const reply = await (await fetch(`${url}/dev/clock`)).json();
      expect(reply).toEqual({ now: new Date(nowMs).toISOString(), nowMs, advancedMs: 60_000 });
    });

    it("shows no time while a partition is being taken over, and the others' when one has failed", async () => {
      (partitions[1] as FakePartition).status = "starting";
      const reply = await fetch(`${url}/dev/clock`);
      expect(reply.status).toBe(503);
      expect(reply.headers.get("retry-after")).toBe("1");
      (partitions[1] as FakePartition).status = "failed";
      for (const partition of [0, 2, 3]) (partitions[partition] as FakePartition).advanceMs = 7;
      expect(await (await fetch(`${url}/dev/clock`)).json()).toMatchObject({ advancedMs: 7 });
    });

    it("writes an advance to every partition and answers when all have applied it", async () => {
      const asked = post("/dev/clock/advance", '{"by":"24h"}');
      let isAnswered = false;
      void asked.then(() => (isAnswered = true));
      await until("advances in every inbox", async () => (await inboxSize()) === PARTITIONS);
      for (let p = 0; p < PARTITIONS; p += 1) {
        expect(await inboxOf(w.log, p)).toEqual([{ kind: "advance", ms: 86_400_000 }]);
      }
      for (const partition of partitions.slice(1)) {
        partition.processedOffset = 0;
        partition.advanceMs = 86_400_000;
      }
      await settle();
      w.clock.advance(100);
      await settle();
      expect(isAnswered).toBe(false);
      Object.assign(partitions[0] as FakePartition, { processedOffset: 0, advanceMs: 86_400_000 });
      await until("the answer", () => {
        w.clock.advance(5);
        return isAnswered;
      });
      const reply = await asked;
      expect(reply.status).toBe(200);
      expect(await reply.json()).toMatchObject({ advancedMs: 86_400_000 });
    });

    it("moves no partition while one does not run", async () => {
      (partitions[2] as FakePartition).status = "failed";
      const reply = await post("/dev/clock/advance", '{"by":"24h"}');
      expect(reply.status).toBe(503);
      expect(errorReply.parse(await reply.json()).error.message).toContain("2");
      expect(await inboxSize()).toBe(0);
    });

    it.each<[string, string, string | null]>([
      ['{"by":"soon"}', "INVALID_DURATION", "by"],
      ['{"by":"400 days"}', "INVALID_DURATION", "by"],
      ['{"by":-1}', "INVALID_BODY", "by"],
      ['{"by":""}', "INVALID_BODY", "by"],
      ['{"of":"24h"}', "INVALID_BODY", "by"],
      ["7", "INVALID_BODY", null],
      ["{", "INVALID_JSON", null],
    ])("refuses %s", async (body, code, path) => {
      const reply = await post("/dev/clock/advance", body);
      expect(reply.status).toBe(400);
      expect(errorReply.parse(await reply.json()).error).toMatchObject({ code, path });
      expect(await inboxSize()).toBe(0);
    });
  });

  it("tells live from ready, and why it is not", async () => {
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    face.readiness = { ready: false, reasons: ["partition 1: failed"] };
    const reply = await fetch(`${url}/health/ready`);
    expect(reply.status).toBe(503);
    expect(reply.headers.get("retry-after")).toBe("1");
    expect(await reply.json()).toEqual({ status: "not ready", reasons: ["partition 1: failed"] });
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
  });

  it("answers 503 with Retry-After and the reason until the log is there, and lives", async () => {
    face.isStarting = true;
    for (const asked of [send({ name: "a" }), fetch(`${url}/v1/runs/x`), fetch(`${url}/dev/clock`)]) {
      const reply = await asked;
      expect(reply.status).toBe(503);
      expect(reply.headers.get("retry-after")).toBe("1");
      expect(errorReply.parse(await reply.json()).error).toMatchObject({
        code: "UNAVAILABLE",
        message: "waiting for the log",
      });
    }
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    face.isStarting = false;
    expect((await send({ name: "a" })).status).toBe(200);
  });

  it("says at / what it is", async () => {
    const reply = await fetch(url);
    expect(reply.headers.get("content-type")).toContain("text/plain");
    expect(await reply.text()).toContain("/dev/clock/advance");
  });

  it("names a port in use", async () => {
    const port = Number(new URL(url).port);
    const second = new TestGateway(w, { owners: new FakeOwners() });
    await expect(second.listen(port)).rejects.toThrow(AddressError);
    await second.gateway.close();
  });
});
