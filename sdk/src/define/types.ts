/** Types of what users write: triggers, options, steps, handlers. At most two parameters each. */
import type { EddyEvent, EventType } from "./event-type.js";
import type { StepResult } from "./jsonify.js";
import type { Logger } from "./logger.js";

/** A name, or an event type. */
export type EventRef = string | EventType;
/** Event types by name, as a client knows them from its `schemas`. */
export type KnownEvents = Readonly<Record<string, EventType>>;
/** A client without schemas. */
export type NoEvents = Readonly<Record<never, never>>;

/** The event that a reference stands for; untyped where nothing is known of it. */
export type EventOf<Known, Ref> =
  Ref extends EventType<infer Name, infer Data>
    ? EddyEvent<Name, Data>
    : Ref extends keyof Known
      ? EventOf<NoEvents, Known[Ref]>
      : Ref extends string
        ? EddyEvent<Ref>
        : never;

/** What starts a function. */
export type Trigger = { readonly event: EventRef } | EventType;
export type EventOfTrigger<Known, T> = T extends EventType
  ? EventOf<Known, T>
  : T extends { readonly event: infer Ref }
    ? EventOf<Known, Ref>
    : never;

/** A length in ms, a duration such as "24h" or "3 days", or a point in time. */
export type TimeoutOption = number | string | Date;

/** Cancels a run when `event` comes with the same value at `match` as the event that started the run. */
export interface CancelOn {
  readonly event: EventRef;
  /** Where the value lies in both events, for example `data.cart_id`. */
  readonly match: string;
  /** How long after its start a run can be cancelled; as long as it lives where absent. */
  readonly timeout?: TimeoutOption | undefined;
}

/** Announces a `step.waitForEvent` whose event or match is not a literal in the handler. */
export interface DeclaredWaitOption {
  readonly event: EventRef;
  readonly match: string;
}

/** Options of a function without its triggers. */
export interface FunctionOptions {
  /** Stable: runs in flight belong to it. Letters, digits, `.`, `_`, `-`. */
  readonly id: string;
  /** For people; the id where absent. */
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  /** Attempts after the first, for each step and for the handler: 0 to 20, default 4. */
  readonly retries?: number | undefined;
  readonly cancelOn?: CancelOn | readonly CancelOn[] | undefined;
  /** Only needed for waits that the handler's own text does not show. */
  readonly waits?: DeclaredWaitOption | readonly DeclaredWaitOption[] | undefined;
}

export type OneOrMore<T> = T | readonly T[];

/** A step's id, or with a name for people. */
export type StepId = string | { readonly id: string; readonly name?: string | undefined };

export interface WaitOptions<Ref extends EventRef> {
  readonly event: Ref;
  /** The wait ends with null when this time is over. */
  readonly timeout: TimeoutOption;
  /** Path whose value in the triggering event and in the awaited event must be equal; a missing value matches nothing. */
  readonly match: string;
}

/** What a function given to `step.run` may ask about itself with `step.current()`. */
export interface CurrentStep {
  readonly runId: string;
  /** With its number where the id was used before: `mail`, `mail:1`, `mail:2`. */
  readonly stepId: string;
  /** `runId/stepId`: the same in each attempt of this step. Give it to the services that you call. */
  readonly idempotencyKey: string;
  /** Attempts of this step that failed so far; 0 in the first. */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly signal: AbortSignal;
}

/**
 * A handler's tools. Each step is done once per run and remembered under its id; an id used again counts on in order of
 * appearance (`mail`, `mail:1`, ...). Ids have 1 to 256 characters.
 */
export interface Steps<Known = NoEvents> {
  /**
   * Runs `fn`, remembers its result, and resolves with it once the log has it. Tried again when `fn` throws, up to the
   * function's `retries`, with backoff.
   * @param input arguments for `fn`.
   * @returns the result as JSON has it: dates are strings, `undefined` is null. At most 4 MiB.
   * @throws StepError when the attempts are used up, or `fn` threw a NonRetriableError.
   */
  run<Input extends readonly unknown[], Result>(
    id: StepId,
    fn: (...input: Input) => Result,
    ...input: Input
  ): Promise<StepResult<Awaited<Result>>>;
  /** @param duration ms, or a duration such as "3 days"; up to 366 days. */
  sleep(id: StepId, duration: number | string): Promise<void>;
  /** @param time a Date or ISO 8601 text; in the past: now. */
  sleepUntil(id: StepId, time: Date | string): Promise<void>;
  /**
   * Waits for an event with the same value at `match` as the triggering event.
   * @returns the event, or null after `timeout`. Events that came since the run started, or since its last sleep or
   *   wait, count too: a reply that is faster than this call is not missed.
   */
  waitForEvent<const Ref extends EventRef>(id: StepId, options: WaitOptions<Ref>): Promise<EventOf<Known, Ref> | null>;
  /** Inside a function given to `step.run`: which step this is. @throws Error elsewhere. */
  current(): CurrentStep;
  /** Aborted when the run is cancelled or this worker has lost it; then nothing done here counts any more. */
  readonly signal: AbortSignal;
}

export interface HandlerContext<Event, Known = NoEvents> {
  readonly event: Event;
  /** `[event]`. */
  readonly events: readonly [Event];
  readonly step: Steps<Known>;
  readonly runId: string;
  /** Attempts that failed of what is tried now, the handler or a step; 0 in the first. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** The client's logger; lines are not repeated when the handler is re-entered. */
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** What a user writes. May be re-entered at any time: what must happen once belongs in a step. */
export type Handler<Event = EddyEvent, Known = NoEvents> = (context: HandlerContext<Event, Known>) => unknown;
