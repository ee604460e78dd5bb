/** `step`: checks what the handler gives and asks the session. A wrong argument fails the run: it would be wrong again. */
import { eventName, matchPath, parseDuration, parseTimeout, type Timeout } from "@eddy/schemas";
import { isEventType } from "../define/event-type.js";
import type { StepId, Steps } from "../define/types.js";
import { NonRetriableError } from "../errors/user-errors.js";
import { currentStep } from "./current-step.js";
import type { StepSpec } from "./step-call.js";

/** What a handler asks. */
export interface Asked {
  /** @throws NonRetriableError for an id that cannot be. */
  ask(id: string, spec: StepSpec): Promise<unknown>;
  readonly signal: AbortSignal;
}

export function stepTools(session: Asked): Steps {
  const ask = (id: StepId, specOf: () => StepSpec): Promise<unknown> => {
    try {
      return session.ask(idOf(id), specOf());
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
  };
  const tools = {
    run: (id: StepId, fn: unknown, ...input: unknown[]) => ask(id, () => ({ kind: "run", fn: boundFn(id, fn, input) })),
    sleep: (id: StepId, duration: unknown) =>
      ask(id, () => ({ kind: "sleep", until: { ms: checked(id, () => parseDuration(duration as string | number)) } })),
    sleepUntil: (id: StepId, time: unknown) => ask(id, () => ({ kind: "sleep", until: untilOf(id, time) })),
    waitForEvent: (id: StepId, options: unknown) => ask(id, () => waitOf(id, options)),
    current: currentStep,
    signal: session.signal,
  };
  return tools as unknown as Steps;
}

function idOf(given: unknown): string {
  const id = typeof given === "object" && given !== null ? (given as { id?: unknown }).id : given;
  if (typeof id === "string") return id;
  throw new NonRetriableError(`expected a step id as text or { id, name }, got ${typeof id}`);
}

function boundFn(id: StepId, fn: unknown, input: readonly unknown[]): () => unknown {
  if (typeof fn !== "function") fail(id, "step.run expects a function");
  return () => (fn as (...args: readonly unknown[]) => unknown)(...input);
}

function untilOf(id: StepId, time: unknown): Timeout {
  const at = typeof time === "string" ? new Date(time) : time;
  if (!(at instanceof Date)) return fail(id, "step.sleepUntil expects a Date or ISO 8601 text");
  if (Number.isNaN(at.getTime())) fail(id, `step.sleepUntil: ${JSON.stringify(time)} is not a point in time`);
  return { atMs: Math.max(0, at.getTime()) };
}

function waitOf(id: StepId, given: unknown): StepSpec {
  const { event, match, timeout } = (given ?? {}) as { event?: unknown; match?: unknown; timeout?: unknown };
  const name = eventName.safeParse(isEventType(event) ? event.name : event);
  if (!name.success) return fail(id, "step.waitForEvent: event: expected an event name or an eventType");
  if (timeout === undefined) fail(id, 'step.waitForEvent: timeout: is required, for example "24h"');
  const path = matchPath.safeParse(match);
  if (!path.success) {
    return fail(id, 'step.waitForEvent: match: expected the path of a value in both events, such as "data.cart_id"');
  }
  const parsed = checked(id, () => parseTimeout(timeout as string | number | Date));
  return { kind: "wait", event: name.data, match: path.data, timeout: parsed };
}

function checked<T>(id: StepId, read: () => T): T {
  try {
    return read();
  } catch (error) {
    return fail(id, error instanceof Error ? error.message : String(error));
  }
}

function fail(id: StepId, message: string): never {
  throw new NonRetriableError(`step ${JSON.stringify(idOf(id))}: ${message}`);
}
