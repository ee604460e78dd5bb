/**
 * Bodies and queries of the gateway's HTTP API. Names are snake_case, times ISO 8601; descriptions and examples are those
 * of `GET /openapi.json`.
 */
import { z } from "zod";
import { eventInput } from "./event.js";
import { functionTrigger, since, slug } from "./function-config.js";
import { LIMITS } from "./limits.js";

const time = (description: string) => z.string().meta({ description, format: "date-time" });
const runIdText = z.string().meta({ description: "The run's id.", example: "7c11qk9v3m4e8t0s2o5a6r7d8f9h12a" });
const functionIdText = z.string().meta({ description: "App and function: `app/function`.", example: "shop/cart" });

export const sendEventsBody = z
  .union([eventInput, z.array(eventInput).min(1).max(LIMITS.eventsPerRequestMax)])
  .meta({ description: "One event, or an array of them." });
export const sendEventsReply = z.strictObject({
  ids: z.array(z.string()).meta({ description: "Ids of the events, in their order." }),
  status: z.literal(200),
});
export type SendEventsReply = z.infer<typeof sendEventsReply>;

export const runStatus = z
  .enum(["Running", "Completed", "Failed", "Cancelled"])
  .meta({ description: "Running: from its start to its end, also while it waits." });
export type RunStatus = z.infer<typeof runStatus>;

export const runSummary = z.strictObject({
  run_id: runIdText,
  function_id: functionIdText,
  event_id: z.string().meta({ description: "The event that started it; empty where it is no longer known." }),
  event_name: z.string(),
  status: runStatus,
  run_started_at: time("Stream time of the start."),
  ended_at: time("Stream time of the end; null while it is Running.").nullable(),
  output: z.unknown().meta({ description: "The handler's return value; null unless Completed." }),
  error: z
    .strictObject({ name: z.string(), message: z.string(), stack: z.string().nullable() })
    .nullable()
    .meta({ description: "Why it failed; null unless Failed." }),
});
export type RunSummary = z.infer<typeof runSummary>;

export const runReply = z.strictObject({ data: runSummary });
export type RunReply = z.infer<typeof runReply>;
export const eventRunsReply = z.strictObject({ data: z.array(runSummary) });

/** An ISO 8601 time, or ms since 1970, as a query has them: text. */
const queryTime = z.union([z.iso.datetime({ offset: true }), z.string().regex(/^\d{1,16}$/)]);
/** `GET /v1/runs`. Everything that is given must hold. */
export const runsQuery = z.strictObject({
  function: z
    .string()
    .min(1)
    .max(LIMITS.functionIdCharsMax)
    .optional()
    .meta({ description: "Of this function alone: `app/function`.", example: "shop/cart" }),
  status: runStatus.optional().meta({ description: "In this status alone, as of the moment of the request." }),
  event: z
    .string()
    .min(1)
    .max(LIMITS.eventNameCharsMax)
    .optional()
    .meta({ description: "Started by events of this name alone.", example: "cart/added" }),
  from: queryTime.optional().meta({
    description: "Started at this time or later: ISO 8601, or ms since 1970. Stream time.",
    example: "2026-01-31T00:00:00Z",
  }),
  until: queryTime.optional().meta({ description: "Started before this time.", example: "2026-02-01T00:00:00Z" }),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(LIMITS.runsPerPageMax)
    .optional()
    .meta({ description: `Runs of one page; default ${LIMITS.runsPerPage}.` }),
  cursor: z
    .string()
    .max(LIMITS.cursorCharsMax)
    .optional()
    .meta({ description: "`next_cursor` of the page before, with the same filters." }),
});
export type RunsQuery = z.infer<typeof runsQuery>;

/** Runs, the newest start first. A page may hold fewer than `limit`, even none: the last one has no `next_cursor`. */
export const runsReply = z.strictObject({
  data: z.array(runSummary),
  next_cursor: z
    .string()
    .nullable()
    .meta({ description: "Give it as `cursor` to go on; null: there is no more. A page may be short before that." }),
});
export type RunsReply = z.infer<typeof runsReply>;

