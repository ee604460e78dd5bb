import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as s from "@eddy/schemas";
import { z } from "zod";
import { SEED, valuesOf } from "./arbitraries.js";

interface Kind {
  readonly schema: z.ZodType;
  readonly encode: (value: never) => Uint8Array;
  readonly decode: (data: Uint8Array) => unknown;
}

const caused = <T>(encode: (cause: s.Cause, body: T) => Uint8Array) => {
  return ({ cause, body }: { cause: s.Cause; body: T }) => encode(cause, body);
};

/** As it came, without what the record's own kind says. */
function plain({ kind: _, ...record }: s.StepsRecord): object {
  return record;
}

/** Every pair of functions that the codec has, one entry for each kind of record or row. */
const KINDS: Readonly<Record<string, Kind>> = {
  ...Object.fromEntries(
    s.inboxRecord.options.map((schema): [string, Kind] => [
      `inbox ${schema.shape.kind.value}`,
      { schema, encode: s.encodeInbox, decode: s.decodeInbox },
    ]),
  ),
  ...Object.fromEntries(
    (Object.entries(s.ROW_SCHEMAS) as [s.RowKind, z.ZodType][]).map(([kind, schema]): [string, Kind] => [
      `row ${kind}`,
      { schema, encode: (row) => s.encodeRow(kind, row), decode: (data) => s.decodeRow(kind, data) },
    ]),
  ),
  meta: { schema: s.metaRow, encode: s.encodeMeta, decode: s.decodeMeta },
  "step request": {
    schema: s.caused(s.stepRequest),
    encode: caused(s.encodeStepRequest),
    decode: s.decodeStepRequest,
  },
  "request part": {
    schema: s.caused(s.requestPart),
    encode: caused(s.encodeRequestPart),
    decode: (data) => plain(s.decodeStepsRecord(data)),
  },
  "request after parts": {
    schema: s.caused(s.stepRequest).extend({ parts: z.number().int().min(1).max(9) }),
    encode: ({ cause, body, parts }: { cause: s.Cause; body: s.StepRequest; parts: number }) =>
      s.encodeStepRequest(cause, body, parts),
    decode: (data) => plain(s.decodeStepsRecord(data)),
  },
  history: { schema: s.caused(s.historyEntry), encode: caused(s.encodeHistory), decode: s.decodeHistory },
  signal: { schema: s.caused(s.signal), encode: caused(s.encodeSignal), decode: s.decodeSignal },
  registry: { schema: s.registryEntry, encode: s.encodeRegistry, decode: s.decodeRegistry },
  "dead letter": { schema: s.deadLetter, encode: s.encodeDeadLetter, decode: s.decodeDeadLetter },
  "worker frame": { schema: s.workerFrame, encode: s.encodeFrame, decode: s.decodeFrame },
  "gateway frame": { schema: s.gatewayFrame, encode: s.encodeFrame, decode: s.decodeFrame },
};
const ALL = Object.entries(KINDS);

describe.each(ALL)("codec of %s", (_name, { schema, encode, decode }) => {
  const values = valuesOf(schema) as fc.Arbitrary<never>;
  /** Whole records are costly to make: what damages them starts from a few. */
  const some = fc.constantFrom(...fc.sample(values, { ...SEED, numRuns: 20 }));

  it("gives back what it was given, in the shape of the contract", () => {
    fc.assert(
      fc.property(values, (value) => {
        const decoded = decode(encode(value));
        expect(decoded).toStrictEqual(value);
        expect(schema.safeParse(decoded).success).toBe(true);
      }),
      { ...SEED, numRuns: 50 },
    );
  });

  it("is deterministic: a decoded value encodes to the bytes it came from", () => {
    fc.assert(
      fc.property(values, (value) => {
        const data = encode(value);
        expect(Buffer.compare(encode(value), data)).toBe(0);
        expect(Buffer.compare(encode(decode(data) as never), data)).toBe(0);
      }),
      { ...SEED, numRuns: 50 },
    );
  });

  it("answers a record that was cut short with BadRecordError", () => {
    fc.assert(
      fc.property(some, fc.nat(), (value, at) => {
        const data = encode(value);
        expect(() => decode(data.subarray(0, at % data.length))).toThrow(s.BadRecordError);
      }),
      SEED,
    );
  });

  it("answers trailing bytes with BadRecordError", () => {
    fc.assert(
      fc.property(some, (value) => {
        expect(() => decode(Uint8Array.from([...encode(value), 0x01]))).toThrow(s.BadRecordError);
      }),
      { ...SEED, numRuns: 20 },
    );
  });

  it("throws nothing but BadRecordError, whatever the bytes", () => {
    const junk = fc.uint8Array({ maxLength: 200 });
    const headed = fc.tuple(fc.constantFrom(0, 1, 2, 255), fc.integer({ min: 0, max: 12 }), junk);
    const damaged = fc.tuple(some, fc.nat(), fc.integer({ min: 0, max: 255 })).map(([value, at, byte]) => {
      const data = encode(value);
      data[at % data.length] = byte;
      return data;
    });
    const bytes = fc.oneof(
      junk,
      headed.map(([version, kind, rest]) => Uint8Array.from([version, kind, ...rest])),
      damaged,
    );
    fc.assert(
      fc.property(bytes, (data) => {
        let decoded: unknown;
        const thrown = caught(() => (decoded = decode(data)));
        if (thrown !== undefined) expect(thrown).toBeInstanceOf(s.BadRecordError);
        // What anyone can write to has the shape of the contract, or it does not decode.
        else if (decode === s.decodeInbox) expect(s.inboxRecord.safeParse(decoded).success).toBe(true);
      }),
      { ...SEED, numRuns: 500 },
    );
  });
});

