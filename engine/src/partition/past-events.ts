/**
 * Reads the partition's own inbox again, for events that nobody kept. The log finds nothing by time, so it is read
 * backwards from the ranges' end, in windows that grow; all ranges of one call are found in one pass:
 *
 *   log's start ...  |        window 3        | window 2 | w 1 | the highest toOffset
 *
 * Invariants: what a range gives follows from the log before its `toOffset` and from the range alone: it is the unbroken
 * row of records that ends there, each appended at or after `fromRawMs`, at most LIMITS.pastRecordsMax of them, and of
 * those the newest events that come to LIMITS.pastBytesMax. Where windows and reads begin and end, and what else is
 * asked for, changes nothing; neither do gaps between offsets. What retention has taken is not found.
 * In memory: the events asked for, and of the rest of a window only its times. A window gives its older part back
 * rather than hold more than LIMITS.pastBytesMax of events; ranges share the events that they have in common.
 */
import { BadRecordError, decodeInbox, LIMITS, offset, type InboxRecord, type Offset } from "@eddy/schemas";
import { eventIn, type PastEvent, type PastRange } from "../core/index.js";
import { invariant, OffsetOutOfRangeError, TransientError } from "@eddy/clients/errors";
import type { LogRecord } from "@eddy/clients";
import { retrying, type RetryPolicy } from "./backoff.js";
import type { TaskContext } from "./deps.js";

/** What finds past events. */
export interface PastSource {
  /** @returns for each range its events, ascending. */
  find(ranges: readonly PastRange[]): Promise<readonly (readonly PastEvent[])[]>;
}

/** Offsets of the first window. */
const WINDOW_MIN = 1_024;
/** Offsets of the largest: their times are held, some 30 bytes each. */
const WINDOW_MAX = 65_536;
const WINDOW_GROWTH = 4;
const READ_RECORDS_MAX = 1_000;
const READ_WAIT_MS = 1_000;
/** Empty reads in a row before records that are there that mean that the log does not answer. */
const EMPTY_READS_MAX = 30;

export class PastEvents implements PastSource {
  readonly #context: TaskContext;
  readonly #retry: RetryPolicy;

  /** @param signal aborted: the task is stopping; the try under way is the last. */
  constructor(context: TaskContext, signal: AbortSignal) {
    this.#context = context;
    const { clock, options } = context;
    this.#retry = { clock, signal, triesMax: () => options.triesMax };
  }

  /** @throws TransientError where the log does not answer; OffsetOutOfRangeError where it lacks what it had. */
  async find(ranges: readonly PastRange[]): Promise<readonly (readonly PastEvent[])[]> {
    const { logger, meter, partition } = this.#context;
    const searches = ranges.map((range) => new Search(range));
    await this.#search(searches);
    meter.count("eddy_past_reads_total", 1);
    for (const { range, isCut } of searches) {
      if (isCut) logger.warn({ partition, ...range }, "past events go further back than is searched");
    }
    return searches.map((search) => search.found());
  }

