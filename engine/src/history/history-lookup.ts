/** Look-ups in the partitions that this process keeps the history of, in the shape of the HTTP API. */
import { TransientError } from "@eddy/clients/errors";
import {
  LIMITS,
  partitionOfShard,
  shardOfRun,
  type HistoryEntry,
  type RunSummary,
  type TimelineLine,
} from "@eddy/schemas";
import type { HistoryStore, RunRecord } from "./history-store.js";

/** As much of a tailer as is asked here. `store` throws TransientError while it cannot answer. */
export interface HistorySource {
  readonly store: HistoryStore;
}

export interface HistorySources {
  /** Partitions of the namespace. */
  readonly partitions: number;
  /** null: another process keeps the history of this partition. */
  historyOf(partition: number): HistorySource | null;
}

const RUN_ID = /^[0-9a-f]{3}[0-9a-v]{26}$/;
const text = new TextDecoder();
/** Lines of one timeline: a step may fail as often as it may be retried, and has at most two lines more. */
const TIMELINE_LINES_MAX = LIMITS.stepsPerRunMax * (LIMITS.retriesMax + 3);

/** The partition of a run; null for what is no run id. */
export function partitionOfRun(runId: string, partitions: number): number | null {
  return RUN_ID.test(runId) ? partitionOfShard(shardOfRun(runId), partitions) : null;
}

export class HistoryLookup {
  readonly #sources: HistorySources;

  constructor(sources: HistorySources) {
    this.#sources = sources;
  }

  /** @returns null for an id that no run has. @throws TransientError while the run's partition cannot answer here. */
  async runById(runId: string): Promise<RunSummary | null> {
    const found = await this.#storeOf(runId)?.run(runId);
    return found === null || found === undefined ? null : summaryOf(found);
  }

  /** What happened to the run, in order; empty for an id that no run has. @throws TransientError as `runById`. */
  async timeline(runId: string): Promise<readonly TimelineLine[]> {
    const entries = (await this.#storeOf(runId)?.timeline(runId, TIMELINE_LINES_MAX)) ?? [];
    return entries.map(({ body }) => lineOf(body));
  }

  /** Runs that the event started there, by their start. @throws TransientError while any of them cannot answer. */
  async runsOfEvent(eventId: string, partitions: readonly number[]): Promise<readonly RunSummary[]> {
    const stores = partitions.map((partition) => this.#store(partition));
    const found = (await Promise.all(stores.map((store) => store.runsOfEvent(eventId)))).flat();
    return found.map(summaryOf).sort(byStart);
  }

  #storeOf(runId: string): HistoryStore | undefined {
    const partition = partitionOfRun(runId, this.#sources.partitions);
    return partition === null ? undefined : this.#store(partition);
  }

  #store(partition: number): HistoryStore {
    const source = this.#sources.historyOf(partition);
    if (source !== null) return source.store;
    throw new TransientError(`partition ${partition} is not here (any more); try again`, { partition });
  }
}

/** Times are ISO 8601 of one length: they sort as text. */
export function byStart(a: RunSummary, b: RunSummary): number {
  if (a.run_started_at !== b.run_started_at) return a.run_started_at < b.run_started_at ? -1 : 1;
  return a.run_id < b.run_id ? -1 : 1;
}

function lineOf({ kind, atMs, ...rest }: HistoryEntry): TimelineLine {
  const line: TimelineLine = { kind, at: isoOf(atMs), ...rest };
  if ("data" in rest) line["data"] = outputOf(rest.data);
  return line;
}

function summaryOf({ summary, end }: RunRecord): RunSummary {
  return {
    run_id: summary.runId,
    function_id: summary.functionId,
    event_id: summary.eventId,
    event_name: summary.eventName,
    status: summary.status,
    run_started_at: isoOf(summary.startedAtMs),
    ended_at: summary.endedAtMs === null ? null : isoOf(summary.endedAtMs),
    output: end?.kind === "runCompleted" ? outputOf(end.data) : null,
    error: end?.kind === "runFailed" ? end.error : null,
  };
}

const isoOf = (ms: number): string => new Date(ms).toISOString();

/** Workers send JSON; what is none is shown as the text that it is. */
function outputOf(data: Uint8Array): unknown {
  const json = text.decode(data);
  if (json === "") return null;
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return json;
  }
}
