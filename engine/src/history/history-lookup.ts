/**
 * Look-ups in the partitions that this process keeps the history of, in the shape of the HTTP API.
 *
 * Each answer has all that the history held when it was asked for: whoever saw a run end, by whatever way that went
 * through the log, is never shown it as running afterwards.
 */
import { TransientError } from "@eddy/clients/errors";
import {
  isRunId,
  LIMITS,
  partitionOfShard,
  shardOfRun,
  type EventView,
  type HistoryEntry,
  type RunSummary,
  type TimelineLine,
} from "@eddy/schemas";
import type { ReceivedEvent } from "./event-index.js";
import type { HistoryStore, RunRecord } from "./history-store.js";
import { readPage, type Page, type PageQuery } from "./run-pages.js";

/** As much of a tailer as is asked here. All throw TransientError while they cannot answer. */
export interface HistorySource {
  /** As far as it is read. */
  readonly store: HistoryStore;
  /** With all that the history held at the call. */
  upToDate(): Promise<HistoryStore>;
  /** null: not known, or another partition is its home. */
  event(id: string): Promise<ReceivedEvent | null>;
}

export interface HistorySources {
  /** Partitions of the namespace. */
  readonly partitions: number;
  /** null: another process keeps the history of this partition. */
  historyOf(partition: number): HistorySource | null;
}

const text = new TextDecoder();
/** Lines of one timeline: a step may fail as often as it may be retried, and has at most two lines more. */
const TIMELINE_LINES_MAX = LIMITS.stepsPerRunMax * (LIMITS.retriesMax + 3);

/** The partition of a run; null for what is no run id. */
export function partitionOfRun(runId: string, partitions: number): number | null {
  return isRunId(runId) ? partitionOfShard(shardOfRun(runId), partitions) : null;
}

export class HistoryLookup {
  readonly #sources: HistorySources;

  constructor(sources: HistorySources) {
    this.#sources = sources;
  }

  /** @returns null for an id that no run has. @throws TransientError while the run's partition cannot answer here. */
  async runById(runId: string): Promise<RunSummary | null> {
    const source = this.#sourceOfRun(runId);
    if (source === null) return null;
    const known = await source.store.run(runId);
    // What has ended stays so: there is nothing to wait for.
    const found = known?.end === null || known === null ? await (await source.upToDate()).run(runId) : known;
    return found === null ? null : summaryOf(found);
  }

  /** What happened to the run, in order; empty for an id that no run has. @throws TransientError as `runById`. */
  async timeline(runId: string): Promise<readonly TimelineLine[]> {
    const store = await this.#sourceOfRun(runId)?.upToDate();
    const entries = (await store?.timeline(runId, TIMELINE_LINES_MAX)) ?? [];
    return entries.map(({ body }) => lineOf(body));
  }

  /** Runs that the event started there, by their start. @throws TransientError while any of them cannot answer. */
  async runsOfEvent(eventId: string, partitions: readonly number[]): Promise<readonly RunSummary[]> {
    const stores = await this.#stores(partitions);
    const found = (await Promise.all(stores.map((store) => store.runsOfEvent(eventId)))).flat();
    return found.map(summaryOf).sort(byStart);
  }

  /**
   * The event as it was received, and what it started there; null: those partitions know nothing of it.
   * @throws TransientError while any of them cannot answer.
   */
  async event(eventId: string, partitions: readonly number[]): Promise<EventView | null> {
    const [received, runs] = await Promise.all([
      Promise.all(partitions.map((partition) => this.#source(partition).event(eventId))),
      this.runsOfEvent(eventId, partitions),
    ]);
    const views = received.flatMap((event) => (event === null ? [] : [viewOf(event)]));
    return mergeEvents(eventId, [...views, ofRuns(eventId, runs)]);
  }

  /** A page of the runs there. @throws TransientError while any of them cannot answer. */
  async runs(query: PageQuery, partitions: readonly number[]): Promise<Page<RunSummary>> {
    const { runs, seenTo } = await readPage(await this.#stores(partitions), query);
    return { runs: runs.map(summaryOf), seenTo };
  }

  #stores(partitions: readonly number[]): Promise<readonly HistoryStore[]> {
    return Promise.all(partitions.map((partition) => this.#source(partition).upToDate()));
  }

  #sourceOfRun(runId: string): HistorySource | null {
    const partition = partitionOfRun(runId, this.#sources.partitions);
    return partition === null ? null : this.#source(partition);
  }

  #source(partition: number): HistorySource {
    const source = this.#sources.historyOf(partition);
    if (source !== null) return source;
    throw new TransientError(`partition ${partition} is not here (any more); try again`, { partition });
  }
}

/** What several know of an event: the first copy that was received, and all runs. null: nobody knows anything. */
export function mergeEvents(id: string, views: readonly EventView[]): EventView | null {
  const runs = views.flatMap((view) => view.runs).sort(byStart);
  const received = views.filter(({ received_at: at }) => at !== null).sort(byReceipt)[0];
  const name = received?.name ?? runs[0]?.event_name;
  if (name === undefined) return null;
  return { id, name, received_at: received?.received_at ?? null, event: received?.event ?? null, runs };
}

/** Times are ISO 8601 of one length: they sort as text. */
export function byStart(a: RunSummary, b: RunSummary): number {
  if (a.run_started_at !== b.run_started_at) return a.run_started_at < b.run_started_at ? -1 : 1;
  return a.run_id < b.run_id ? -1 : 1;
}

function byReceipt({ received_at: a }: EventView, { received_at: b }: EventView): number {
  return (a ?? "") < (b ?? "") ? -1 : 1;
}

function viewOf({ id, name, receivedAtMs, payload }: ReceivedEvent): EventView {
  const event = outputOf(payload);
  // Senders of ours write objects; anyone with access to the topic may write what they like.
  const isEvent = typeof event === "object" && event !== null && "name" in event && "id" in event && "ts" in event;
  const shown = isEvent ? (event as EventView["event"]) : null;
  return { id, name, received_at: isoOf(receivedAtMs), event: shown, runs: [] };
}

const ofRuns = (id: string, runs: readonly RunSummary[]): EventView => {
  return { id, name: runs[0]?.event_name ?? "", received_at: null, event: null, runs: [...runs] };
};

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