export const eventView = z.strictObject({
  id: z.string(),
  name: z.string(),
  received_at: time("When the log took it; null where only its runs are known any more.").nullable(),
  event: z
    .looseObject({ name: z.string(), id: z.string(), ts: z.number() })
    .nullable()
    .meta({ description: "The event as handlers get it; null once the inbox no longer holds it (3 days)." }),
  runs: z.array(runSummary).meta({ description: "What it started, by their start; empty: nothing." }),
});
export type EventView = z.infer<typeof eventView>;
export const eventReply = z.strictObject({ data: eventView });
export type EventReply = z.infer<typeof eventReply>;

/** One line of a run's timeline; the other fields are those of the history entry of this kind. */
export const timelineLine = z
  .looseObject({ kind: z.string(), at: time("Stream time.") })
  .meta({ description: "The other fields depend on `kind`; `data` is decoded JSON." });
export type TimelineLine = z.infer<typeof timelineLine>;
export const timelineReply = z.strictObject({ data: z.array(timelineLine) });

/** `DELETE /v1/runs/:id`. */
export const cancelQuery = z.strictObject({
  reason: z
    .string()
    .min(1)
    .max(LIMITS.cancelReasonCharsMax)
    .optional()
    .meta({ description: "Why, for the run's timeline." }),
});

const listens = { event: z.string(), match: z.string().nullable(), if: z.string().nullable() };
const durationOrTime = z
  .union([z.strictObject({ ms: z.number() }), z.strictObject({ atMs: z.number() })])
  .nullable()
  .meta({ description: "A length in ms, or a point in stream time in ms since 1970; null: as long as the run." });

export const functionView = z.strictObject({
  id: functionIdText,
  app: slug,
  name: z.string(),
  triggers: z.array(functionTrigger),
  cancel_on: z.array(z.strictObject({ ...listens, timeout: durationOrTime })),
  waits: z.array(z.strictObject({ ...listens, since })).meta({ description: "Waits that the function declares." }),
  learned_waits: z
    .array(z.strictObject({ event: z.string(), path: z.string() }))
    .meta({ description: "Waits that its runs made without a declaration: events of this name, by this path." }),
  retries: z.number().int(),
  version: z.number().int().meta({ description: "Of the app's registration; grows with each." }),
  in_force: z.boolean().meta({ description: "All partitions go by this version." }),
  workers: z
    .number()
    .int()
    .nullable()
    .meta({
      description:
        "Workers of the app that are connected to engines; null where an engine could not be asked. Workers that " +
        "take steps from Kafka by themselves are not counted.",
    }),
});
export type FunctionView = z.infer<typeof functionView>;
export const functionsReply = z.strictObject({ data: z.array(functionView) });
export type FunctionsReply = z.infer<typeof functionsReply>;

/** `by`: a duration such as "24h", or ms. */
export const advanceClockBody = z
  .strictObject({ by: z.union([z.string().min(1).max(64), z.number().min(0)]) })
  .meta({ description: 'By a duration such as "24h", or by ms.' });
export const clockReply = z.strictObject({ now: time("Stream time."), nowMs: z.number(), advancedMs: z.number() });
export type ClockReply = z.infer<typeof clockReply>;

export const healthReply = z.strictObject({ status: z.enum(["ready", "not ready"]), reasons: z.array(z.string()) });

/** Every 4xx and 5xx answer. `path` names the field at fault, where one is. */
export const errorReply = z.strictObject({
  status: z.number().int(),
  error: z.strictObject({
    code: z.string().meta({ description: "What to branch on.", example: "RUN_NOT_FOUND" }),
    message: z.string(),
    path: z.string().nullable().meta({ description: "The field at fault, such as `[3].data`, where one is." }),
  }),
});
export type ErrorReply = z.infer<typeof errorReply>;
