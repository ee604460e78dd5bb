/**
 * Lists of runs, page by page, over the partitions of this process; and how pages of several processes become one.
 *
 * Invariants: a run's place in a list is its start and its id, which never change. So a page that begins behind a place
 * neither repeats nor leaves out a run that was there, whatever starts and ends meanwhile. A page says up to which place
 * everything was looked at; what lies beyond is of the next one.
 */
import { LIMITS, type RunStatus, type RunSummary } from "@eddy/schemas";
import type { HistoryStore, RunRecord } from "./history-store.js";
import {
  afterPlace,
  ALL_RUNS,
  comparePlaces,
  cutAt,
  listEnd,
  listOfEvent,
  listOfFunction,
  listOfStatus,
  listStart,
  type ListPlace,
  type RunList,
  type Summary,
} from "./history-rows.js";

export type { ListPlace };

/** Everything that is not null must hold. Times are stream time in ms. */
export interface RunFilter {
  readonly functionId: string | null;
  readonly status: RunStatus | null;
  readonly eventName: string | null;
  /** Inclusive. */
  readonly fromMs: number | null;
  /** Exclusive. */
  readonly untilMs: number | null;
}

export interface PageQuery {
  readonly filter: RunFilter;
  /** The page begins behind this place. */
  readonly after: ListPlace | null;
  /** Runs of the page, 1 to LIMITS.runsPerPageMax. */
  readonly limit: number;
}

export interface Page<T> {
  /** The newest start first. */
  readonly runs: readonly T[];
  /** Everything up to this place was looked at; null: everything there is. */
  readonly seenTo: ListPlace | null;
}

/** Places that one scan of a partition gives. */
const CHUNK = { min: 16, max: 256 } as const;
const SUMMARIES_PER_READ = 100;

/** @returns at most `limit` runs, after at most LIMITS.runsExaminedMax that were looked at. */
export async function readPage(stores: readonly HistoryStore[], query: PageQuery): Promise<Page<RunRecord>> {
  const { filter, limit } = query;
  const streams = new Streams(stores, query);
  const found: Found[] = [];
  let examined = 0;
  for (;;) {
    const ready = await streams.next();
    if (ready.length === 0) return { runs: await withEnds(found), seenTo: null };
    for (let at = 0; at < ready.length; at += SUMMARIES_PER_READ) {
      const slice = ready.slice(at, at + SUMMARIES_PER_READ);
      for (const [i, one] of (await readSummaries(slice)).entries()) {
        examined += 1;
        if (one !== null && fits(one.summary, filter)) found.push(one);
        if (found.length < limit && examined < LIMITS.runsExaminedMax) continue;
        return { runs: await withEnds(found), seenTo: slice[i]?.place ?? null };
      }
    }
  }
}

/** Pages of disjoint sets of runs, for the same query, as the page of them all. */
export function mergePages(pages: readonly Page<RunSummary>[], limit: number): Page<RunSummary> {
  const cuts = pages.flatMap(({ seenTo }) => seenTo ?? []).sort(comparePlaces);
  const cut = cuts[0] ?? null;
  const sorted = pages
    .flatMap(({ runs }) => runs)
    .map((run) => ({ run, place: placeOf(run) }))
    .filter(({ place }) => cut === null || comparePlaces(place, cut) <= 0)
    .sort((a, b) => comparePlaces(a.place, b.place));
  const taken = sorted.slice(0, limit);
  const isCutShort = sorted.length > limit;
  return { runs: taken.map(({ run }) => run), seenTo: isCutShort ? (taken.at(-1)?.place ?? null) : cut };
}

export function placeOf({ run_started_at: startedAt, run_id: runId }: RunSummary): ListPlace {
  return { startedAtMs: Date.parse(startedAt), runId };
}

/** Text that stands for a place: opaque to those who hand it back. */
export function cursorOf({ startedAtMs, runId }: ListPlace): string {
  return Buffer.from(`${startedAtMs}|${runId}`).toString("base64url");
}

/** @returns null for what is no cursor. */
export function placeOfCursor(cursor: string): ListPlace | null {
  const found = /^(\d{1,16})\|([0-9a-z]{1,64})$/.exec(Buffer.from(cursor, "base64url").toString());
  return found === null ? null : { startedAtMs: Number(found[1]), runId: found[2] ?? "" };
}

interface Candidate {
  readonly store: HistoryStore;
  readonly place: ListPlace;
}

interface Stream {
  readonly store: HistoryStore;
  /** Where its next scan begins; null: it has no more. */
  from: string | null;
  buffer: readonly ListPlace[];
}

/** The places of one list in several stores, merged. */
class Streams {
  readonly #list: RunList;
  readonly #to: string;
  readonly #chunk: number;
  #streams: Stream[];

