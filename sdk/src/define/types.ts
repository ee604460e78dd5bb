/** Types of what users write: triggers, options, steps, handlers. At most two parameters each. */
import type { EddyEvent, EventPayload, EventType } from "./event-type.js";
import type { StepResult } from "./jsonify.js";
import type { Logger } from "./logger.js";

/** A name, or an event type. */
export type EventRef = string | EventType;
/** Event types by name, as a client knows them from its `schemas`. */
export type KnownEvents = Readonly<Record<string, EventType>>;
/** A client without schemas. */
export type NoEvents = Readonly<Record<never, never>>;

/** Of `foo/*`, that an event's name is text; else the name itself. */
type NameOf<Name extends string> = Name extends `${string}*` ? string : Name;

/** The event that a reference stands for; untyped where nothing is known of it. */
export type EventOf<Known, Ref> =
  Ref extends EventType<infer Name, infer Data>
    ? EddyEvent<NameOf<Name>, Data>
    : Ref extends keyof Known
      ? EventOf<NoEvents, Known[Ref]>
      : Ref extends string
        ? EddyEvent<NameOf<Ref>>
        : never;

/** What may be sent under a name: typed where the client knows the event. */
export type PayloadFor<Known, Name extends string> = { readonly name: Name } & (Name extends keyof Known
  ? Known[Name] extends EventType<infer N, infer Data>
    ? EventPayload<N, Data> & { readonly data: Data }
    : never
  : EventPayload<Name>);

/** What starts a function. An event starts it once at most, however many of its triggers the event fits. */
export type Trigger =
  | {
      /** A name, an event type, or the beginning of names with a `*` at its end: `cart/*`. */
      readonly event: EventRef;
      /** CEL over `event`, such as `event.data.total > 100`; without it every event of the name counts. */
      readonly if?: string | undefined;
    }
  | EventType;
/** The event that a trigger lets in. */
export type EventOfTrigger<Known, T> = T extends EventType
  ? EventOf<Known, T>
  : T extends { readonly event: infer Ref }
    ? EventOf<Known, Ref>
    : never;

/** A length in ms, a duration such as "24h" or "3 days", or a point in time. */
export type TimeoutOption = number | string | Date;

/**
 * Which events of a name are meant: one of `match` and `if`, or neither: then every event of the name.
 *
 * A condition is CEL, as with Inngest: over `event`, which started the run, and `async`, the one that came in. What is
 * missing or of another type makes it false. Its equalities (`async.data.id == event.data.id && ...`) say where to look;
 * a condition without any is asked of every event of its name.
 */
export type Listening =
  | {
      /**
       * Path of a value that both events must have, and have equal, such as `data.cart_id`. `1` and `"1"` differ; a
       * missing value, null, a list or an object matches nothing.
       */
      readonly match?: string | undefined;
      readonly if?: undefined;
    }
  | {
      readonly match?: undefined;
      /** `async.data.orderId == event.data.orderId && async.data.total > 100`; up to 4,096 characters. */
      readonly if?: string | undefined;
    };

/** Cancels a run when such an event comes. The event that starts a run never cancels it. */
export type CancelOn = Listening & {
  readonly event: EventRef;
  /** How long after its start a run can be cancelled; as long as it lives where absent. */
  readonly timeout?: TimeoutOption | undefined;
};

/**
 * From where on events count for a wait. Without it: from the end of the run's last sleep or wait, or the beginning of
 * its last steps, so that a reply that is faster than the wait is not missed. `trigger`: from the event that started the
 * run. `registration`: from the wait itself.
 */
export type SinceOption = "trigger" | "registration";

/**
 * Announces a `step.waitForEvent` that the handler's own text does not show in full. Without it the wait works too: the
 * first run that makes it teaches the engine where its events are, which takes that run some seconds longer and looks
 * ten minutes back at most.
 */
export type DeclaredWaitOption = Listening & {
  readonly event: EventRef;
  readonly since?: SinceOption | undefined;
};

