/** Calls a function's handler with its context. */
import type { EddyFunction } from "../define/eddy-function.js";
import { schemaProblem } from "../define/event-type.js";
import { mutedLogger } from "../define/logger.js";
import { NonRetriableError } from "../errors/user-errors.js";
import type { Session } from "./session.js";
import type { SendFromStep } from "./step-send.js";
import { stepTools } from "./step-tools.js";

export interface Entry {
  readonly runId: string;
  /** Failed attempts of what is tried now. */
  readonly attempt: number;
  readonly maxAttempts: number;
}

/** @param send what `step.sendEvent` sends with. @throws NonRetriableError for an event that does not fit the schema of its trigger. */
export async function enterHandler(
  fn: EddyFunction,
  session: Session,
  { send, ...entry }: Entry & { readonly send: SendFromStep },
): Promise<unknown> {
  const { event, signal } = session;
  const type = fn.triggerTypeOf(event.name);
  if (type?.schema !== undefined) {
    const problem = await schemaProblem(type, event.data);
    if (problem !== null) {
      const message = `event ${event.id} does not fit the schema of ${event.name}: ${problem.path}: ${problem.message}`;
      throw new NonRetriableError(message);
    }
  }
  const logger = mutedLogger(fn.logger, () => session.isReplaying);
  return fn.handler({ event, events: [event], step: stepTools(session, send), logger, signal, ...entry });
}
