/** Look-ups over all partitions, in the shape of the HTTP API. */
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

const RUN_ID = /^[0-9a-f]{3}[0-9a-v]{26}$/;
const text = new TextDecoder();
/** Lines of one timeline: a step may fail as often as it may be retried, and has at most two lines more. */
const TIMELINE_LINES_MAX = LIMITS.stepsPerRunMax * (LIMITS.retriesMax + 3);

export class HistoryLookup {
  readonly #sources: readonly HistorySource[];

  /** @param sources one per partition, in order. */
  constructor(sources: readonly HistorySource[]) {
    this.#sources = sources;
  }

  /** @returns null for an id that no run has. @throws TransientError while the run's partition cannot answer. */
  async runById(runId: string): Promise<RunSummary | null> {
    const found = await this.#storeOf(runId)?.run(runId);
    return found === null || found === undefined ? null : summaryOf(found);
  }

  /** What happened to the run, in order; empty for an id that no run has. @throws TransientError as `runById`. */
  async timeline(runId: string): Promise<readonly TimelineLine[]> {
    const entries = (await this.#storeOf(runId)?.timeline(runId, TIMELINE_LINES_MAX)) ?? [];
    return entries.map(({ body }) => lineOf(body));
  }

  /** Runs that the event started, by their start. @throws TransientError while any partition cannot answer. */
  async runsOfEvent(eventId: string): Promise<readonly RunSummary[]> {
    const stores = this.#sources.map(({ store }) => store);
    const found = (await Promise.all(stores.map((store) => store.runsOfEvent(eventId)))).flat();
    const order = (a: RunRecord, b: RunRecord): number =>
      a.summary.startedAtMs - b.summary.startedAtMs || (a.summary.runId < b.summary.runId ? -1 : 1);
    return found.sort(order).map(summaryOf);
  }

  #storeOf(runId: string): HistoryStore | undefined {
    if (!RUN_ID.test(runId)) return undefined;
    return this.#sources[partitionOfShard(shardOfRun(runId), this.#sources.length)]?.store;
  }
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
