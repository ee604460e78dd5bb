/**
 * Bytes on the wire and on disk, behind one interface. Layout: [version byte][kind byte][MessagePack array of the
 * fields in the order given below]. User payloads are byte strings inside, never decoded here.
 * Deterministic: equal values built in the same way give equal bytes. Decoded byte strings are copies, so that nothing
 * pins a fetch buffer.
 */
import { Packr } from "msgpackr";
import { z } from "zod";
import type { HistoryEntry, DeadLetter, RegistryEntry, Signal } from "./history.js";
import type { Cause } from "./brands.js";
import { inboxRecord, type InboxRecord } from "./records.js";
import type { MetaRow, RowKind, Rows } from "./rows.js";
import type { RequestPart, StepRequest } from "./steps.js";
import type { GatewayFrame, WorkerFrame } from "./worker-protocol.js";

export const CODEC_VERSION = 1;

/** Bytes that do not decode: dead-lettered, never fatal to a partition. */
export class BadRecordError extends Error {
  override readonly name = "BadRecordError";
}

const packr = new Packr({ useRecords: false, variableMapSize: true, copyBuffers: true, largeBigIntToFloat: false });

type Tagged = { readonly kind: string };
type Layout = readonly (readonly [kind: string, fields: readonly string[]])[];

/** Kind numbers are positions in these lists: append only. */
const INBOX: Layout = [
  ["event", ["id", "idFrom", "name", "tsMs", "values", "payload", "version", "home", "origin"]],
  ["report", ["report"]],
  ["delivered", ["app", "mark"]],
  ["heartbeat", ["app", "running"]],
  ["tick", []],
  ["advance", ["ms"]],
  ["register", ["config", "settleMs"]],
  ["registered", ["config", "news", "settleMs", "source"]],
  ["cancel", ["runId", "reason"]],
  ["logic", ["version"]],
  ["declined", ["runId", "invocation"]],
  ["listen", ["base", "runId", "trigger", "startedAtMs", "taken", "keepFromMs", "wait", "rules", "source"]],
  ["unlisten", ["base", "runId", "no", "upTo", "source"]],
  ["answer", ["base", "runId", "answer", "source"]],
  ["announced", ["base", "at", "event", "source"]],
  ["learn", ["app", "base", "wait", "settleMs", "source"]],
  ["settled", ["version", "source"]],
];
const ROWS: readonly (readonly [kind: RowKind, fields: readonly string[]])[] = [
  [
    "run",
    [
      "runId",
      "functionId",
      "app",
      "event",
      "anchor",
      "startedOffset",
      "startedAtMs",
      "beganOffset",
      "mark",
      "laterMarks",
      "retries",
      "memo",
      "nextResultNo",
      "pending",
      "nextPendingNo",
      "withdrawn",
      "subscriptions",
      "foreign",
      "attempts",
      "taken",
      "invocation",
    ],
  ],
  ["subscription", ["entries", "total", "tail", "kept", "lost"]],
  ["keptEvent", ["eventId", "atMs", "payload"]],
  ["ids", ["ids", "expiresAtMs"]],
  ["delivery", ["sweeps"]],
  ["functions", ["version", "apps"]],
  ["partition", ["logic", "advanceMs", "registrations", "settling", "settleMs", "ids"]],
  [
    "guest",
    [
      ...["base", "runId", "trigger", "fromOffset", "heardAt", "startedAtMs"],
      ...["taken", "subscriptions", "waits", "keepFromMs"],
    ],
  ],
  ["mark", ["offset", "index"]],
  ["result", ["data"]],
];

function pack(kind: number, fields: readonly string[], value: object): Uint8Array {
  const body = packr.pack(fields.map((field) => (value as Record<string, unknown>)[field]));
  const out = new Uint8Array(body.length + 2);
  out[0] = CODEC_VERSION;
  out[1] = kind;
  out.set(body, 2);
  return out;
}