/** Options of a function without its triggers. */
export interface FunctionOptions {
  /** Stable: runs in flight belong to it. Letters, digits, `.`, `_`, `-`. */
  readonly id: string;
  /** For people; the id where absent. */
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  /** Attempts after the first, for each step and for the handler: 0 to 20, default 4. */
  readonly retries?: number | undefined;
  /** Up to 5 rules. */
  readonly cancelOn?: CancelOn | readonly CancelOn[] | undefined;
  /** Up to 50, with those that the handler's own text shows. */
  readonly waits?: DeclaredWaitOption | readonly DeclaredWaitOption[] | undefined;
  /**
   * Each step is dispatched by itself, parallel ones together, so that the engine looks at its log before the next: once
   * a cancelling event is processed, no further step begins, not even on a worker that has not heard of it. Costs a
   * way through the log for each step. Default: false, then steps follow each other on the worker at once.
   */
  readonly strict?: boolean | undefined;
}

export type OneOrMore<T> = T | readonly T[];

/** A step's id, or with a name for people. */
export type StepId = string | { readonly id: string; readonly name?: string | undefined };

/** Options of `step.waitForEvent`. */
export type WaitOptions<Ref extends EventRef> = Listening & {
  readonly event: Ref;
  /** The wait ends with null when this time is over. */
  readonly timeout: TimeoutOption;
  readonly since?: SinceOption | undefined;
};

