/**
 * Sends events, whatever the way. Every event has its id before the first try, so that a repeat is harmless: an answer
 * that was lost and an answer that never was given need not be told apart.
 */
import { setTimeout as delay } from "node:timers/promises";
import { eventInput, LIMITS } from "@eddy/schemas";
import { ulid } from "ulid";
import { checkData, typeOfPayload, type EventPayload, type EventType } from "../define/event-type.js";
import { SendError } from "../errors/eddy-error.js";
import { backoffMs } from "./backoff.js";

export const SEND_TRIES_MAX = 6;
const BACKOFF = { firstMs: 200, maxMs: 10_000 };

/** What was sent. */
export interface SendReply {
  /** Ids of the events, in their order. */
  readonly ids: string[];
}

/** Events that are well-formed and have their ids. */
export interface Sendable {
  /** One event or an array of them, as JSON text. */
  readonly body: string;
  readonly count: number;
  /** Indexes of those whose ids the SDK made: they are remembered for minutes, the user's own for a day. */
  readonly generated: readonly number[];
}

/** What one try came to: ids, or what to do about it: ms to wait at least, null where another try is of no use. */
export type Try =
  { readonly ids: readonly string[] } | { readonly error: SendError; readonly retryAfterMs: number | null };

/** A way to the log. */
export interface EventDelivery {
  /** One try. Rejects for bugs alone. */
  try(events: Sendable): Promise<Try>;
  /** Ends its connections; idempotent. */
  close(): Promise<void>;
}

export interface EventSenderDeps {
  readonly delivery: EventDelivery;
  readonly known: ReadonlyMap<string, EventType>;
  /** What is done to each event before it leaves, once it has its id. Default: nothing. */
  readonly seal?: (event: object) => object;
  /** Resolves after ms of real time. */
  readonly sleep?: (ms: number) => Promise<unknown>;
  /** In [0, 1). */
  readonly random?: () => number;
  readonly makeId?: () => string;
}

export class EventSender {
  readonly #deps: Required<EventSenderDeps>;

  constructor(deps: EventSenderDeps) {
    this.#deps = { seal: (event) => event, sleep: delay, random: Math.random, makeId: ulid, ...deps };
  }

  /**
   * As `Eddy.send`.
   * @param idOf ids for events without one, by index: the user's kind, remembered for a day. Without it they are made
   *   up here, and remembered for minutes.
   */
  async send(given: EventPayload | readonly EventPayload[], idOf?: (index: number) => string): Promise<SendReply> {
    const list: readonly unknown[] = Array.isArray(given) ? given : [given];
    if (list.length === 0) return { ids: [] };
    if (list.length > LIMITS.eventsPerRequestMax) {
      const message = `expected at most ${LIMITS.eventsPerRequestMax} events at once, got ${list.length}`;
      throw new SendError("EVENT_INVALID", message);
    }
    const generated: number[] = [];
    const events: object[] = [];
    for (const [i, payload] of list.entries()) {
      const event = await this.#read(payload, Array.isArray(given) ? `[${i}]` : "");
      if (event.id === undefined && idOf === undefined) generated.push(i);
      events.push({ ...event, id: event.id ?? idOf?.(i) ?? this.#deps.makeId() });
    }
    const body = this.#bodyOf(events, Array.isArray(given));
    return { ids: await this.#deliver({ body, count: events.length, generated }) };
  }

  close(): Promise<void> {
    return this.#deps.delivery.close();
  }

  async #read(payload: unknown, at: string): Promise<EventPayload> {
    const parsed = eventInput.safeParse(payload);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      const path = [at, ...(issue?.path ?? []).map(String)].filter((part) => part !== "").join(".");
      const message = `${path === "" ? "an event" : path}: ${issue?.message ?? "is not valid"}`;
      throw new SendError("EVENT_INVALID", message, { path: path === "" ? null : path });
    }
    const event = payload as EventPayload;
    const type = typeOfPayload(event) ?? this.#deps.known.get(event.name);
    if (type !== undefined) await checkData(type, event.data, at === "" ? "" : `${at}.`);
    return { ...event, data: (event.data as unknown) ?? {} };
  }

  /** @throws SendError for cycles and bigints, and for what cannot be sealed. */
  #bodyOf(events: readonly object[], isList: boolean): string {
    try {
      const sealed = events.map((event) => this.#deps.seal(event));
      return JSON.stringify(isList ? sealed : sealed[0]);
    } catch (cause) {
      throw new SendError("EVENT_INVALID", `an event cannot be written as JSON: ${reasonOf(cause)}`, { cause });
    }
  }

  async #deliver(events: Sendable): Promise<string[]> {
    for (let tries = 1; ; tries++) {
      const result = await this.#deps.delivery.try(events);
      if ("ids" in result) return [...result.ids];
      const { error, retryAfterMs } = result;
      if (retryAfterMs === null || tries >= SEND_TRIES_MAX) throw error;
      await this.#deps.sleep(Math.max(retryAfterMs, backoffMs(BACKOFF, tries, this.#deps.random)));
    }
  }
}

/** With the cause behind it, where there is one. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error ? `${error.message} (${cause.message})` : error.message;
}
