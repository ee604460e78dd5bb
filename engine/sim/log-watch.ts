/** What the log shows at a glance: registered apps, runs alive, registrations applied. For senders and the driver. */
import {
  decodeHistory,
  decodeInbox,
  decodeRegistry,
  decodeSignal,
  decodeStepsRecord,
  type ForeignAnswer,
} from "@eddy/schemas";
import type { LogRecord, NewRecord, Topics } from "@eddy/clients";
import type { Journal } from "./journal.js";
import { RegistryViews } from "./actors/registry-views.js";
import { EPOCH_MS } from "./trace.js";

export class LogWatch {
  readonly #topics: Topics;
  readonly registry: RegistryViews;
  readonly #alive = new Set<string>();
  /** History lines that were seen, by partition and cause: owners repeat what their predecessors wrote. */
  readonly #seen = new Set<string>();
  /** Runs that began. */
  started = 0;

  constructor(journal: Journal, topics: Topics, partitions: number, nowMs: () => number) {
    this.#topics = topics;
    this.registry = new RegistryViews(partitions);
    journal.listen((topic, partition, records) => {
      if (topic === topics.history) for (const record of records) this.#onHistory(partition, record);
      else if (topic === topics.registry)
        for (const { value } of records) this.registry.take(decodeRegistry(value as Uint8Array), nowMs());
    });
  }

  get alive(): readonly string[] {
    return [...this.#alive];
  }
  get allEnded(): boolean {
    return this.#alive.size === 0;
  }
  /** History lines so far, without repeats: it stands still when nothing happens. */
  get lines(): number {
    return this.#seen.size;
  }

  describe(topic: string, records: readonly NewRecord[]): string {
    return records.map((record) => this.#describeOne(topic, record)).join(" ");
  }

  #onHistory(partition: number, { value }: LogRecord): void {
    const { cause, body } = decodeHistory(value as Uint8Array);
    const line = `${partition}/${cause.offset}.${cause.index}`;
    if (this.#seen.has(line)) return;
    this.#seen.add(line);
    const { kind, runId } = body;
    if (kind === "runStarted") {
      this.#alive.add(runId);
      this.started += 1;
    }
    if (kind === "runCompleted" || kind === "runFailed" || kind === "runCancelled") this.#alive.delete(runId);
  }

  #describeOne(topic: string, { key, value }: NewRecord): string {
    if (value === null) return `-${key}`;
    if (topic === this.#topics.inbox) return describeInbox(value);
    if (topic === this.#topics.history) {
      const { cause, body } = decodeHistory(value);
      const step = "stepId" in body ? ` ${body.stepId}` : "";
      return `[${cause.offset}.${cause.index} ${body.kind} ${body.runId.slice(0, 8)}${step}]`;
    }
    if (topic.includes(".steps.")) {
      const { cause, body, kind } = decodeStepsRecord(value);
      const what = kind === "part" ? " part" : "";
      return `[${cause.offset}.${cause.index} ${body.runId.slice(0, 8)}#${body.invocation}${what}]`;
    }
    if (topic.includes(".signals.")) return decodeSignal(value).body.runId.slice(0, 8);
    return key === null ? `${value.length} bytes` : key.slice(0, 40);
  }
}

function describeAnswer(answer: ForeignAnswer): string {
  const no = "no" in answer ? ` ${answer.no}` : "";
  return `${answer.kind}${no}${"eventId" in answer ? ` ${answer.eventId}` : ""}`;
}

/** One inbox record in a few words. */
export function describeInbox(value: Uint8Array): string {
  try {
    const record = decodeInbox(value);
    switch (record.kind) {
      case "event": {
        const values = record.values.map(([path, v]) => `${path}=${v}`).join(",");
        const later = record.tsMs > EPOCH_MS ? ` ts+${record.tsMs - EPOCH_MS}` : "";
        const origin = record.origin === null ? "" : ` ${record.origin.as} of ${record.origin.source.partition}`;
        return `[event ${record.name} ${record.id} ${values}${later} v${record.version} home ${record.home}${origin}]`;
      }
      case "report": {
        const { runId, invocation, ops, outcome } = record.report;
        const done = ops.map((op) => `${op.kind} ${op.stepId}`).join(",");
        return `[report ${runId.slice(0, 8)}#${invocation} ${done} ${outcome?.kind ?? "-"}]`;
      }
      case "declined":
        return `[declined ${record.runId.slice(0, 8)}#${record.invocation}]`;
      case "delivered":
        return `[delivered ${record.mark.offset}.${record.mark.index}]`;
      case "heartbeat":
        return `[heartbeat ${record.running.map((r) => `${r.runId.slice(0, 8)}#${r.invocation}`).join(",")}]`;
      case "registered":
        return `[registered ${record.config.app} v${record.config.version} +${record.news.length} routes]`;
      case "listen": {
        const wait = record.wait === null ? "" : ` wait ${record.wait.no} ${record.wait.event} ${record.wait.path}`;
        return `[listen ${record.base.slice(0, 8)}${wait} ${record.rules.length} rules]`;
      }
      case "unlisten":
        return `[unlisten ${record.base.slice(0, 8)} ${record.no ?? "all"} up to ${record.upTo}]`;
      case "answer":
        return `[answer ${record.base.slice(0, 8)} ${describeAnswer(record.answer)}]`;
      case "announced":
        return `[announced ${record.base.slice(0, 8)} at ${record.at}${record.event === null ? "" : " with event"}]`;
      case "learn":
        return `[learn ${record.base.slice(0, 8)} ${record.wait.event} ${record.wait.path}]`;
      case "settled":
        return `[settled ${record.version} by ${record.source.partition}]`;
      case "advance":
        return `[advance ${record.ms}]`;
      default:
        return `[${record.kind}]`;
    }
  } catch {
    return "[junk]";
  }
}
