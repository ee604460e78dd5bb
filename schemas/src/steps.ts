/**
 * What passes between engine and worker about one run. A request carries what the run has learned since the last
 * invocation; a report carries what the worker did. User data is opaque JSON text in bytes.
 */
import { z } from "zod";
import { conditionText } from "./condition-text.js";
import { matchPath, since, timeout } from "./function-config.js";
import { LIMITS } from "./limits.js";

/** Opaque bytes. In generated JSON Schema: base64 text. */
export const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, "expected bytes");
const stepId = z.string().min(1).max(LIMITS.stepIdCharsMax);

/** An error as data. `stack` is for people; nothing branches on it. */
export const errorShape = z.strictObject({
  name: z.string().max(256),
  message: z.string().max(65_536),
  stack: z.string().max(65_536).nullable(),
});
export type ErrorShape = z.infer<typeof errorShape>;

/** A settled step: memoised, and given to the handler each time it is re-entered. */
export const memoEntry = z.strictObject({
  stepId,
  kind: z.enum(["run", "sleep", "wait"]),
  /** JSON text: a step's result, or the event that a wait got. Null for sleeps, timed-out waits and errors. */
  data: bytes.nullable(),
  error: errorShape.nullable(),
  /** The invocation whose worker reported it; 0 where the engine settled it. */
  invocation: z.number().int().min(0),
});
export type MemoEntry = z.infer<typeof memoEntry>;

/** Steps topic: run this function from where it stands. */
export const stepRequest = z.strictObject({
  app: z.string(),
  functionId: z.string(),
  runId: z.string(),
  /** Counts from 1; fences reports: one from another invocation than the current is dropped. */
  invocation: z.number().int().min(1),
  /** Attempts of the handler that failed since it last made progress; 0-based as users see it. */
  attempt: z.number().int().min(0),
  maxAttempts: z.number().int().min(1),
  /** Failed attempts of single steps: [step id, count]. */
  stepAttempts: z.array(z.tuple([z.string(), z.number().int().min(1)])),
  /** The triggering event as JSON text; null where the worker should have it, and asks (`needState`) if not. */
  event: bytes.nullable(),
  /**
   * Settled since the last invocation, other than by its own worker. Memos are in the order in which the handler gets
   * them, so that a race is decided the same way each time: what an invocation reports goes before what the engine
   * settled while it ran.
   */
  memo: z.array(memoEntry),
  /** How many entries the whole memo has; a worker that ends up with fewer asks for the state. */
  memoTotal: z.number().int().min(0),
  /**
   * Steps that the engine holds: they sleep, wait, or have their next attempt later. The worker neither asks for them
   * again nor runs them. Absent: not told; then it asks again (harmless) and tries failed steps at once.
   */
  pending: z.array(stepId).optional(),
  /** Steps that lost a race and were given up: not asked for again, unless something else waits for them. */
  withdrawn: z.array(stepId).optional(),
});
export type StepRequest = z.infer<typeof stepRequest>;

/**
 * Steps topic: entries of a request's memo that do not fit one record with it. They come right before their request, as
 * effects of their own, in the order of its memo.
 */
export const requestPart = z.strictObject({
  runId: z.string(),
  invocation: z.number().int().min(1),
  memo: z.array(memoEntry),
});
export type RequestPart = z.infer<typeof requestPart>;

/** Everything that a worker needs to re-enter a handler from nothing. */
export const runState = z.strictObject({
  runId: z.string(),
  invocation: z.number().int().min(1),
  event: bytes,
  memo: z.array(memoEntry),
});
export type RunState = z.infer<typeof runState>;

/** What a worker tells about one step. */
export const stepOp = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("stepCompleted"), stepId, data: bytes }),
  z.strictObject({
    kind: z.literal("stepFailed"),
    stepId,
    error: errorShape,
    retriable: z.boolean(),
    /** From a RetryAfterError; overrides the backoff. */
    retryAfter: timeout.nullable(),
  }),
  z.strictObject({ kind: z.literal("sleepRequested"), stepId, until: timeout }),
  z.strictObject({
    kind: z.literal("waitRequested"),
    stepId,
    event: z.string().min(1).max(LIMITS.eventNameCharsMax),
    match: matchPath.nullable(),
    if: conditionText("listen").nullable(),
    /**
     * What the triggering event has at the wait's route (`canonAt(event, listenRouteOf(wait).of)`), by the worker, which has
     * read the event; null matches nothing.
     */
    value: z.string().nullable(),
    since,
    timeout,
  }),
  /** A sleep or wait that the handler no longer waits for: it lost a race. Asked for again, it begins anew. */
  z.strictObject({ kind: z.literal("withdrawn"), stepId }),
]);
export type StepOp = z.infer<typeof stepOp>;

/** How an invocation ended; null while it goes on inline. */
export const invocationOutcome = z.discriminatedUnion("kind", [
  /** The handler waits for something that the engine must settle. */
  z.strictObject({ kind: z.literal("suspended") }),
  /** The handler could go on; the engine dispatches the run again at once, as strict functions want after each step. */
  z.strictObject({ kind: z.literal("yielded") }),
  z.strictObject({ kind: z.literal("returned"), data: bytes }),
  z.strictObject({
    kind: z.literal("threw"),
    error: errorShape,
    retriable: z.boolean(),
    retryAfter: timeout.nullable(),
  }),
]);
export type InvocationOutcome = z.infer<typeof invocationOutcome>;

/** Inbox: what an invocation did since its last report. Ops apply in order, then the outcome. */
export const stepReport = z.strictObject({
  runId: z.string().min(4).max(64),
  invocation: z.number().int().min(1),
  ops: z.array(stepOp).max(LIMITS.stepsPerRunMax),
  outcome: invocationOutcome.nullable(),
});
export type StepReport = z.infer<typeof stepReport>;
