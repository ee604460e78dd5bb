/** Records of users' topics that are no events, told in the namespace's dead letter topic with where they stand. */
import type { LogRecord, NewRecord } from "@eddy/clients";
import { encodeDeadLetter } from "@eddy/schemas";
import type { UndecodableError } from "./decoded.js";

/** Of the record; more of it is where offset and topic say. Below what one append takes, whatever the record held. */
const VALUE_BYTES_MAX = 512 * 1_024;
const REASON_CHARS_MAX = 4_096;
const KEY_CHARS_MAX = 1_024;

export interface LetterPlace {
  readonly topic: string;
  readonly partition: number;
}

export function letterOf(record: LogRecord, problem: UndecodableError, { topic, partition }: LetterPlace): NewRecord {
  const whole = record.value ?? new Uint8Array(0);
  const value = whole.subarray(0, VALUE_BYTES_MAX);
  const isCut = value.byteLength < whole.byteLength;
  const reason = problem.message.slice(0, REASON_CHARS_MAX);
  const letter = {
    reason: isCut ? `${reason}; the first ${value.byteLength} of ${whole.byteLength} bytes` : reason,
    ...(problem.schemaId === null ? {} : { schemaId: problem.schemaId }),
    topic,
    partition,
    offset: record.offset,
    atMs: record.appendTimeMs,
    value,
  };
  const key = record.key !== null && record.key.length <= KEY_CHARS_MAX ? record.key : null;
  return { key, value: encodeDeadLetter(letter) };
}