  async #search(searches: readonly Search[]): Promise<void> {
    const names = new Set(searches.flatMap(({ range }) => range.names));
    let to = searches.reduce((highest, { range }) => Math.max(highest, range.toOffset), 0);
    let start = await this.#start(to);
    let size = WINDOW_MIN;
    while (to > start && searches.some(({ isDone }) => !isDone)) {
      const from = Math.max(start, to - size);
      const window = await this.#window(from, to, names);
      if (window === null) {
        start = await this.#start(to);
        continue;
      }
      for (const search of searches) search.take(window);
      to = window.from;
      // One that gave something back was too large for what is there.
      size = to > from ? Math.max(1, window.size) : Math.min(size * WINDOW_GROWTH, WINDOW_MAX);
    }
  }

  /** @returns the first offset that the log still has. @throws TransientError where it has not everything before `to`. */
  #start(to: number): Promise<Offset> {
    const { log, topics, partition } = this.#context;
    return retrying(this.#retry, async () => {
      const { start, end } = await log.offsets(topics.inbox, partition);
      if (end >= to) return start;
      throw new TransientError(`the inbox ends at ${end}, before ${to}`, { topic: topics.inbox, partition });
    });
  }

  /** @returns null where retention has passed `from` meanwhile. */
  async #window(from: number, to: number, names: ReadonlySet<string>): Promise<Window | null> {
    try {
      return await retrying(this.#retry, () => this.#readWindow(from, to, names));
    } catch (error) {
      if (error instanceof OffsetOutOfRangeError && (await this.#start(to)) > from) return null;
      throw error;
    }
  }

  async #readWindow(from: number, to: number, names: ReadonlySet<string>): Promise<Window> {
    const { log, topics, partition, meter } = this.#context;
    const window = new Window(from, to);
    const reader = log.reader(topics.inbox, partition, offset(from));
    try {
      let empty = 0;
      while (reader.position < to) {
        const records = await reader.read({ recordsMax: READ_RECORDS_MAX, waitMs: READ_WAIT_MS });
        for (const record of records) if (record.offset < to) window.add(record, names);
        empty = records.length === 0 ? empty + 1 : 0;
        if (empty > EMPTY_READS_MAX || (empty > 0 && this.#retry.signal.aborted)) {
          const fields = { topic: topics.inbox, partition };
          throw new TransientError(`the inbox gives nothing between ${reader.position} and ${to}`, fields);
        }
      }
    } finally {
      await reader.close();
    }
    meter.count("eddy_past_records_total", window.size);
    return window;
  }
}

/** An event of a window: the `index`-th of its records. */
interface WindowEvent {
  readonly index: number;
  readonly offset: number;
  readonly rawMs: number;
  readonly bytes: number;
  readonly record: PastEvent["record"];
}

/** Records of [from, to), added in order. */
class Window {
  /** As asked for, or later: then it gave back what lies before. */
  from: number;
  readonly events: WindowEvent[] = [];
  readonly #offsets: number[] = [];
  readonly #times: number[] = [];
  /** For each record, by how much those before it advanced the clock; then, by how much all did. From any origin. */
  readonly #advanced: number[] = [0];
  /** No record is older. */
  #lowestMs = Infinity;
  #bytes = 0;

  constructor(
    from: number,
    readonly to: number,
  ) {
    this.from = from;
  }

  get size(): number {
    return this.#times.length;
  }

  add({ offset: at, appendTimeMs, value }: LogRecord, names: ReadonlySet<string>): void {
    const input = value === null ? null : decoded(value);
    const bytes = value?.length ?? 0;
    const event = input === null ? null : eventIn(input);
    if (event !== null && names.has(event.name)) {
      if (this.#bytes + bytes > LIMITS.pastBytesMax) this.#giveBack(at);
      this.events.push({ index: this.size, offset: at, rawMs: appendTimeMs, bytes, record: event });
      this.#bytes += bytes;
    }
    this.#offsets.push(at);
    this.#times.push(appendTimeMs);
    this.#advanced.push((this.#advanced.at(-1) ?? 0) + (input?.kind === "advance" ? input.ms : 0));
    this.#lowestMs = Math.min(this.#lowestMs, appendTimeMs);
  }

  /** Gives its older records back, up to half of what it may hold. @param next offset of the record to come. */
  #giveBack(next: number): void {
    const { events } = this;
    let first = 0;
    for (; first < events.length && this.#bytes > LIMITS.pastBytesMax / 2; first++) {
      this.#bytes -= (events[first] as WindowEvent).bytes;
    }
    const cut = (events[first - 1]?.index ?? -1) + 1;
    const kept = events.slice(first).map((event) => ({ ...event, index: event.index - cut }));
    events.splice(0, events.length, ...kept);
    for (const list of [this.#offsets, this.#times, this.#advanced]) list.splice(0, cut);
    this.from = this.#offsets[0] ?? next;
  }

  /** Number of records before this offset. */
  countBefore(toOffset: number): number {
    if (toOffset >= this.to) return this.size;
    const at = this.#offsets.findIndex((other) => other >= toOffset);
    return at < 0 ? this.size : at;
  }

  /** @returns one past the last of the first `end` records that is older than `fromRawMs`; 0: none is. */
  firstSince(fromRawMs: number, end: number): number {
    if (this.#lowestMs >= fromRawMs) return 0;
    for (let i = end; i > 0; i--) if ((this.#times[i - 1] as number) < fromRawMs) return i;
    return 0;
  }

  /** By how much records `from` (inclusive) to `end` (exclusive) advanced the clock. */
  advancedMs(from: number, end: number): number {
    return (this.#advanced[end] as number) - (this.#advanced[from] as number);
  }
}

/** One range, as far as it was searched: newest windows first. */
class Search {
  readonly #names: ReadonlySet<string>;
  /** Newest first. */
  readonly #found: PastEvent[] = [];
  #searched = 0;
  #bytes = 0;
  #advancedMs = 0;
  /** Nothing further back belongs to it. */
  isDone = false;
  /** A bound ended it, not its time. */
  isCut = false;

  constructor(readonly range: PastRange) {
    this.#names = new Set(range.names);
    this.isDone = range.names.length === 0 || range.toOffset <= 0;
  }

  /** Ascending. */
  found(): readonly PastEvent[] {
    return this.#found.toReversed();
  }

  take(window: Window): void {
    const { toOffset, fromRawMs } = this.range;
    if (this.isDone || toOffset <= window.from) return;
    invariant(this.#searched === 0 || toOffset > window.to, "windows come newest first", { toOffset, to: window.to });
    const end = window.countBefore(toOffset);
    const since = window.firstSince(fromRawMs, end);
    const from = Math.max(since, end - (LIMITS.pastRecordsMax - this.#searched));
    this.isCut = from > since;
    this.isDone = from > 0;
    for (let i = window.events.length - 1; i >= 0; i--) {
      const event = window.events[i] as WindowEvent;
      if (event.index < from) break;
      if (event.index < end && this.#names.has(event.record.name) && !this.#add(event, window, end)) break;
    }
    this.#searched += end - from;
    this.#advancedMs += window.advancedMs(0, end);
  }

  /** @returns false where it is too much: neither it nor what is older belongs to the range. */
  #add({ index, offset: at, rawMs, bytes, record }: WindowEvent, window: Window, end: number): boolean {
    this.#bytes += bytes;
    if (this.#bytes > LIMITS.pastBytesMax) {
      this.isDone = true;
      this.isCut = true;
      return false;
    }
    const advancedSinceMs = this.#advancedMs + window.advancedMs(index + 1, end);
    this.#found.push({ offset: at, rawMs, advancedSinceMs, record });
    return true;
  }
}

/** @returns null: it does not decode. */
function decoded(value: Uint8Array): InboxRecord | null {
  try {
    return decodeInbox(value);
  } catch (error) {
    if (!(error instanceof BadRecordError)) throw error;
    return null;
  }
}
