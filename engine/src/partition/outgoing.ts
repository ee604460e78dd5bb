/** Where each effect goes, and as which bytes. */
import {
  encodeDeadLetter,
  encodeHistory,
  encodeInbox,
  encodeRegistry,
  encodeRequestPart,
  encodeSignal,
  encodeStepRequest,
  LIMITS,
  type Cause,
} from "@eddy/schemas";
import type { Effect } from "../core/index.js";
import type { LogRecord, NewRecord, Topics } from "@eddy/clients";

/** Partitions of the dead letter topic, as topics.ts makes it. */
const DLQ_PARTITIONS = 4;
/** What a letter keeps of its record, and of its reason; UTF-8 takes up to three bytes a character. */
const LETTER_BYTES_MAX = LIMITS.recordBytesMax - 262_144;
const LETTER_KEY_CHARS_MAX = 4_096;
const LETTER_REASON_CHARS_MAX = 16_384;

export interface Outgoing {
  readonly topic: string;
  readonly partition: number;
  readonly record: NewRecord;
  /** Nothing that comes after it leaves the partition before the log has it. */
  readonly isBarrier?: true;
}

/** @param partition the partition that the effect leaves. */
export function outgoingOf(effect: Effect, cause: Cause, topics: Topics, partition: number): Outgoing {
  switch (effect.kind) {
    case "RequestStep": {
      const { app, request, parts } = effect;
      return to(topics.steps(app), partition, request.runId, encodeStepRequest(cause, request, parts));
    }
    case "RequestPart": {
      const { app, part } = effect;
      return to(topics.steps(app), partition, part.runId, encodeRequestPart(cause, part));
    }
    case "SendSignal":
      return to(topics.signals(effect.app), 0, null, encodeSignal(cause, effect.signal));
    case "AppendInbox":
      return to(topics.inbox, effect.partition, null, encodeInbox(effect.record));
    case "PublishRegistry":
      // Senders learn new routes from there: partitions count from their registration on when all senders know them.
      return { ...to(topics.registry, 0, effect.key, encodeRegistry(effect.entry)), isBarrier: true };
    case "RecordHistory":
      return to(topics.history, partition, effect.entry.runId, encodeHistory(cause, effect.entry));
  }
}

/**
 * A record of inbox `partition` that does not decode, with its reason. Whatever was in it, the letter fits the log: what is
 * too long of the record is left out, and the reason says so; offset and topic tell where the whole of it is.
 */
export function deadLetterOf(record: LogRecord, problem: string, topics: Topics, partition: number): Outgoing {
  const value = record.value ?? new Uint8Array(0);
  const kept = value.subarray(0, LETTER_BYTES_MAX);
  const key = (record.key?.length ?? 0) > LETTER_KEY_CHARS_MAX ? null : record.key;
  const notes = [problem.slice(0, LETTER_REASON_CHARS_MAX)];
  if (kept.byteLength < value.byteLength) notes.push(`the first ${kept.byteLength} of ${value.byteLength} bytes`);
  if (key !== record.key) notes.push(`without its key of ${record.key?.length} characters`);
  const letter = {
    reason: notes.join("; "),
    topic: topics.inbox,
    partition,
    offset: record.offset,
    atMs: record.appendTimeMs,
    value: kept,
  };
  return to(topics.dlq, partition % DLQ_PARTITIONS, key, encodeDeadLetter(letter));
}

function to(topic: string, partition: number, key: string | null, value: Uint8Array): Outgoing {
  return { topic, partition, record: { key, value } };
}
