/** A record of a user's topic, made readable. */
import type { RecordHeaders } from "@eddy/clients";

export interface Decoded {
  readonly key: string | null;
  /** As JSON has it: bytes are base64 text, 64-bit integers of protobuf are text. */
  readonly value: unknown;
  readonly headers: RecordHeaders;
}

/** A record that will never become an event: it goes to the dead letters. */
export class UndecodableError extends Error {
  override readonly name = "UndecodableError";
  /** Of the schema that the record names; null: it names none. */
  readonly schemaId: number | null;

  constructor(reason: string, schemaId: number | null = null, options?: ErrorOptions) {
    super(reason, options);
    this.schemaId = schemaId;
  }
}

/**
 * Reads the value of a record, which is no tombstone. May give a promise.
 * @throws UndecodableError; TransientError where the registry does not answer
 */
export type Decode = (value: Uint8Array, headers: RecordHeaders) => unknown;

const utf8 = new TextDecoder("utf-8", { fatal: true });
const NO_HEADERS: RecordHeaders = new Map();

export { NO_HEADERS };

/** @throws UndecodableError */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes)) as unknown;
  } catch (cause) {
    throw new UndecodableError(`the value is not JSON: ${(cause as Error).message}`, null, { cause });
  }
}

/** null: there is no such header, or it has no value. What is no UTF-8 is read as far as it goes. */
export function headerText(headers: RecordHeaders, name: string): string | null {
  const bytes = headers.get(name) ?? null;
  return bytes === null ? null : Buffer.from(bytes).toString("utf8");
}
