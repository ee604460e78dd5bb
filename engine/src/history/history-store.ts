/**
 * The history of one partition in its local store: entries in, summaries and timelines out.
 *
 * Invariants: rows and the position they were read to are written in one batch. An entry taken twice, or taken again
 * after later ones (a takeover sends its effects again), changes nothing. A run that has ended stays ended until a
 * later start of the same run id.
 */
import { compareCauses, decodeHistory, type Cause, type HistoryEntry } from "@eddy/schemas";
import type { Logger, LogRecord } from "@eddy/clients";
import type { Store } from "../ports/store.js";
import { GatheredReads } from "./gathered-reads.js";
import {
  afterPrefix,
  decodeJson,
  encodeJson,
  ENDED_PREFIX,
  endedBefore,
  endedKey,
  eventRunsKey,
  POSITION_KEY,
  listKeysOf,
  placeOfKey,
  runIdOfKey,
  summaryKey,
  timelineKey,
  timelinePrefix,
  type ListPlace,
  type Position,
  type Summary,
} from "./history-rows.js";

export interface Caused {
  readonly cause: Cause;
  readonly body: HistoryEntry;
}

/** A run as the look-ups show it: its summary, and the entry that ended it. */
export interface RunRecord {
  readonly summary: Summary;
  readonly end: HistoryEntry | null;
}

interface Fact extends Caused {
  readonly value: Uint8Array;
  readonly appendTimeMs: number;
}

const NOTHING = new Uint8Array();
/** Rows that one step of a scan reads. */
const SCAN_ROWS = 500;
/** Ended runs that one sweep drops. */
const SWEEP_RUNS_MAX = 200;

const ENDINGS = { runCompleted: "Completed", runFailed: "Failed", runCancelled: "Cancelled" } as const;

export class HistoryStore {
  readonly #store: Store;
  /** For look-ups. */
  readonly #reads: GatheredReads;
  readonly #logger: Logger;

  /** @param store stays the caller's to close. */
  constructor(store: Store, logger: Logger) {
    this.#store = store;
    this.#reads = new GatheredReads(store);
    this.#logger = logger;
  }

  async position(): Promise<Position | null> {
    const [row] = await this.#store.getMany([POSITION_KEY]);
    return row === undefined ? null : decodeJson<Position>(row);
  }

  /** Takes records of the topic, in log order, and notes `position` with them. */
  async apply(records: readonly LogRecord[], position: Position): Promise<void> {
    const facts = records.flatMap((record) => this.#decode(record));
    const { summaries, eventRuns } = await this.#rowsOf(facts);
    const known = new Map(summaries);
    const puts = new Map<string, Uint8Array>([[POSITION_KEY, encodeJson(position)]]);
    for (const { cause, body, value, appendTimeMs } of facts) {
      puts.set(timelineKey(body.runId, cause), value);
      const before = summaries.get(body.runId) ?? null;
      const after = nextSummary(before, { cause, body }, appendTimeMs);
      if (after === before || after === null) continue;
      summaries.set(body.runId, after);
      puts.set(summaryKey(body.runId), encodeJson(after));
      if (body.kind === "runStarted") {
        const key = eventRunsKey(body.eventId);
        const runIds = new Set(eventRuns.get(key)).add(body.runId);
        eventRuns.set(key, [...runIds]);
        puts.set(key, encodeJson([...runIds]));
      }
      if (after.endedRawMs !== null) puts.set(endedKey(after.endedRawMs, body.runId), NOTHING);
    }
    const deletes: string[] = [];
    for (const [runId, after] of summaries) {
      const before = known.get(runId);
      if (after === before) continue;
      const wanted = new Set(listKeysOf(after));
      if (before !== undefined) for (const key of listKeysOf(before)) if (!wanted.delete(key)) deletes.push(key);
      for (const key of wanted) puts.set(key, NOTHING);
    }
    await this.#store.write({ puts: [...puts], deletes });
  }

  async run(runId: string): Promise<RunRecord | null> {
    const [found] = await this.runs([runId]);
    return found ?? null;
  }

  /** Places of a list between two keys, the newest start first, at most `limit`. */
  async places(from: string, to: string, limit: number): Promise<readonly ListPlace[]> {
    if (from >= to) return [];
    return (await this.#store.scan({ from, to, limit })).map(([key]) => placeOfKey(key));
  }

  /** Runs that the event started here. */
  async runsOfEvent(eventId: string): Promise<readonly RunRecord[]> {
    const row = await this.#reads.get(eventRunsKey(eventId));
    return row === undefined ? [] : this.runs(decodeJson<readonly string[]>(row));
  }

  /** The run's timeline in the order of causes, at most `limit` entries. */
  async timeline(runId: string, limit: number): Promise<readonly Caused[]> {
    const from = timelinePrefix(runId);
    const rows = await this.#store.scan({ from, to: afterPrefix(from), limit });
    return rows.map(([, value]) => decodeHistory(value));
  }

  /** Forgets runs that ended before `rawMs` (append time), some at a time. @returns how many. */
  async dropEndedBefore(rawMs: number): Promise<number> {
    const range = { from: ENDED_PREFIX, to: endedBefore(rawMs), limit: SWEEP_RUNS_MAX };
    const ended = range.from < range.to ? await this.#store.scan(range) : [];
    for (const [key] of ended) await this.#drop(key);
    return ended.length;
  }

  #decode({ value, offset, appendTimeMs }: LogRecord): readonly Fact[] {
    if (value === null) return [];
    try {
      return [{ ...decodeHistory(value), value, appendTimeMs }];
    } catch (err) {
      this.#logger.error({ err, offset }, "a history record does not decode, it is left out");
      return [];
    }
  }

  /** What the facts may change, in one read. Rows that are not there are left out. */
  async #rowsOf(facts: readonly Fact[]): Promise<{
    readonly summaries: Map<string, Summary>;
    readonly eventRuns: Map<string, readonly string[]>;
  }> {
    const moving = facts.filter(({ body }) => movesSummary(body));
    const runIds = [...new Set(moving.map(({ body }) => body.runId))];
    const starts = moving.flatMap(({ body }) => (body.kind === "runStarted" ? [eventRunsKey(body.eventId)] : []));
    const listKeys = [...new Set(starts)];
    const keys = [...runIds.map(summaryKey), ...listKeys];
    const rows = keys.length === 0 ? [] : await this.#store.getMany(keys);
    const summaries = new Map<string, Summary>();
    for (const [i, runId] of runIds.entries()) {
      const row = rows[i];
      if (row !== undefined) summaries.set(runId, decodeJson<Summary>(row));
    }
    const eventRuns = new Map<string, readonly string[]>();
    for (const [i, key] of listKeys.entries()) {
      const row = rows[runIds.length + i];
      if (row !== undefined) eventRuns.set(key, decodeJson<readonly string[]>(row));
    }
    return { summaries, eventRuns };
  }