function unpackBody(data: Uint8Array): unknown {
  if (data.length < 2) throw new BadRecordError(`a record has at least 2 bytes, this one has ${data.length}`);
  if (data[0] !== CODEC_VERSION) {
    throw new BadRecordError(`codec version ${data[0]} is not known here; this build reads version ${CODEC_VERSION}`);
  }
  try {
    return packr.unpack(data.subarray(2));
  } catch (cause) {
    throw new BadRecordError(`not MessagePack: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function unpackFields(fields: readonly string[], data: Uint8Array, into: Record<string, unknown>): void {
  const body = unpackBody(data);
  if (!Array.isArray(body) || body.length !== fields.length) {
    throw new BadRecordError(
      `expected ${fields.length} fields, found ${Array.isArray(body) ? body.length : typeof body}`,
    );
  }
  for (let i = 0; i < fields.length; i++) into[fields[i] as string] = body[i];
}

function encodeTagged(layout: Layout, value: Tagged): Uint8Array {
  const kind = layout.findIndex(([name]) => name === value.kind);
  if (kind < 0) throw new Error(`no layout for kind ${value.kind}`);
  return pack(kind, (layout[kind] as Layout[number])[1], value);
}

function decodeTagged(layout: Layout, data: Uint8Array): Tagged {
  const entry = data.length < 2 ? undefined : layout[data[1] as number];
  if (data.length >= 2 && data[0] === CODEC_VERSION && entry === undefined) {
    throw new BadRecordError(`record kind ${data[1]} is not known here; known are 0 to ${layout.length - 1}`);
  }
  const into: Record<string, unknown> = { kind: entry?.[0] };
  unpackFields(entry?.[1] ?? [], data, into);
  return into as Tagged;
}

export const encodeInbox = (record: InboxRecord): Uint8Array => encodeTagged(INBOX, record);
/** Does the record say that it is an event? Looks at its kind alone: for those who read a whole inbox for its events. */
export const isEventRecord = (data: Uint8Array): boolean => data[1] === INBOX.findIndex(([kind]) => kind === "event");
/** Compiled, the check costs a tenth of the decoding. */
const compiledInboxRecord = z.compile(inboxRecord, { strict: true });
/**
 * Anyone with access to the topic can write to an inbox, so its records are checked: what this returns has the shape
 * and the bounds of the contract.
 * @throws BadRecordError
 */
export function decodeInbox(data: Uint8Array): InboxRecord {
  const record = decodeTagged(INBOX, data);
  if (z.validate(compiledInboxRecord, record)) return record;
  const { path, message } = inboxRecord.safeParse(record).error?.issues[0] ?? { path: [], message: "is not valid" };
  throw new BadRecordError(`not a record of the inbox: ${[record.kind, ...path].map(String).join(".")}: ${message}`);
}

export function encodeRow<K extends RowKind>(kind: K, row: Rows[K]): Uint8Array {
  const no = ROWS.findIndex(([name]) => name === kind);
  return pack(no, (ROWS[no] as (typeof ROWS)[number])[1], row);
}
/** @throws BadRecordError */
export function decodeRow<K extends RowKind>(kind: K, data: Uint8Array): Rows[K] {
  const no = ROWS.findIndex(([name]) => name === kind);
  if (data[1] !== no) throw new BadRecordError(`expected a ${kind} row (kind ${no}), found kind ${data[1]}`);
  const into: Record<string, unknown> = {};
  unpackFields((ROWS[no] as (typeof ROWS)[number])[1], data, into);
  return into as unknown as Rows[K];
}

const META_FIELDS = ["nextOffset", "index", "rawMs", "lastTimer", "logic", "incarnation"] as const;
export const encodeMeta = (meta: MetaRow): Uint8Array => pack(255, META_FIELDS, meta);
/** @throws BadRecordError */
export function decodeMeta(data: Uint8Array): MetaRow {
  const into: Record<string, unknown> = {};
  unpackFields(META_FIELDS, data, into);
  return into as unknown as MetaRow;
}

/** Bodies that leave a partition with their cause: step requests, history, signals. */
function encodeCaused(cause: Cause, body: object): Uint8Array {
  return pack(0, ["offset", "index", "body"], { offset: cause.offset, index: cause.index, body });
}
function decodeCaused<T>(data: Uint8Array): { cause: Cause; body: T } {
  const into: Record<string, unknown> = {};
  unpackFields(["offset", "index", "body"], data, into);
  return { cause: { offset: into["offset"], index: into["index"] } as unknown as Cause, body: into["body"] as T };
}

/** A record of a steps topic. `parts`: so many came right before it, their causes too, and have the first of its memo. */
export type StepsRecord =
  | { readonly kind: "request"; readonly cause: Cause; readonly body: StepRequest; readonly parts: number }
  | { readonly kind: "part"; readonly cause: Cause; readonly body: RequestPart };
const STEPS = { request: 0, part: 1, requestAfterParts: 2 } as const;

export function encodeStepRequest(cause: Cause, body: StepRequest, parts = 0): Uint8Array {
  if (parts === 0) return encodeCaused(cause, body);
  const { offset, index } = cause;
  return pack(STEPS.requestAfterParts, ["offset", "index", "parts", "body"], { offset, index, parts, body });
}
export function encodeRequestPart({ offset, index }: Cause, body: RequestPart): Uint8Array {
  return pack(STEPS.part, ["offset", "index", "body"], { offset, index, body });
}
/** @throws BadRecordError */
export function decodeStepsRecord(data: Uint8Array): StepsRecord {
  switch (data[1]) {
    case STEPS.part:
      return { kind: "part", ...decodeCaused<RequestPart>(data) };
    case STEPS.requestAfterParts: {
      const into: Record<string, unknown> = {};
      unpackFields(["offset", "index", "parts", "body"], data, into);
      const cause = { offset: into["offset"], index: into["index"] } as unknown as Cause;
      return { kind: "request", cause, body: into["body"] as StepRequest, parts: into["parts"] as number };
    }
    default:
      return { kind: "request", ...decodeCaused<StepRequest>(data), parts: 0 };
  }
}

export const encodeHistory = (cause: Cause, body: HistoryEntry): Uint8Array => encodeCaused(cause, body);
export const decodeHistory = (data: Uint8Array): { cause: Cause; body: HistoryEntry } => decodeCaused(data);
export const encodeSignal = (cause: Cause, body: Signal): Uint8Array => encodeCaused(cause, body);
export const decodeSignal = (data: Uint8Array): { cause: Cause; body: Signal } => decodeCaused(data);

/** Of a request that is one record. @throws BadRecordError for anything else */
export function decodeStepRequest(data: Uint8Array): { cause: Cause; body: StepRequest } {
  const record = decodeStepsRecord(data);
  if (record.kind === "request" && record.parts === 0) return { cause: record.cause, body: record.body };
  throw new BadRecordError("expected a request that is one record, found one of several");
}

const encodeBody = (body: object): Uint8Array => pack(0, ["body"], { body });
function decodeBody<T>(data: Uint8Array): T {
  const into: Record<string, unknown> = {};
  unpackFields(["body"], data, into);
  return into["body"] as T;
}
export const encodeRegistry = (entry: RegistryEntry): Uint8Array => encodeBody(entry);
export const decodeRegistry = (data: Uint8Array): RegistryEntry => decodeBody(data);
export const encodeDeadLetter = (letter: DeadLetter): Uint8Array => encodeBody(letter);
export const decodeDeadLetter = (data: Uint8Array): DeadLetter => decodeBody(data);
/** Frames are validated by zod at the door (`workerFrame`, `gatewayFrame`); decoding alone proves nothing of shape. */
export const encodeFrame = (frame: WorkerFrame | GatewayFrame): Uint8Array => encodeBody(frame);
export const decodeFrame = (data: Uint8Array): unknown => decodeBody(data);
