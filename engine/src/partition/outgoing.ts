/** Where each effect goes, and as which bytes. */
import {
  encodeDeadLetter,
  encodeHistory,
  encodeInbox,
  encodeRegistry,
  encodeSignal,
  encodeStepRequest,
  type Cause,
} from "@eddy/schemas";
import type { Effect } from "../core/index.js";
import type { LogRecord, NewRecord, Topics } from "@eddy/clients";

/** Partitions of the dead letter topic, as topics.ts makes it. */
const DLQ_PARTITIONS = 4;

export interface Outgoing {
  readonly topic: string;
  readonly partition: number;
  readonly record: NewRecord;
}

/** @param partition the partition that the effect leaves. */
export function outgoingOf(effect: Effect, cause: Cause, topics: Topics, partition: number): Outgoing {
  switch (effect.kind) {
    case "RequestStep": {
      const { app, request } = effect;
      return to(topics.steps(app), partition, request.runId, encodeStepRequest(cause, request));
    }
    case "SendSignal":
      return to(topics.signals(effect.app), 0, null, encodeSignal(cause, effect.signal));
    case "AppendInbox":
      return to(topics.inbox, effect.partition, null, encodeInbox(effect.record));
    case "PublishRegistry":
      return to(topics.registry, 0, effect.key, encodeRegistry(effect.entry));
    case "RecordHistory":
      return to(topics.history, partition, effect.entry.runId, encodeHistory(cause, effect.entry));
  }
}

/** A record of inbox `partition` that does not decode, with its reason. */
export function deadLetterOf(record: LogRecord, reason: string, topics: Topics, partition: number): Outgoing {
  const letter = {
    reason,
    topic: topics.inbox,
    partition,
    offset: record.offset,
    atMs: record.appendTimeMs,
    value: record.value ?? new Uint8Array(0),
  };
  return to(topics.dlq, partition % DLQ_PARTITIONS, record.key, encodeDeadLetter(letter));
}

function to(topic: string, partition: number, key: string | null, value: Uint8Array): Outgoing {
  return { topic, partition, record: { key, value } };
}
