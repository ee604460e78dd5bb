/** Ways to write records and rows. All keep user payloads as bytes, since the engine never looks into them. */
import * as s from "@eddy/schemas";
import * as msgpack from "@msgpack/msgpack";
import avsc from "avsc";
import { Encoder as CborEncoder } from "cbor-x";
import { Packr } from "msgpackr";
import { deserialize, serialize } from "node:v8";
import { SAMPLES } from "./samples.js";

type SampleName = keyof typeof SAMPLES;

export interface Candidate {
  readonly name: string;
  encode(sample: SampleName, value: object): Uint8Array;
  decode(sample: SampleName, data: Uint8Array): unknown;
}

const ROW_KINDS = { run: "run", subscription: "subscription", ids: "ids" } as const;

/** What the repository uses: [version][kind][MessagePack array in field order]. */
const eddy: Candidate = {
  name: "eddy: msgpackr, arrays",
  encode: (sample, value) => {
    if (sample === "request") return s.encodeStepRequest({ offset: s.offset(1), index: 0 }, value as s.StepRequest);
    if (sample === "event" || sample === "report") return s.encodeInbox(value as s.InboxRecord);
    return s.encodeRow(ROW_KINDS[sample], value as never);
  },
  decode: (sample, data) => {
    if (sample === "request") return s.decodeStepRequest(data);
    if (sample === "event" || sample === "report") return s.decodeInbox(data);
    return s.decodeRow(ROW_KINDS[sample], data);
  },
};

const packr = new Packr({ useRecords: false, variableMapSize: true, copyBuffers: true });
const msgpackrMaps: Candidate = {
  name: "msgpackr, maps",
  // `pack` gives a view of a shared buffer: a record that is kept needs its own bytes, as ours have.
  encode: (_, value) => Uint8Array.from(packr.pack(value)),
  decode: (_, data) => packr.unpack(data) as unknown,
};

const recordPackr = new Packr({ useRecords: true, copyBuffers: true, maxSharedStructures: 0 });
const msgpackrRecords: Candidate = {
  name: "msgpackr, inline records",
  encode: (_, value) => Uint8Array.from(recordPackr.pack(value)),
  decode: (_, data) => recordPackr.unpack(data) as unknown,
};

const msgpackMaps: Candidate = {
  name: "@msgpack/msgpack, maps",
  encode: (_, value) => msgpack.encode(value),
  decode: (_, data) => msgpack.decode(data),
};

const cbor = new CborEncoder({ useRecords: false, tagUint8Array: false, copyBuffers: true });
const cborMaps: Candidate = {
  name: "cbor-x, maps",
  encode: (_, value) => Uint8Array.from(cbor.encode(value)),
  decode: (_, data) => cbor.decode(data) as unknown,
};

const utf8 = new TextEncoder();
const text = new TextDecoder();
const toBase64 = (_key: string, value: unknown): unknown =>
  value instanceof Uint8Array ? { $b: Buffer.from(value).toString("base64") } : value;
const fromBase64 = (_key: string, value: unknown): unknown => {
  const b64 = (value as { $b?: unknown } | null)?.$b;
  return typeof b64 === "string" ? Uint8Array.from(Buffer.from(b64, "base64")) : value;
};
const jsonBase64: Candidate = {
  name: "JSON, payloads in base64",
  encode: (_, value) => utf8.encode(JSON.stringify(value, toBase64)),
  decode: (_, data) => JSON.parse(text.decode(data), fromBase64) as unknown,
};

/** JSON with payloads as text inside: the fastest JSON, but the engine parses what it should not look into. */
const jsonText: Candidate = {
  name: "JSON, payloads as text",
  encode: (_, value) =>
    utf8.encode(JSON.stringify(value, (_key, v: unknown) => (v instanceof Uint8Array ? text.decode(v) : v))),
  decode: (_, data) => JSON.parse(text.decode(data)) as unknown,
};

const v8: Candidate = {
  name: "v8.serialize",
  encode: (_, value) => serialize(value),
  decode: (_, data) => deserialize(data) as unknown,
};

const avroTypes = new Map<SampleName, avsc.Type>(
  (Object.entries(SAMPLES) as [SampleName, object][]).map(([name, value]) => [
    name,
    avsc.Type.forValue(asBuffers(value) as object, {
      emptyArrayType: avsc.Type.forSchema({ type: "array", items: "string" }),
    }),
  ]),
);
function asBuffers(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return value.map(asBuffers);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, asBuffers(v)]));
}
/** avsc takes Buffers alone: converted once, outside of what is measured. */
const buffered = new Map<object, unknown>();
const avro: Candidate = {
  name: "Avro (avsc), inferred schema",
  encode: (sample, value) => {
    let ready = buffered.get(value);
    if (ready === undefined) buffered.set(value, (ready = asBuffers(value)));
    return (avroTypes.get(sample) as avsc.Type).toBuffer(ready);
  },
  decode: (sample, data) => (avroTypes.get(sample) as avsc.Type).fromBuffer(Buffer.from(data)) as unknown,
};

export const CANDIDATES: readonly Candidate[] = [
  eddy,
  msgpackrMaps,
  msgpackrRecords,
  msgpackMaps,
  cborMaps,
  jsonBase64,
  jsonText,
  v8,
  avro,
];
