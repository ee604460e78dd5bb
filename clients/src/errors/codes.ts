/**
 * Every error class of the engine, from one table: named for who must act. Branch on `code`, never on text.
 * docs/errors/<CODE>.md explains each.
 */
type Family = "bad-record" | "transient" | "fenced" | "corrupted" | "invariant" | "config" | "request";

interface CodeEntry {
  readonly family: Family;
  /** Is it useful to do the same again? Unknown means no. */
  readonly retriable: boolean;
  readonly summary: string;
}

export const ERROR_CODES = {
  BAD_RECORD: {
    family: "bad-record",
    retriable: false,
    summary: "The log cannot take this record; nothing was stored.",
  },
  CLOSED: { family: "fenced", retriable: false, summary: "This process has closed the log, reader or store." },
  TRANSIENT: { family: "transient", retriable: true, summary: "The log or store did not answer in time." },
  FENCED: { family: "fenced", retriable: false, summary: "Another process owns this partition now." },
  CLOCK_AHEAD: {
    family: "config",
    retriable: false,
    summary: "The log's clock is too far ahead of this machine's; timers would fire early.",
  },
  OFFSET_OUT_OF_RANGE: {
    family: "corrupted",
    retriable: false,
    summary: "The log no longer holds the offset to read.",
  },
  STATE_CORRUPTED: {
    family: "corrupted",
    retriable: false,
    summary: "The local store cannot be used; it is restored.",
  },
  STORE_LOCKED: { family: "config", retriable: false, summary: "Another process uses this data directory." },
  DATA_DIR_UNUSABLE: { family: "config", retriable: false, summary: "The data directory cannot be made or written." },
  ADDRESS_UNUSABLE: { family: "config", retriable: false, summary: "The address to listen on is taken or not ours." },
  CONFIG_INVALID: { family: "config", retriable: false, summary: "The configuration has problems." },
  INVARIANT_VIOLATION: { family: "invariant", retriable: false, summary: "A bug: something that cannot be was seen." },
} as const satisfies Record<string, CodeEntry>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** `fields` are for logs: topic, partition, offset, runId. */
export class EddyError extends Error {
  readonly code: ErrorCode;
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    fields: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.fields = fields;
  }

  get family(): Family {
    return ERROR_CODES[this.code].family;
  }
  get retriable(): boolean {
    return ERROR_CODES[this.code].retriable;
  }
  toJSON(): object {
    return { name: this.name, code: this.code, message: this.message, fields: this.fields };
  }
}

function errorClass(name: string, code: ErrorCode) {
  return class extends EddyError {
    override readonly name = name;
    constructor(message: string, fields?: Readonly<Record<string, unknown>>, options?: ErrorOptions) {
      super(code, message, fields, options);
    }
  };
}

export class BadRecordError extends errorClass("BadRecordError", "BAD_RECORD") {}
export class ClosedError extends errorClass("ClosedError", "CLOSED") {}
export class TransientError extends errorClass("TransientError", "TRANSIENT") {}
export class FencedError extends errorClass("FencedError", "FENCED") {}
export class ClockAheadError extends errorClass("ClockAheadError", "CLOCK_AHEAD") {}
export class OffsetOutOfRangeError extends errorClass("OffsetOutOfRangeError", "OFFSET_OUT_OF_RANGE") {}
export class StateCorruptedError extends errorClass("StateCorruptedError", "STATE_CORRUPTED") {}
export class StoreLockedError extends errorClass("StoreLockedError", "STORE_LOCKED") {}
export class DataDirError extends errorClass("DataDirError", "DATA_DIR_UNUSABLE") {}
export class AddressError extends errorClass("AddressError", "ADDRESS_UNUSABLE") {}
export class ConfigError extends errorClass("ConfigError", "CONFIG_INVALID") {}
export class InvariantViolation extends errorClass("InvariantViolation", "INVARIANT_VIOLATION") {}

/** @throws InvariantViolation unless `condition` holds. */
export function invariant(
  condition: boolean,
  message: string,
  fields?: Readonly<Record<string, unknown>>,
): asserts condition {
  if (!condition) throw new InvariantViolation(message, fields);
}
