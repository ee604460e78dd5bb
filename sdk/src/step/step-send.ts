/** `step.sendEvent`: sends from inside a step, with ids that make a repeat of the step harmless. */
import { digestOf, LIMITS } from "@eddy/schemas";
import type { EventPayload } from "../define/event-type.js";
import type { CurrentStep } from "../define/types.js";
import { SendError } from "../errors/eddy-error.js";
import { NonRetriableError } from "../errors/user-errors.js";
import type { SendReply } from "../protocol/event-sender.js";

/** As `EventSender.send`. */
export type SendFromStep = (
  events: EventPayload | readonly EventPayload[],
  idOf: (index: number) => string,
) => Promise<SendReply>;

/** @throws NonRetriableError for events that would be refused again, SendError for those that may pass later. */
export async function sendInStep(send: SendFromStep, step: CurrentStep, events: unknown): Promise<SendReply> {
  try {
    return await send(events as EventPayload | readonly EventPayload[], (index) => eventIdOf(step, index));
  } catch (error) {
    if (error instanceof SendError && isRefusal(error)) throw new NonRetriableError(error.message, { cause: error });
    throw error;
  }
}

/** The same in each attempt; no two steps or events share one. A step id that an event id cannot hold is hashed. */
export function eventIdOf({ runId, stepId }: Pick<CurrentStep, "runId" | "stepId">, index: number): string {
  const id = `${runId}/${stepId}/${index}`;
  if (id.length <= LIMITS.eventIdCharsMax && !/\p{Surrogate}/u.test(id)) return id;
  // As JSON, lone surrogates are escapes: texts that differ stay different.
  return `${runId}/${digestOf("step", JSON.stringify(stepId))}/${index}`;
}

/** The same events would be refused again. */
function isRefusal({ code, status }: SendError): boolean {
  if (code === "EVENT_INVALID") return true;
  return status !== null && status >= 400 && status < 500 && status !== 408 && status !== 429;
}
