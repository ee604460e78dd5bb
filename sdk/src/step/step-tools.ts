/** `step`: checks what the handler gives and asks the session. A wrong argument fails the run: it would be wrong again. */
import {
  conditionText,
  eventName,
  matchPath,
  parseDuration,
  parseTimeout,
  since as sinceSchema,
  type Since,
  type Timeout,
} from "@eddy/schemas";
import { isEventType } from "../define/event-type.js";
import type { StepId, Steps } from "../define/types.js";
import { NonRetriableError } from "../errors/user-errors.js";
import { currentStep } from "./current-step.js";
import type { StepSpec } from "./step-call.js";
import { sendInStep, type SendFromStep } from "./step-send.js";

/** What a handler asks. */
export interface Asked {
  /** @throws NonRetriableError for an id that cannot be. */
  ask(id: string, spec: StepSpec): Promise<unknown>;
  readonly signal: AbortSignal;
}

/** @param send what `sendEvent` sends with. */
export function stepTools(session: Asked, send: SendFromStep): Steps {
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
    sendEvent: (id: StepId, events: unknown) =>
      ask(id, () => ({ kind: "run", fn: () => sendInStep(send, currentStep(), events) })),
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

interface GivenWait {
  readonly event?: unknown;
  readonly match?: unknown;
  readonly if?: unknown;
  readonly since?: unknown;
  readonly timeout?: unknown;
}

function waitOf(id: StepId, given: unknown): StepSpec {
  const { event, match, if: condition, since, timeout } = (given ?? {}) as GivenWait;
  const name = eventName.safeParse(isEventType(event) ? event.name : event);
  if (!name.success) return failWait(id, "event: expected an event name or an eventType");
  if (name.data.includes("*")) failWait(id, "event: a * at the end of a name is for triggers alone");
  if (timeout === undefined) failWait(id, 'timeout: is required, for example "24h"');
  if (match !== undefined && condition !== undefined) failWait(id, "match and if exclude each other");
  return {
    kind: "wait",
    event: name.data,
    match: match === undefined ? null : pathOf(id, match),
    if: condition === undefined ? null : conditionOf(id, condition),
    since: sinceOf(id, since),
    timeout: checked(id, () => parseTimeout(timeout as string | number | Date)),
  };
}

function pathOf(id: StepId, given: unknown): string {
  const path = matchPath.safeParse(given);
  if (path.success) return path.data;
  return failWait(id, 'match: expected the path of a value in both events, such as "data.cart_id"');
}

const CONDITION = conditionText("listen");
function conditionOf(id: StepId, given: unknown): string {
  const condition = CONDITION.safeParse(given);
  if (condition.success) return condition.data;
  return failWait(id, `if: ${condition.error.issues[0]?.message ?? "is not valid"}`);
}

function sinceOf(id: StepId, given: unknown): Since {
  if (given === undefined) return "mark";
  const parsed = sinceSchema.safeParse(given);
  return parsed.success ? parsed.data : failWait(id, 'since: expected "trigger" or "registration"');
}

function failWait(id: StepId, message: string): never {
  return fail(id, `step.waitForEvent: ${message}`);
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
