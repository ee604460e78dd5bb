/** Inbox record kinds: everything that a partition task consumes. New kinds are added at the end, never renumbered. */
import { z } from "zod";
import { registeredApp, appConfig } from "./function-config.js";
import { LIMITS } from "./limits.js";
import { stepReport } from "./steps.js";

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
const eventPayload = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length <= LIMITS.eventBytesMax,
  `expected at most ${LIMITS.eventBytesMax} bytes`,
);

export const matchValues = z.array(z.tuple([z.string(), z.string()]));

export const inboxRecord = z.discriminatedUnion("kind", [
  /** One copy of an event. `payload` is the whole event as JSON text, opaque to the engine. */
  z.strictObject({
    kind: z.literal("event"),
    id: z.string().max(LIMITS.eventIdCharsMax),
    idFrom: z.enum(["user", "generated"]),
    name: z.string().max(LIMITS.eventNameCharsMax),
    /** The event's own `ts`, in ms; a future one delays the runs it starts. */
    tsMs: z.number(),
    values: matchValues,
    payload: eventPayload,
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
  z.strictObject({ kind: z.literal("register"), config: appConfig }),
  /** To every partition from inbox 0: the numbered registration. */
  z.strictObject({ kind: z.literal("registered"), config: registeredApp, source: sourceShape }),
  z.strictObject({ kind: z.literal("cancel"), runId, reason: z.string().max(LIMITS.cancelReasonCharsMax) }),
  /** From here on `decide` is of this version. */
  z.strictObject({ kind: z.literal("logic"), version: z.number().int().min(1) }),
  /**
   * Nobody works on this invocation: its worker lacks what the request left out, or lets go of it while it drains, or there
   * was none left when it was to leave. The run goes out again, whole, as the next invocation.
   */
  z.strictObject({ kind: z.literal("declined"), runId, invocation: z.number().int().min(1) }),
]);
export type InboxRecord = z.infer<typeof inboxRecord>;
export type InboxRecordOf<K extends InboxRecord["kind"]> = Extract<InboxRecord, { kind: K }>;
