/**
 * A gateway over HTTP, for commands. What it cannot serve at the moment (429, 503) is asked again after the pause that it
 * asks for, until the time is up; what it refuses (4xx) is refused. Answers are handed on as they came: `--json` prints
 * the very body.
 */
import type { Clock } from "@eddy/clients";
import { errorReply } from "@eddy/schemas";
import { EXIT } from "../exit-codes.js";
import { CommandError } from "./command-error.js";

/** Pauses between two tries where the answer does not say how long, in ms. */
const PAUSE_MS = 1_000;
const PAUSE_MS_MIN = 50;
/** Of an answer that is not ours. */
const SHOWN_MAX = 100;
/** Not served now, by the gateway or by a proxy before it. */
const BUSY: ReadonlySet<number> = new Set([429, 502, 503, 504]);

export interface GatewayApiDeps {
  /** Without a slash at its end. */
  readonly url: string;
  /** Shown with each question; null: none. */
  readonly token: string | null;
  /** How long one question may take with all its tries, in ms. */
  readonly timeoutMs: number;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  /** Told once per question that is not answered at the first try. */
  readonly onWait: (why: string) => void;
}

export interface Ask {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** false: to ask twice is not the same as to ask once. Default: true. */
  readonly repeatable?: boolean;
  /** A gateway that is not there is waited for, too. Default: false. */
  readonly isPatient?: boolean;
}

/** One try: the body of an answer that is one, or why there is none yet. */
type Try = { readonly body: object } | { readonly why: string; readonly pauseMs: number; readonly isThere: boolean };

export class GatewayApi {
  readonly url: string;
  readonly #deps: GatewayApiDeps;

  constructor(deps: GatewayApiDeps) {
    this.url = deps.url;
    this.#deps = deps;
  }

  /** @returns the body of a 2xx. @throws CommandError unreachable, refused, unavailable. */
  async ask<T extends object>(path: string, ask: Ask = {}): Promise<T> {
    const { clock, timeoutMs, onWait } = this.#deps;
    const endAtMs = clock.nowMs() + timeoutMs;
    for (let isFirst = true; ; isFirst = false) {
      const outcome = await this.#try(path, ask, Math.max(1, endAtMs - clock.nowMs()));
      if ("body" in outcome) return outcome.body as T;
      const { why, pauseMs, isThere } = outcome;
      if (!isThere && ask.isPatient !== true) throw this.#notThere(why);
      if (ask.repeatable === false) throw new CommandError(EXIT.unavailable, `${why}; it was not tried again`);
      if (clock.nowMs() + pauseMs >= endAtMs) {
        if (!isThere) throw this.#notThere(why);
        const advice = "see GET /health/ready, or wait longer with --timeout";
        throw new CommandError(EXIT.unavailable, `${why}; given up after ${timeoutMs} ms: ${advice}`);
      }
      if (isFirst) onWait(why);
      await clock.sleep(pauseMs);
    }
  }

  async #try(path: string, { method = "GET", body, headers }: Ask, timeoutMs: number): Promise<Try> {
    const { token } = this.#deps;
    const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
    let response: Response;
    let text: string;
    try {
      response = await this.#deps.fetch(this.url + path, {
        method,
        headers: {
          ...{ accept: "application/json", ...authorization },
          ...(body === undefined ? {} : JSON_BODY),
          ...headers,
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(timeoutMs),
      });
      text = await response.text();
    } catch (error) {
      const isTimeout = error instanceof DOMException && error.name === "TimeoutError";
      const why = isTimeout ? `no answer from ${this.url} within ${timeoutMs} ms` : reasonOf(error);
      return { why, pauseMs: PAUSE_MS, isThere: isTimeout };
    }
    const { status } = response;
    const parsed = parseObject(text);
    if (response.ok && parsed !== null) return { body: parsed };
    const told = errorReply.safeParse(parsed);
    if (BUSY.has(status)) {
      const why = told.success ? told.data.error.message : `${this.url} answered ${status}`;
      return { why, pauseMs: pauseOf(response), isThere: true };
    }
    throw told.success ? this.#refusal(status, told.data.error) : this.#stranger(status, text);
  }

  #refusal(status: number, { code, message }: { readonly code: string; readonly message: string }): CommandError {
    const exitCode = status < 500 ? EXIT.refused : EXIT.failed;
    const advice = status === 401 ? "; give it with EDDY_TOKEN or --token-file" : "";
    return new CommandError(exitCode, `${message} (${status} ${code})${advice}`);
  }

  #stranger(status: number, text: string): CommandError {
    const shown = text.slice(0, SHOWN_MAX).replace(/\s+/g, " ").trim();
    const message = `${this.url} is no gateway of Eddy: it answered ${status}${shown === "" ? "" : ` ${shown}`}`;
    return new CommandError(EXIT.unreachable, `${message}; say where the engine is with --url or EDDY_BASE_URL`);
  }

  #notThere(why: string): CommandError {
    const advice = "start an engine with `eddy dev`, or say where it is with --url or EDDY_BASE_URL";
    return new CommandError(EXIT.unreachable, `no engine answers at ${this.url} (${why}): ${advice}`);
  }
}

const JSON_BODY = { "content-type": "application/json" };

function parseObject(text: string): object | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed) ? parsed : null;
  } catch {
    return null; // Whoever answers so is no gateway.
  }
}

/** In ms. */
function pauseOf({ headers }: Response): number {
  const given = Number(headers.get("retry-after") ?? NaN);
  return Number.isFinite(given) && given >= 0 ? Math.max(PAUSE_MS_MIN, given * 1_000) : PAUSE_MS;
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection broke off",
  UND_ERR_SOCKET: "the connection broke off",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "the host's name cannot be looked up now",
  EHOSTUNREACH: "there is no way to that host",
  ENETUNREACH: "there is no way to that host",
  ETIMEDOUT: "the connection timed out",
  UND_ERR_CONNECT_TIMEOUT: "the connection timed out",
};

/** `fetch` hides the reason in its cause; a name with several addresses has one for each. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const [first] = cause instanceof AggregateError ? (cause.errors as readonly unknown[]) : [cause];
  const { code, message } = first as Partial<NodeJS.ErrnoException>;
  return REASONS[code ?? ""] ?? message ?? String(first);
}
