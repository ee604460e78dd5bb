/** Inbox record kinds: everything that a partition task consumes. New kinds are added at the end, never renumbered. */
import { z } from "zod";
import { conditionText } from "./condition-text.js";
import { appConfig, learnedWait, listenedPath, registeredApp } from "./function-config.js";
import { LIMITS } from "./limits.js";
import { errorShape, stepReport } from "./steps.js";

export const causeShape = z.strictObject({ offset: z.number().int().min(0), index: z.number().int().min(0) });
/** Set on records that another partition's effects wrote; receivers drop what is at or below their mark. */
export const sourceShape = z.strictObject({
  partition: z.number().int().min(0),
  offset: z.number().int().min(0),
  index: z.number().int().min(0),
});
export type Source = z.infer<typeof sourceShape>;

const app = z.string().max(LIMITS.appCharsMax);
const runId = z.string().max(LIMITS.runIdCharsMax);
export const eventPayload = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length <= LIMITS.eventBytesMax,
  `expected at most ${LIMITS.eventBytesMax} bytes`,
);

export const matchValues = z
  .array(z.tuple([z.string(), z.string()]))
  .refine(
    (values) =>
      values.reduce((sum, [path, value]) => sum + path.length + value.length, 0) <= LIMITS.matchValuesCharsMax,
    {
      message: `expected at most ${LIMITS.matchValuesCharsMax} characters of match values`,
    },
  );

const count = z.number().int().min(0);
const eventId = z.string().max(LIMITS.eventIdCharsMax);
const name = z.string().max(LIMITS.eventNameCharsMax);
const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, "expected bytes");
/** A timer may hang on it: whole ms of stream time. */
const pointMs = count.max(8_640_000_000_000_000);
/** A run without its generation (see `runBaseOf`). */
const base = z.string().max(LIMITS.runIdCharsMax);

/**
 * How an event came that no sender wrote: its home partition repeats copies, so that none is missing for good (`repeat`);
 * a partition that learns of a new route offers what it had before to those who now listen (`offer`), for waits alone.
 */
export const eventOrigin = z.strictObject({
  as: z.enum(["repeat", "offer"]),
  /**
   * Its sender did not know all routes, and may not have written a copy here: then the time of the first copy counts, not the
   * place in this log. True for offers.
   */
  isStale: z.boolean(),
  /** Stream time of the copy that it stems from, and its offset at home. */
  atMs: z.number(),
  offset: count,
  source: sourceShape,
});

const eventFields = {
  id: eventId,
  idFrom: z.enum(["user", "generated"]),
  name,
  /** The event's own `ts`, in ms; a future one delays the runs it starts. */
  tsMs: pointMs,
  values: matchValues,
  payload: eventPayload,
  /** Every registration up to this one was in force on every partition when the sender wrote. */
  version: count,
  /** The partition whose copy was written first, and which repeats the others. */
  home: count,
};

/** A wait of a run of another partition. */
const foreignWait = z.strictObject({
  no: count,
  event: name,
  path: z.string(),
  value: z.string(),
  /** CEL that is left to ask, and the part of the triggering event that it reads, as JSON. */
  if: conditionText("listen").nullable(),
  given: bytes.nullable(),
  /** Stream time: an event at or after it is too late. */
  deadlineMs: pointMs,
  /** Events before this are not eligible, in stream time; what clocks of brokers may differ by is taken off already. */
  fromMs: z.number(),
});
export type ForeignWait = z.infer<typeof foreignWait>;

/** A cancel rule of a run of another partition. */
const foreignRule = z.strictObject({
  event: name,
  path: z.string(),
  value: z.string(),
  if: conditionText("listen").nullable(),
  given: bytes.nullable(),
  /** Stream time, exclusive; null: as long as the run. */
  expiresAtMs: z.number().nullable(),
});
export type ForeignRule = z.infer<typeof foreignRule>;

/** What became of what a run listens to elsewhere. */
export const foreignAnswer = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("resolved"),
    no: count,
    eventId,
    payload: eventPayload,
    /** Stream time of the event. */
    atMs: z.number(),
    fromLookback: z.boolean(),
  }),
  z.strictObject({ kind: z.literal("timedOut"), no: count }),
  z.strictObject({ kind: z.literal("cancelled"), eventId, eventName: name }),
  /** It cannot listen there: the run fails. */
  z.strictObject({ kind: z.literal("failed"), error: errorShape }),
]);
export type ForeignAnswer = z.infer<typeof foreignAnswer>;

