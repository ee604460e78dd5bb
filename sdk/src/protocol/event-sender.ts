/**
 * Sends events over HTTP. Every event has its id before the first try, so that a repeat is harmless: an answer that was
 * lost and an answer that never was given need not be told apart.
 */
import { setTimeout as delay } from "node:timers/promises";
import { errorReply, eventInput, LIMITS, sendEventsReply } from "@eddy/schemas";
import { ulid } from "ulid";
import { checkData, typeOfPayload, type EventPayload, type EventType } from "../define/event-type.js";
import { SendError } from "../errors/eddy-error.js";
import { backoffMs } from "./backoff.js";
import { SDK_NAME } from "./version.js";

/**
 * Tells which ids the SDK made: `all`, or a JSON array of indexes into the events. Ids without the mark are taken for
 * the user's own and remembered for 24 h instead of 10 minutes.
 */
export const GENERATED_IDS_HEADER = "x-eddy-generated-ids";
/** A longer header is left out: servers refuse headers over 16 KiB, and its absence costs only memory. */
const HEADER_CHARS_MAX = 8_000;

export const SEND_TRIES_MAX = 6;
const BACKOFF = { firstMs: 200, maxMs: 10_000 };
/** A server that asks for a longer pause than this is not waited for. */
const RETRY_AFTER_MS_MAX = 30_000;
const TRY_TIMEOUT_MS = 30_000;

export interface SendReply {
  readonly ids: string[];
}

export interface EventSenderDeps {
  readonly url: string;
  readonly fetch: typeof fetch;
  readonly known: ReadonlyMap<string, EventType>;
  /** Resolves after ms of real time. */
  readonly sleep?: (ms: number) => Promise<unknown>;
  /** In [0, 1). */
  readonly random?: () => number;
  readonly makeId?: () => string;
}

/** What one try came to: an answer, or what to do about it. */
type Try = { readonly ids: string[] } | { readonly error: SendError; readonly retryAfterMs: number | null };

export class EventSender {
  readonly #deps: Required<EventSenderDeps>;

  constructor(deps: EventSenderDeps) {
    this.#deps = { sleep: delay, random: Math.random, makeId: ulid, ...deps };
  }

  /** As `Eddy.send`. */
  async send(given: EventPayload | readonly EventPayload[]): Promise<SendReply> {
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
      if (event.id === undefined) generated.push(i);
      events.push({ ...event, id: event.id ?? this.#deps.makeId() });
    }
    const body = bodyOf(Array.isArray(given) ? events : events[0]);
    return { ids: await this.#post(body, headersOf(generated, events.length)) };
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

  async #post(body: string, headers: Record<string, string>): Promise<string[]> {
    for (let tries = 1; ; tries++) {
      const result = await this.#try(body, headers);
      if ("ids" in result) return result.ids;
      const { error, retryAfterMs } = result;
      if (retryAfterMs === null || tries >= SEND_TRIES_MAX) throw error;
      await this.#deps.sleep(Math.max(retryAfterMs, backoffMs(BACKOFF, tries, this.#deps.random)));
    }
  }

  async #try(body: string, headers: Record<string, string>): Promise<Try> {
    let response: Response;
    let text: string;
    try {
      const signal = AbortSignal.timeout(TRY_TIMEOUT_MS);
      response = await this.#deps.fetch(this.#deps.url, { method: "POST", headers, body, signal });
      text = await response.text();
    } catch (cause) {
      const message = `no answer from ${this.#deps.url}: ${reasonOf(cause)}; is the engine running?`;
      return { error: new SendError("SEND_FAILED", message, { cause }), retryAfterMs: 0 };
    }
    if (response.ok) {
      const reply = sendEventsReply.safeParse(parseJson(text));
      if (reply.success) return { ids: reply.data.ids };
      const message = `${this.#deps.url} answered ${response.status}, but not as Eddy's gateway does`;
      return { error: new SendError("SEND_FAILED", message, { status: response.status }), retryAfterMs: null };
    }
    return { error: refusal(response.status, text, this.#deps.url), retryAfterMs: pauseOf(response) };
  }
}

function headersOf(generated: readonly number[], count: number): Record<string, string> {
  const headers: Record<string, string> = { "content-type": "application/json", "user-agent": SDK_NAME };
  if (generated.length === 0) return headers;
  const mark = generated.length === count ? "all" : JSON.stringify(generated);
  return mark.length > HEADER_CHARS_MAX ? headers : { ...headers, [GENERATED_IDS_HEADER]: mark };
}

/** @throws SendError for cycles and bigints. */
function bodyOf(events: unknown): string {
  try {
    return JSON.stringify(events);
  } catch (cause) {
    throw new SendError("EVENT_INVALID", `an event cannot be written as JSON: ${reasonOf(cause)}`, { cause });
  }
}

/** @returns ms to wait at least, or null where another try is of no use. */
function pauseOf({ status, headers }: Response): number | null {
  if (status !== 408 && status !== 429 && status < 500) return null;
  const given = headers.get("retry-after");
  if (given === null) return 0;
  const seconds = Number(given);
  const ms = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(given) - Date.now();
  if (!Number.isFinite(ms)) return 0;
  return ms > RETRY_AFTER_MS_MAX ? null : Math.max(0, ms);
}

function refusal(status: number, text: string, url: string): SendError {
  const reply = errorReply.safeParse(parseJson(text));
  if (!reply.success)
    return new SendError("SEND_FAILED", `${url} answered ${status}: ${text.slice(0, 200)}`, { status });
  const { code, message, path } = reply.data.error;
  return new SendError(code, message, { status, path });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Not JSON is judged by the schema, like every other wrong shape.
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error ? `${error.message} (${cause.message})` : error.message;
}
