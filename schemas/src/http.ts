/** Bodies of the gateway's HTTP API. */
import { z } from "zod";
import { eventInput } from "./event.js";
import { LIMITS } from "./limits.js";

export const sendEventsBody = z.union([eventInput, z.array(eventInput).min(1).max(LIMITS.eventsPerRequestMax)]);
export const sendEventsReply = z.strictObject({ ids: z.array(z.string()), status: z.literal(200) });
export type SendEventsReply = z.infer<typeof sendEventsReply>;

export const runStatus = z.enum(["Running", "Completed", "Failed", "Cancelled"]);
export type RunStatus = z.infer<typeof runStatus>;

export const runSummary = z.strictObject({
  run_id: z.string(),
  function_id: z.string(),
  event_id: z.string(),
  event_name: z.string(),
  status: runStatus,
  /** Stream time, ISO 8601. */
  run_started_at: z.string(),
  ended_at: z.string().nullable(),
  /** The handler's return value; null unless Completed. */
  output: z.unknown(),
  error: z.strictObject({ name: z.string(), message: z.string(), stack: z.string().nullable() }).nullable(),
});
export type RunSummary = z.infer<typeof runSummary>;

export const runReply = z.strictObject({ data: runSummary });
export const eventRunsReply = z.strictObject({ data: z.array(runSummary) });

/** One line of a run's timeline; the other fields are those of the history entry of this kind. */
export const timelineLine = z.looseObject({ kind: z.string(), at: z.string() });
export type TimelineLine = z.infer<typeof timelineLine>;
export const timelineReply = z.strictObject({ data: z.array(timelineLine) });

/** `by`: a duration such as "24h", or ms. */
export const advanceClockBody = z.strictObject({ by: z.union([z.string().min(1).max(64), z.number().min(0)]) });
export const clockReply = z.strictObject({ now: z.string(), nowMs: z.number(), advancedMs: z.number() });
export type ClockReply = z.infer<typeof clockReply>;

/** Every 4xx and 5xx answer. `path` names the field at fault, where one is. */
export const errorReply = z.strictObject({
  status: z.number(),
  error: z.strictObject({ code: z.string(), message: z.string(), path: z.string().nullable() }),
});
export type ErrorReply = z.infer<typeof errorReply>;