/** What a function given to `step.run` may ask about itself with `step.current()`. */
export interface CurrentStep {
  /** The run that it belongs to. */
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
 * appearance (`mail`, `mail:1`, ...). Ids have 1 to 256 characters; a run has at most 1,000 steps.
 *
 * Steps run in parallel with `Promise.all`, and against each other with `Promise.race` and `Promise.any`. A sleep or wait
 * that lost is withdrawn when the handler next waits: its time no longer counts and no event is taken for it. Awaited
 * again later, it begins anew. Seen are races of the steps' own promises: one that a step wins. What is behind a
 * promise of your own (an async function around steps, `.then`, a race inside a race) is waited for until the run ends,
 * which nobody but the timeline sees.
 * @example
 * ```ts
 * import { Eddy } from "@eddy/sdk";
 *
 * const eddy = new Eddy({ id: "shop" });
 * export default eddy.createFunction({ id: "deliver", triggers: [{ event: "order/paid" }] }, async ({ event, step }) => {
 *   const [label, slip] = await Promise.all([
 *     step.run("label", () => `label of ${event.data.order}`),
 *     step.run("slip", () => `slip of ${event.data.order}`),
 *   ]);
 *   const first = await Promise.race([
 *     step.waitForEvent("picked up", { event: "parcel/picked.up", match: "data.order", timeout: "7d" }),
 *     step.waitForEvent("returned", { event: "parcel/returned", match: "data.order", timeout: "7d" }),
 *     step.sleep("too long", "3d"),
 *   ]);
 *   return { label, slip, how: first?.name ?? "nothing happened" };
 * });
 * ```
 */
export interface Steps<Known = NoEvents> {
  /**
   * Runs `fn`, remembers its result, and resolves with it once the log has it. Tried again when `fn` throws, up to the
   * function's `retries`, with backoff.
   * @param input arguments for `fn`.
   * @returns the result as JSON has it: dates are strings, `undefined` is null. At most 4 MiB.
   * @throws StepError when the attempts are used up, or `fn` threw a NonRetriableError.
   * @example
   * ```ts
   * import { Eddy, NonRetriableError } from "@eddy/sdk";
   *
   * const eddy = new Eddy({ id: "shop" });
   * export default eddy.createFunction({ id: "charge", triggers: [{ event: "order/placed" }] }, async ({ event, step }) => {
   *   const charge = await step.run("charge", async () => {
   *     const { idempotencyKey, signal } = step.current(); // The same key in each attempt.
   *     const headers = { "Idempotency-Key": idempotencyKey };
   *     const response = await fetch("https://pay.example/charges", { method: "POST", headers, signal });
   *     if (response.status === 402) throw new NonRetriableError("the card was declined");
   *     return { id: await response.text(), at: new Date() };
   *   });
   *   return charge.at.slice(0, 10); // Results went through JSON: a date is text.
   * });
   * ```
   */
  run<Input extends readonly unknown[], Result>(
    id: StepId,
    fn: (...input: Input) => Result,
    ...input: Input
  ): Promise<StepResult<Awaited<Result>>>;
  /**
   * Pauses the run; nothing is kept in memory meanwhile.
   * @param duration ms, or a duration such as "3 days"; up to 366 days.
   * @example
   * ```ts
   * import { Eddy } from "@eddy/sdk";
   *
   * const eddy = new Eddy({ id: "crm" });
   * export default eddy.createFunction({ id: "follow-up", triggers: [{ event: "lead/won" }] }, async ({ event, step }) => {
   *   await step.sleep("let it settle", "3 days");
   *   await step.sleepUntil("next quarter", new Date(event.data.quarterEnds));
   *   await step.run("ask how it goes", () => console.log(event.data.lead));
   * });
   * ```
   */
  sleep(id: StepId, duration: number | string): Promise<void>;
  /**
   * Pauses the run until then.
   * @param time a Date or ISO 8601 text; in the past: now.
   */
  sleepUntil(id: StepId, time: Date | string): Promise<void>;
  /**
   * Waits for an event: one with the same value at `match` as the triggering event, or for which `if` holds, or, with
   * neither, any event of the name.
   * @returns the event, or null after `timeout`. Events that came since the run started, or since its last sleep or
   *   wait, count too: a reply that is faster than this call is not missed. `since` says otherwise.
   * @throws NonRetriableError for an option that is not valid. KeptEventsOverflowError fails the run where more than
   *   1,000 events or 8 MiB came for the same value in between, too many to look back at.
   * @example
   * ```ts
   * import { Eddy } from "@eddy/sdk";
   *
   * const eddy = new Eddy({ id: "blog" });
   * export default eddy.createFunction({ id: "review", triggers: [{ event: "draft/written" }] }, async ({ event, step }) => {
   *   await step.run("ask for a review", () => console.log("please read", event.data.draft));
   *   const review = await step.waitForEvent("review", {
   *     event: "review/given",
   *     if: "async.data.draft == event.data.draft && async.data.stars > 2",
   *     timeout: "2 days",
   *   });
   *   return review === null ? "nobody liked it in time" : review.data.stars;
   * });
   * ```
   */
  waitForEvent<const Ref extends EventRef>(id: StepId, options: WaitOptions<Ref>): Promise<EventOf<Known, Ref> | null>;
  /**
   * Sends events, one or up to 5,000, once per run: as `eddy.send` does, with the client's schemas, and remembered as a
   * step. Events without `id` get `<runId>/<step id>/<index>`, so that a repeat of the step within 24 h has no effect.
   * Runs that wait for such an event get it however soon they ask, this run too.
   * @returns the events' ids, in their order.
   * @throws StepError when the attempts are used up; at once where an event is not valid.
   * @example
   * ```ts
   * import { Eddy } from "@eddy/sdk";
   *
   * const eddy = new Eddy({ id: "shop" });
   * export default eddy.createFunction({ id: "order", triggers: [{ event: "order/placed" }] }, async ({ event, step }) => {
   *   await step.sendEvent("tell the warehouse", { name: "order/to.pack", data: { order: event.data.order } });
   *   const packed = { event: "order/packed", match: "data.order", timeout: "1d" } as const;
   *   return (await step.waitForEvent("packed", packed)) !== null;
   * });
   * ```
   */
  sendEvent<const Name extends string>(
    id: StepId,
    events: OneOrMore<PayloadFor<Known, Name>>,
  ): Promise<{ readonly ids: string[] }>;
  /** Inside a function given to `step.run`: which step this is. @throws Error elsewhere. */
  current(): CurrentStep;
  /** Aborted when the run is cancelled or this worker has lost it; then nothing done here counts any more. */
  readonly signal: AbortSignal;
}

/** What a handler gets. */
export interface HandlerContext<Event, Known = NoEvents> {
  /** The event that started the run. */
  readonly event: Event;
  /** `[event]`. */
  readonly events: readonly [Event];
  /** Its tools: what is done with them is done once. */
  readonly step: Steps<Known>;
  /** The same each time that the handler is re-entered. */
  readonly runId: string;
  /** Attempts that failed of what is tried now, the handler or a step; 0 in the first. */
  readonly attempt: number;
  /** `retries` of the function, and 1. */
  readonly maxAttempts: number;
  /** The client's logger; lines are not repeated when the handler is re-entered. */
  readonly logger: Logger;
  /** As `step.signal`. */
  readonly signal: AbortSignal;
}

/** What a user writes. May be re-entered at any time: what must happen once belongs in a step. */
export type Handler<Event = EddyEvent, Known = NoEvents> = (context: HandlerContext<Event, Known>) => unknown;
