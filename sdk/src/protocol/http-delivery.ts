/** Events over HTTP, through the gateway. */
import { errorReply, sendEventsReply } from "@eddy/schemas";
import { SendError } from "../errors/eddy-error.js";
import { reasonOf, type EventDelivery, type Sendable, type Try } from "./event-sender.js";
import { SDK_NAME } from "./version.js";

/**
 * Tells which ids the SDK made: `all`, or a JSON array of indexes into the events. Ids without the mark are taken for
 * the user's own and remembered for 24 h instead of 10 minutes.
 */
export const GENERATED_IDS_HEADER = "x-eddy-generated-ids";
/** A longer header is left out: servers refuse headers over 16 KiB, and its absence costs only memory. */
const HEADER_CHARS_MAX = 8_000;
/** A server that asks for a longer pause than this is not waited for. */
const RETRY_AFTER_MS_MAX = 30_000;
const TRY_TIMEOUT_MS = 30_000;

export interface HttpDeliveryDeps {
  readonly url: string;
  /** With each request. */
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: typeof fetch;
}

export class HttpDelivery implements EventDelivery {
  readonly #deps: HttpDeliveryDeps;

  constructor(deps: HttpDeliveryDeps) {
    this.#deps = deps;
  }

  async try(events: Sendable): Promise<Try> {
    const { url, headers } = this.#deps;
    let response: Response;
    let text: string;
    try {
      const signal = AbortSignal.timeout(TRY_TIMEOUT_MS);
      const request = { method: "POST", headers: { ...headers, ...headersOf(events) }, body: events.body, signal };
      response = await this.#deps.fetch(url, request);
      text = await response.text();
    } catch (cause) {
      const message = `no answer from ${url}: ${reasonOf(cause)}; is the engine running?`;
      return { error: new SendError("SEND_FAILED", message, { cause }), retryAfterMs: 0 };
    }
    if (response.ok) {
      const reply = sendEventsReply.safeParse(parseJson(text));
      if (reply.success) return { ids: reply.data.ids };
      const message = `${url} answered ${response.status}, but not as Eddy's gateway does`;
      return { error: new SendError("SEND_FAILED", message, { status: response.status }), retryAfterMs: null };
    }
    return { error: refusal(response.status, text, url), retryAfterMs: pauseOf(response) };
  }

  /** `fetch` keeps its own connections. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}

function headersOf({ generated, count }: Sendable): Record<string, string> {
  const headers: Record<string, string> = { "content-type": "application/json", "user-agent": SDK_NAME };
  if (generated.length === 0) return headers;
  const mark = generated.length === count ? "all" : JSON.stringify(generated);
  return mark.length > HEADER_CHARS_MAX ? headers : { ...headers, [GENERATED_IDS_HEADER]: mark };
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