function caught(action: () => unknown): unknown {
  try {
    action();
    return undefined;
  } catch (error) {
    return error;
  }
}

const tick = s.encodeInbox({ kind: "tick" });
const head = [s.CODEC_VERSION, 0];
const size32 = (type: number, n: number): number[] => [type, n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];

const FUNCTION = { id: "f", name: "f", triggers: [], cancelOn: [], waits: [], retries: 4 };
const WAIT_OP = {
  kind: "waitRequested",
  stepId: "w",
  event: "a",
  match: null,
  if: null,
  value: null,
  since: "mark",
  timeout: { ms: 1 },
};

describe("codec, hostile input", () => {
  it.each([
    ["nothing", []],
    ["one byte", [s.CODEC_VERSION]],
    ["a later version", [s.CODEC_VERSION + 1, ...tick.subarray(1)]],
    ["version zero", [0, ...tick.subarray(1)]],
    ["a kind of the future", [s.CODEC_VERSION, 200, ...tick.subarray(2)]],
    ["a map where fields should be", [s.CODEC_VERSION, 4, 0x80]],
    ["a field too many", [s.CODEC_VERSION, 4, 0x91, 0x01]],
    ["text that is not MessagePack", [...Buffer.from('{"kind":"tick"}')]],
  ])("%s is a BadRecordError", (_name, data) => {
    expect(() => s.decodeInbox(Uint8Array.from(data))).toThrow(s.BadRecordError);
  });

  it.each([
    ["an array", size32(0xdd, 0xffffffff)],
    ["an array of thirty million", size32(0xdd, 30_000_000)],
    ["arrays in arrays", Array.from({ length: 50 }, () => size32(0xdd, 30_000_000)).flat()],
    ["a map", size32(0xdf, 0xffffffff)],
    ["a byte string", size32(0xc6, 0xffffffff)],
    ["a text", size32(0xdb, 0x7fffffff)],
    ["a hundred thousand levels", Array.from({ length: 100_000 }, () => 0x91)],
  ])("a length that lies costs nothing: %s", (_name, body) => {
    const before = process.memoryUsage().rss;
    expect(() => s.decodeFrame(Uint8Array.from([...head, ...body]))).toThrow(s.BadRecordError);
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1_048_576);
  });

  it.each([
    ["an id that is a number", { id: 5 }],
    ["match values that are no pairs", { values: "data.x" }],
    ["a time that is not a number", { tsMs: Number.NaN }],
    ["a payload that is text", { payload: "{}" }],
    ["a home that is none", { home: -1 }],
    ["an origin of nowhere", { origin: {} }],
  ])("an event with %s is a BadRecordError that names the field", (_name, damage) => {
    const event = {
      kind: "event",
      id: "e1",
      idFrom: "user",
      name: "a",
      tsMs: 1,
      values: [],
      payload: new Uint8Array(),
      version: 0,
      home: 0,
      origin: null,
    };
    expect(s.decodeInbox(s.encodeInbox(event as s.InboxRecord))).toEqual(event);
    const data = s.encodeInbox({ ...event, ...damage } as unknown as s.InboxRecord);
    expect(() => s.decodeInbox(data)).toThrow(s.BadRecordError);
    expect(() => s.decodeInbox(data)).toThrow(`event.${Object.keys(damage)[0]}`);
  });

  it.each([
    [
      "a registration",
      "register.config.functions.0.triggers.0.if",
      (text: string): object => ({
        kind: "register",
        config: { app: "shop", functions: [{ ...FUNCTION, triggers: [{ event: "a", if: text }] }] },
        settleMs: 1,
      }),
    ],
    [
      "a wait",
      "report.report.ops.0.if",
      (text: string): object => ({
        kind: "report",
        report: { runId: "0a1r", invocation: 1, ops: [{ ...WAIT_OP, if: text }], outcome: null },
      }),
    ],
  ])("%s with a condition that does not parse says where", (_name, path, record) => {
    const encode = (text: string): Uint8Array => s.encodeInbox(record(text) as s.InboxRecord);
    expect(s.decodeInbox(encode("event.data.n == 1"))).toEqual(record("event.data.n == 1"));
    expect(() => s.decodeInbox(encode("event.data.n = 1"))).toThrow(`${path}: does not parse as CEL at character 14`);
  });

  it("a report deep inside of which something is wrong says where", () => {
    const ops = [{ kind: "stepCompleted", stepId: "", data: new Uint8Array() }];
    const data = s.encodeInbox({
      kind: "report",
      report: { runId: "0a1r", invocation: 1, ops, outcome: null },
    } as never);
    expect(() => s.decodeInbox(data)).toThrow("report.report.ops.0.stepId");
  });

  it("does not let a key reach the prototype", () => {
    const data = s.encodeFrame(JSON.parse('{"__proto__":{"polluted":1}}') as never);
    const decoded = s.decodeFrame(data) as { polluted?: unknown };
    expect(decoded.polluted).toBeUndefined();
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it("refuses a row of another kind", () => {
    const data = s.encodeRow("ids", { ids: [], expiresAtMs: 0 });
    expect(() => s.decodeRow("run", data)).toThrow(s.BadRecordError);
  });
});

describe("codec, bytes", () => {
  it("copies byte strings out of the buffer that they came in", () => {
    const data = s.encodeRow("keptEvent", { eventId: "e1", atMs: 1, payload: new Uint8Array([1, 2, 3]) });
    const { payload } = s.decodeRow("keptEvent", data);
    data.fill(0);
    expect([...payload]).toEqual([1, 2, 3]);
    expect(payload.buffer.byteLength).toBe(3);
  });

  it("takes Buffers for byte strings", () => {
    const letter = { reason: "r", topic: "t", partition: 0, offset: 0, atMs: 0 };
    const data = s.encodeDeadLetter({ ...letter, value: Buffer.from("abc") });
    expect(Buffer.compare(data, s.encodeDeadLetter({ ...letter, value: new Uint8Array([97, 98, 99]) }))).toBe(0);
  });

  it("does not depend on what was encoded before", () => {
    const record: s.InboxRecord = { kind: "cancel", runId: "0a1run", reason: "asked" };
    const first = s.encodeInbox(record);
    s.encodeFrame({ kind: "refused", code: "x".repeat(70_000), message: "y" });
    expect(Buffer.compare(s.encodeInbox(record), first)).toBe(0);
  });
});

describe("codec, kind numbers are never given twice", () => {
  const KIND_NUMBERS: Readonly<Record<string, number>> = {
    "inbox event": 0,
    "inbox report": 1,
    "inbox delivered": 2,
    "inbox heartbeat": 3,
    "inbox tick": 4,
    "inbox advance": 5,
    "inbox register": 6,
    "inbox registered": 7,
    "inbox cancel": 8,
    "inbox logic": 9,
    "inbox declined": 10,
    "inbox listen": 11,
    "inbox unlisten": 12,
    "inbox answer": 13,
    "inbox announced": 14,
    "inbox learn": 15,
    "inbox settled": 16,
    "row run": 0,
    "row subscription": 1,
    "row keptEvent": 2,
    "row ids": 3,
    "row delivery": 4,
    "row functions": 5,
    "row partition": 6,
    "row guest": 7,
    "row mark": 8,
    "row result": 9,
    "request part": 1,
    "request after parts": 2,
    meta: 255,
  };

  it.each(ALL)("%s", (name, { schema, encode }) => {
    const [value] = fc.sample(valuesOf(schema) as fc.Arbitrary<never>, { ...SEED, numRuns: 1 });
    const data = encode(value as never);
    expect([data[0], data[1]]).toEqual([s.CODEC_VERSION, KIND_NUMBERS[name] ?? 0]);
    // A new kind needs its line above; the bodies without kinds are written with 0.
    if (/^(inbox|row) /.test(name)) expect(KIND_NUMBERS).toHaveProperty([name]);
  });
});
