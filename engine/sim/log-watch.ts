/** What the log shows at a glance: registered apps, runs alive, registrations applied. For senders and the driver. */
import {
  decodeHistory,
  decodeInbox,
  decodeRegistry,
  decodeSignal,
  decodeStepRequest,
  type RegisteredApp,
} from "@eddy/schemas";
import type { LogRecord, NewRecord, Topics } from "@eddy/clients";
import type { Journal } from "./journal.js";
import { EPOCH_MS } from "./trace.js";

export class LogWatch {
  readonly #topics: Topics;
  readonly #apps = new Map<string, RegisteredApp>();
  readonly #applied = new Map<number, number>();
  readonly #alive = new Set<string>();
  /** History lines that were seen, by partition and cause: owners repeat what their predecessors wrote. */
  readonly #seen = new Set<string>();
  /** Runs that began. */
  started = 0;

  constructor(journal: Journal, topics: Topics) {
    this.#topics = topics;
    journal.listen((topic, partition, records) => {
      if (topic === topics.history) for (const record of records) this.#onHistory(partition, record);
      else if (topic === topics.registry) for (const record of records) this.#onRegistry(record);
    });
  }

  /** As the registry has them: the newest of each. */
  get apps(): readonly RegisteredApp[] {
    return [...this.#apps.values()];
  }
  /** Has every partition applied this version? */
  isApplied(version: number, partitions: number): boolean {
    return Array.from({ length: partitions }, (_, p) => this.#applied.get(p) ?? 0).every((v) => v >= version);
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

  #onRegistry({ value }: LogRecord): void {
    const entry = decodeRegistry(value as Uint8Array);
    if (entry.kind === "applied") {
      this.#applied.set(entry.partition, Math.max(entry.version, this.#applied.get(entry.partition) ?? 0));
      return;
    }
    if (entry.kind === "namespace") return;
    const known = this.#apps.get(entry.config.app);
    if (known === undefined || known.version < entry.config.version) this.#apps.set(entry.config.app, entry.config);
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
      const { cause, body } = decodeStepRequest(value);
      return `[${cause.offset}.${cause.index} ${body.runId.slice(0, 8)}#${body.invocation}]`;
    }
    if (topic.includes(".signals.")) return decodeSignal(value).body.runId.slice(0, 8);
    return key === null ? `${value.length} bytes` : key.slice(0, 40);
  }
}

/** One inbox record in a few words. */
export function describeInbox(value: Uint8Array): string {
  try {
    const record = decodeInbox(value);
    switch (record.kind) {
      case "event": {
        const values = record.values.map(([path, v]) => `${path}=${v}`).join(",");
        const later = record.tsMs > EPOCH_MS ? ` ts+${record.tsMs - EPOCH_MS}` : "";
        return `[event ${record.name} ${record.id} ${values}${later}]`;
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
      case "advance":
        return `[advance ${record.ms}]`;
      default:
        return `[${record.kind}]`;
    }
  } catch {
    return "[junk]";
  }
}