export const inboxRecord = z.discriminatedUnion("kind", [
  /** One copy of an event. `payload` is the whole event as JSON text. */
  z.strictObject({
    kind: z.literal("event"),
    ...eventFields,
    /** null: written by a sender. */
    origin: eventOrigin.nullable(),
  }),
  z.strictObject({ kind: z.literal("report"), report: stepReport }),
  /** A worker's delivery position: every request whose cause is at or before `mark` has reached a worker. */
  z.strictObject({ kind: z.literal("delivered"), app, mark: causeShape }),
  z.strictObject({
    kind: z.literal("heartbeat"),
    app,
    running: z.array(z.strictObject({ runId, invocation: z.number().int().min(1) })),
  }),
  /** Time alone. */
  z.strictObject({ kind: z.literal("tick") }),
  /** Moves the namespace's clock; written only where `dev` is on. */
  z.strictObject({ kind: z.literal("advance"), ms: z.number().int().min(0) }),
  /** Inbox 0 only: an app asks to be registered. */
  z.strictObject({
    kind: z.literal("register"),
    config: appConfig,
    /** How long senders may go on by the routes before it, in ms of append time. */
    settleMs: count,
  }),
  /** To every partition from inbox 0: the numbered registration. */
  z.strictObject({
    kind: z.literal("registered"),
    config: registeredApp,
    /** Paths by which events were not routed before; each partition offers what it has of them. */
    news: z.array(listenedPath),
    settleMs: count,
    source: sourceShape,
  }),
  z.strictObject({ kind: z.literal("cancel"), runId, reason: z.string().max(LIMITS.cancelReasonCharsMax) }),
  /** From here on `decide` is of this version. */
  z.strictObject({ kind: z.literal("logic"), version: z.number().int().min(1) }),
  /**
   * Nobody works on this invocation: its worker lacks what the request left out, or lets go of it while it drains, or there
   * was none left when it was to leave. The run goes out again, whole, as the next invocation.
   */
  z.strictObject({ kind: z.literal("declined"), runId, invocation: z.number().int().min(1) }),
  /** From a run's partition to another: it listens there. */
  z.strictObject({
    kind: z.literal("listen"),
    base,
    runId,
    trigger: z.strictObject({ id: eventId, name }),
    startedAtMs: z.number(),
    /** Ids of events that the run's waits took; the trigger's is not among them. */
    taken: z.array(z.string()),
    /** Events before this are of no use to later waits by the mark, in stream time. */
    keepFromMs: z.number(),
    wait: foreignWait.nullable(),
    rules: z.array(foreignRule),
    source: sourceShape,
  }),
  /**
   * From a run's partition to another: wait `no` is over; null: the run is, as far as trigger copies up to offset `upTo` of the
   * other partition are concerned (-1: none).
   */
  z.strictObject({
    kind: z.literal("unlisten"),
    base,
    /** null: no such run lived. */
    runId: runId.nullable(),
    no: count.nullable(),
    upTo: z.number().int(),
    source: sourceShape,
  }),
  /** From there back. `runId`: as `listen` told it; null where it never did. */
  z.strictObject({
    kind: z.literal("answer"),
    base,
    runId: runId.nullable(),
    answer: foreignAnswer,
    source: sourceShape,
  }),
  /**
   * To a run's partition: the triggering event's own copy made the run listen at the partition that this comes from. If no
   * such run lives, it is told so. `event`: the triggering event, where it may come sooner by this way.
   */
  z.strictObject({
    kind: z.literal("announced"),
    base,
    /** Offset of the trigger's copy there. */
    at: count,
    event: z.strictObject({ ...eventFields, atMs: z.number(), isStale: z.boolean() }).nullable(),
    source: sourceShape,
  }),
  /** To inbox 0: a run waits for what its function has not declared. */
  z.strictObject({
    kind: z.literal("learn"),
    app,
    base,
    wait: learnedWait,
    settleMs: count,
    source: sourceShape,
  }),
  /** From each partition to each: it has offered, or repeated, all that senders wrote by routes older than `version`. */
  z.strictObject({ kind: z.literal("settled"), version: count, source: sourceShape }),
]);
export type InboxRecord = z.infer<typeof inboxRecord>;
export type InboxRecordOf<K extends InboxRecord["kind"]> = Extract<InboxRecord, { kind: K }>;