  /** Those of the runs that are known, in the order of `runIds`. */
  async runs(runIds: readonly string[]): Promise<readonly RunRecord[]> {
    return this.withEnds(await this.summaries(runIds));
  }

  /** Likewise, without what ended them. */
  async summaries(runIds: readonly string[]): Promise<readonly Summary[]> {
    const rows = await this.#reads.getAll(runIds.map(summaryKey));
    return rows.flatMap((row) => (row === undefined ? [] : [decodeJson<Summary>(row)]));
  }

  /** In the order of `summaries`. */
  async withEnds(summaries: readonly Summary[]): Promise<readonly RunRecord[]> {
    const endKeys = summaries.map(({ runId, endCause }) => (endCause === null ? null : timelineKey(runId, endCause)));
    const ends = await this.#reads.getAll(endKeys.filter((key) => key !== null));
    let next = 0;
    return summaries.map((summary, i) => {
      const row = endKeys[i] === null ? undefined : ends[next++];
      return { summary, end: row === undefined ? null : decodeHistory(row).body };
    });
  }

  /** @param key of the row that says when the run ended; the run may have started again since. */
  async #drop(key: string): Promise<void> {
    const runId = runIdOfKey(key);
    const [row] = await this.#store.getMany([summaryKey(runId)]);
    const summary = row === undefined ? null : decodeJson<Summary>(row);
    if (summary === null || summary.endedRawMs === null || endedKey(summary.endedRawMs, runId) !== key) {
      return this.#store.write({ puts: [], deletes: [key] });
    }
    const from = timelinePrefix(runId);
    for (let more = true; more;) {
      const rows = await this.#store.scan({ from, to: afterPrefix(from), limit: SCAN_ROWS });
      more = rows.length === SCAN_ROWS;
      const timeline = rows.map(([timelineRow]) => timelineRow);
      if (more) await this.#store.write({ puts: [], deletes: timeline });
      else await this.#dropSummary(summary, [...timeline, key]);
    }
  }

  async #dropSummary(summary: Summary, alsoDeleted: readonly string[]): Promise<void> {
    const { runId, eventId } = summary;
    const eventKey = eventRunsKey(eventId);
    const [row] = await this.#store.getMany([eventKey]);
    const others = row === undefined ? [] : decodeJson<readonly string[]>(row).filter((other) => other !== runId);
    const deletes = [...alsoDeleted, ...listKeysOf(summary), summaryKey(runId)];
    if (others.length > 0) await this.#store.write({ puts: [[eventKey, encodeJson(others)]], deletes });
    else await this.#store.write({ puts: [], deletes: [...deletes, eventKey] });
  }
}

function movesSummary(body: HistoryEntry): boolean {
  return body.kind === "runStarted" || body.kind in ENDINGS;
}

/** What the entry makes of the run's summary; the same object where it changes nothing. */
function nextSummary(before: Summary | null, { cause, body }: Caused, appendTimeMs: number): Summary | null {
  const { runId, functionId, atMs } = body;
  if (body.kind === "runStarted") {
    if (before !== null && compareCauses(cause, before.endCause ?? before.startCause) <= 0) return before;
    const { eventId, eventName } = body;
    const start = { runId, functionId, eventId, eventName, startedAtMs: atMs, startCause: cause };
    return { ...start, status: "Running", endedAtMs: null, endedRawMs: null, endCause: null };
  }
  if (body.kind !== "runCompleted" && body.kind !== "runFailed" && body.kind !== "runCancelled") return before;
  if (before !== null && (before.endCause !== null || compareCauses(cause, before.startCause) <= 0)) return before;
  const lost = { runId, functionId, eventId: "", eventName: "", startedAtMs: atMs, startCause: cause };
  const end = { status: ENDINGS[body.kind], endedAtMs: atMs, endedRawMs: appendTimeMs, endCause: cause };
  return { ...(before ?? lost), ...end };
}
