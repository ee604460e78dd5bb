/** History topic, dead letters, registry: what leaves a partition for people and for other processes. */
import { z } from "zod";
import { registeredApp } from "./function-config.js";
import { causeShape } from "./records.js";
import { bytes, errorShape } from "./steps.js";

const base = { runId: z.string(), functionId: z.string(), atMs: z.number() };
const step = { ...base, stepId: z.string() };

/** One line of a run's timeline. `atMs` is stream time. */
export const historyEntry = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("runStarted"),
    ...base,
    eventId: z.string(),
    eventName: z.string(),
    dueAtMs: z.number(),
  }),
  z.strictObject({
    kind: z.literal("runDispatched"),
    ...base,
    invocation: z.number(),
    reason: z.enum(["start", "resume", "retry", "leaseLost", "declined"]),
  }),
  z.strictObject({ kind: z.literal("stepCompleted"), ...step, data: bytes }),
  z.strictObject({
    kind: z.literal("stepFailed"),
    ...step,
    error: errorShape,
    attempt: z.number(),
    retryAtMs: z.number().nullable(),
  }),
  z.strictObject({ kind: z.literal("sleepStarted"), ...step, untilMs: z.number() }),
  z.strictObject({ kind: z.literal("sleepEnded"), ...step }),
  z.strictObject({ kind: z.literal("waitStarted"), ...step, eventName: z.string(), untilMs: z.number() }),
  z.strictObject({ kind: z.literal("waitResolved"), ...step, eventId: z.string(), fromLookback: z.boolean() }),
  z.strictObject({ kind: z.literal("waitTimedOut"), ...step }),
  /** A sleep or wait that lost a race; had it ended meanwhile, that is taken back. */
  z.strictObject({ kind: z.literal("stepWithdrawn"), ...step }),
  z.strictObject({
    kind: z.literal("attemptFailed"),
    ...base,
    error: errorShape,
    attempt: z.number(),
    retryAtMs: z.number().nullable(),
  }),
  z.strictObject({ kind: z.literal("runCompleted"), ...base, data: bytes }),
  z.strictObject({ kind: z.literal("runFailed"), ...base, error: errorShape }),
  z.strictObject({ kind: z.literal("runCancelled"), ...base, eventId: z.string().nullable(), reason: z.string() }),
]);
export type HistoryEntry = z.infer<typeof historyEntry>;

/** DLQ: what could not be processed. */
export const deadLetter = z.strictObject({
  reason: z.string(),
  /** Of a record of a user's topic that names one: its schema in the registry. */
  schemaId: z.number().optional(),
  topic: z.string(),
  partition: z.number(),
  offset: z.number(),
  atMs: z.number(),
  value: bytes,
});
export type DeadLetter = z.infer<typeof deadLetter>;

/** Registry topic, by key: `app/<app>`, `applied/<partition>`. */
export const registryEntry = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("app"), config: registeredApp }),
  /** Partition `partition` has applied every registration up to `version`. */
  z.strictObject({ kind: z.literal("applied"), partition: z.number(), version: z.number() }),
  /** What is fixed when the namespace is made. The first one counts. `dev`: its clock may be moved, its data may be lost. */
  z.strictObject({
    kind: z.literal("namespace"),
    partitions: z.number().int().min(1),
    dev: z.boolean(),
    /** How long after a registration senders may go on by the routes before it, in ms; what registrations carry. */
    settleMs: z.number().int().min(0),
  }),
]);
export type RegistryEntry = z.infer<typeof registryEntry>;

/** History, steps and signals carry their cause, so that receivers can drop repeats. */
export const caused = <T extends z.ZodType>(body: T) => z.strictObject({ cause: causeShape, body });
/** Signals topic. */
export const signal = z.strictObject({ kind: z.literal("abort"), runId: z.string() });
export type Signal = z.infer<typeof signal>;
