/** Errors that answer an HTTP request, from one table. Branch on `code`, never on text. */
import type { ErrorReply } from "@eddy/schemas";

interface RequestCode {
  readonly status: number;
  readonly summary: string;
}

export const REQUEST_CODES = {
  INVALID_JSON: { status: 400, summary: "The body is not JSON." },
  EMPTY_REQUEST: { status: 400, summary: "The body holds nothing." },
  INVALID_EVENT: { status: 400, summary: "A field of an event is missing or wrong." },
  TOO_MANY_EVENTS: { status: 400, summary: "More events than one request may hold." },
  INVALID_EVENT_KEY: { status: 400, summary: "The event key in the path is too long." },
  INVALID_HEADER: { status: 400, summary: "A header cannot be read." },
  INVALID_DURATION: { status: 400, summary: "Not a duration." },
  INVALID_BODY: { status: 400, summary: "A field of the body is missing or wrong." },
  INVALID_QUERY: { status: 400, summary: "A parameter of the query is unknown or wrong." },
  BAD_REQUEST: { status: 400, summary: "The request cannot be understood." },
  UNAUTHENTICATED: { status: 401, summary: "A token is missing, or not known." },
  FORBIDDEN: { status: 403, summary: "The token does not have the scope for this." },
  NOT_A_DEV_NAMESPACE: { status: 403, summary: "The clock moves only in a namespace made with dev: true." },
  NOT_FOUND: { status: 404, summary: "There is nothing at this path." },
  RUN_NOT_FOUND: { status: 404, summary: "No run has this id, or it is older than the retention." },
  EVENT_NOT_FOUND: { status: 404, summary: "No event has this id, or it is older than the retention." },
  REQUEST_TIMEOUT: { status: 408, summary: "The request did not arrive in time; nothing was done." },
  RUN_FINISHED: { status: 409, summary: "The run has ended by itself: there is nothing to cancel." },
  EVENT_TOO_LARGE: { status: 413, summary: "An event is larger than allowed." },
  REQUEST_TOO_LARGE: { status: 413, summary: "The request is larger than allowed." },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, summary: "The body must be application/json." },
  TOO_MANY_REQUESTS: { status: 429, summary: "More requests of one token, or address, than are allowed in a second." },
  HEADERS_TOO_LARGE: { status: 431, summary: "Path and headers together are larger than allowed." },
  INTERNAL: { status: 500, summary: "A bug in Eddy; its log says more." },
  UNAVAILABLE: { status: 503, summary: "Not possible at this moment; try again." },
} as const satisfies Record<string, RequestCode>;

export type RequestErrorCode = keyof typeof REQUEST_CODES;

/** Seconds that a client should wait after a 429 or 503. */
export const RETRY_AFTER_S = 1;

/** What a client is told: `path` names the field at fault, as in `[3].data`; null where there is none. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  readonly code: RequestErrorCode;
  readonly path: string | null;

  constructor(code: RequestErrorCode, message: string, path: string | null = null, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.path = path;
  }

  get status(): number {
    return REQUEST_CODES[this.code].status;
  }

  toReply(): ErrorReply {
    return { status: this.status, error: { code: this.code, message: this.message, path: this.path } };
  }
}
