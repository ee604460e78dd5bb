/** Errors of the SDK itself. Branch on `code`, never on text. */

/** Codes of the SDK's own errors, and what each says. */
export const SDK_ERROR_CODES = {
  CLIENT_INVALID: "An option of `new Eddy()` or `connect()` is not valid.",
  EVENT_TYPE_INVALID: "An `eventType` is not valid.",
  FUNCTION_INVALID: "An option of `createFunction()` is not valid.",
  EVENT_INVALID: "An event cannot be sent: it is not well-formed, or does not fit its schema.",
  SEND_FAILED: "The gateway or Kafka could not be reached, or did not accept the events, in all tries.",
  WORKER_CLOSED: "The worker is closed.",
  NON_DETERMINISTIC: "A re-entered handler asked for another step than was recorded.",
} as const;

/** A code of the SDK's own. */
export type SdkErrorCode = keyof typeof SDK_ERROR_CODES;

/** Base of all errors that the SDK throws at its callers. */
export class EddyError extends Error {
  override readonly name: string = "EddyError";
  /** One of SDK_ERROR_CODES, or the code that the gateway answered with. */
  readonly code: string;
  /** The field at fault, such as `cancelOn[0].timeout`; null where there is none. */
  readonly path: string | null;

  constructor(code: string, message: string, options: ErrorOptions & { readonly path?: string | null } = {}) {
    super(message, options);
    this.code = code;
    this.path = options.path ?? null;
  }

  /** As logs show it. */
  toJSON(): object {
    return { name: this.name, code: this.code, message: this.message, path: this.path };
  }
}

/** Thrown while an app is put together: by `new Eddy`, `eventType`, `createFunction`, `connect`. */
export class DefinitionError extends EddyError {
  override readonly name = "DefinitionError";
}

/** `eddy.send` did not succeed. With EVENT_INVALID nothing was sent. */
export class SendError extends EddyError {
  override readonly name = "SendError";
  /** HTTP status of the last answer; null where none came. */
  readonly status: number | null;

  constructor(
    code: string,
    message: string,
    options: ErrorOptions & { readonly path?: string | null; readonly status?: number | null } = {},
  ) {
    super(code, message, options);
    this.status = options.status ?? null;
  }

  /** With `status`. */
  override toJSON(): object {
    return { ...super.toJSON(), status: this.status };
  }
}

/**
 * `connect` did not succeed: the app was refused (then `code` is the gateway's, also over Kafka), or the worker was closed.
 */
export class ConnectError extends EddyError {
  override readonly name = "ConnectError";
}

/**
 * A re-entered handler asked for `askedStep` although `recordedStep` was recorded and never asked for. The code of the
 * function changed, or its path depends on something that is not recorded (time, randomness, outside state). The
 * invocation is retried, so that a run goes on once the former code is back; without that the run fails.
 */
export class NonDeterminismError extends EddyError {
  override readonly name = "NonDeterminismError";
  /** What the handler asks for now. */
  readonly askedStep: string;
  /** What it asked for before, and has not asked for this time. */
  readonly recordedStep: string;

  constructor(askedStep: string, recordedStep: string, message: string) {
    super("NON_DETERMINISTIC", message);
    this.askedStep = askedStep;
    this.recordedStep = recordedStep;
  }
}