  constructor(stores: readonly HistoryStore[], { filter, after, limit }: PageQuery) {
    this.#list = listFor(filter);
    const { fromMs, untilMs } = filter;
    const starts = [
      untilMs === null ? listStart(this.#list) : cutAt(this.#list, untilMs),
      ...(after === null ? [] : [afterPlace(this.#list, after)]),
    ];
    const from = starts.reduce((last, start) => (start > last ? start : last));
    this.#to = fromMs === null ? listEnd(this.#list) : cutAt(this.#list, fromMs);
    const share = Math.ceil((2 * limit) / Math.max(1, stores.length));
    this.#chunk = Math.min(Math.max(share, CHUNK.min), CHUNK.max);
    this.#streams = stores.map((store) => ({ store, from, buffer: [] }));
  }

  /** The next places, in order: those that no store can have others between. Empty: there are no more. */
  async next(): Promise<readonly Candidate[]> {
    await Promise.all(this.#streams.map((stream) => this.#fill(stream)));
    const lasts = this.#streams.flatMap(({ from, buffer }) => (from === null ? [] : (buffer.at(-1) ?? [])));
    const bound = lasts.sort(comparePlaces)[0];
    const ready: Candidate[] = [];
    for (const stream of this.#streams) {
      const { store, buffer } = stream;
      const count = bound === undefined ? buffer.length : countUpTo(buffer, bound);
      for (const place of buffer.slice(0, count)) ready.push({ store, place });
      stream.buffer = buffer.slice(count);
    }
    this.#streams = this.#streams.filter(({ from, buffer }) => from !== null || buffer.length > 0);
    return ready.sort((a, b) => comparePlaces(a.place, b.place));
  }

  async #fill(stream: Stream): Promise<void> {
    if (stream.buffer.length > 0 || stream.from === null) return;
    stream.buffer = await stream.store.places(stream.from, this.#to, this.#chunk);
    const last = stream.buffer.at(-1);
    const isEnd = last === undefined || stream.buffer.length < this.#chunk;
    stream.from = isEnd ? null : afterPlace(this.#list, last);
  }
}

function countUpTo(sorted: readonly ListPlace[], bound: ListPlace): number {
  const beyond = sorted.findIndex((place) => comparePlaces(place, bound) > 0);
  return beyond === -1 ? sorted.length : beyond;
}

/** The list that holds all that fits, and the least else. */
function listFor({ status, functionId, eventName }: RunFilter): RunList {
  const ofStatus = status === null ? null : listOfStatus(status);
  if (ofStatus !== null) return ofStatus;
  if (functionId !== null) return listOfFunction(functionId);
  return eventName === null ? ALL_RUNS : listOfEvent(eventName);
}

/** Lists are read before summaries, and some names share one: what counts is the summary. */
function fits(summary: Summary, { functionId, status, eventName, fromMs, untilMs }: RunFilter): boolean {
  return (
    (functionId === null || summary.functionId === functionId) &&
    (status === null || summary.status === status) &&
    (eventName === null || summary.eventName === eventName) &&
    (fromMs === null || summary.startedAtMs >= fromMs) &&
    (untilMs === null || summary.startedAtMs < untilMs)
  );
}

interface Found {
  readonly store: HistoryStore;
  readonly summary: Summary;
}

/** In the order of `candidates`; null: forgotten since its place was read. */
async function readSummaries(candidates: readonly Candidate[]): Promise<readonly (Found | null)[]> {
  const read = async ([store, of]: readonly [HistoryStore, readonly Candidate[]]): Promise<readonly Found[]> =>
    (await store.summaries(of.map(({ place }) => place.runId))).map((summary) => ({ store, summary }));
  const found = (await Promise.all([...byStore(candidates)].map(read))).flat();
  const byId = new Map(found.map((one) => [one.summary.runId, one]));
  return candidates.map(({ place }) => byId.get(place.runId) ?? null);
}

/** In the order of `found`. */
async function withEnds(found: readonly Found[]): Promise<readonly RunRecord[]> {
  const read = ([store, of]: readonly [HistoryStore, readonly Found[]]): Promise<readonly RunRecord[]> =>
    store.withEnds(of.map(({ summary }) => summary));
  const runs = (await Promise.all([...byStore(found)].map(read))).flat();
  const byId = new Map(runs.map((run) => [run.summary.runId, run]));
  return found.flatMap(({ summary }) => byId.get(summary.runId) ?? []);
}

function byStore<T extends { readonly store: HistoryStore }>(items: readonly T[]): ReadonlyMap<HistoryStore, T[]> {
  const groups = new Map<HistoryStore, T[]>();
  for (const item of items) {
    const group = groups.get(item.store);
    if (group === undefined) groups.set(item.store, [item]);
    else group.push(item);
  }
  return groups;
}
