/** A log of one inbox partition whose records, gaps and answers a test makes up; and what past events are, said plainly. */
import { decodeInbox, encodeInbox, LIMITS, offset, BadRecordError, type InboxRecord } from "@eddy/schemas";
import { ManualClock, MemoryLog } from "../../src/adapters/memory/index.js";
import type { PastEvent, PastRange } from "../../src/core/index.js";
import { PARTITION_DEFAULTS } from "../../src/partition/options.js";
import { PastEvents } from "../../src/partition/past-events.js";
import { OffsetOutOfRangeError } from "../../../clients/src/errors/codes.js";
import type { Log, LogReader, LogRecord } from "../../../clients/src/ports/log.js";
import { MemoryStoreFactory } from "../../src/adapters/memory/index.js";
import { toyCore } from "./toy-core.js";
import { Counted, Logged, topics } from "./world.js";

export class PastLog {
  readonly records: LogRecord[] = [];
  /** First offset that can still be read. */
  start = 0;
  /** How many records the next read gives at most; 0: none. */
  answer: (recordsMax: number) => number = (recordsMax) => recordsMax;
  /** Offsets from which readers were opened. */
  readonly opened: number[] = [];
  readonly logged = new Logged();
  readonly meter = new Counted();
  readonly clock = new ManualClock();
  readonly abort = new AbortController();
  readonly log: Log;

  constructor() {
    const log = new MemoryLog(this.clock);
    log.offsets = async () => ({ start: offset(this.start), end: offset(this.end) });
    log.reader = (_topic, _partition, from) => this.#reader(from);
    this.log = log;
  }

  get end(): number {
    return (this.records.at(-1)?.offset ?? this.start - 1) + 1;
  }

  /** @param gap offsets left out before it. */
  add(appendTimeMs: number, value: InboxRecord | Uint8Array | null, gap = 0): number {
    const at = this.end + gap;
    const bytes = value === null || value instanceof Uint8Array ? value : encodeInbox(value);
    this.records.push({ offset: offset(at), key: null, value: bytes, appendTimeMs });
    return at;
  }

  past(): PastEvents {
    const { log, logged, meter, clock } = this;
    const task = { core: toyCore, log, stores: new MemoryStoreFactory(), clock, meter, logger: logged, topics };
    return new PastEvents({ ...task, partition: 0, partitions: 1, options: PARTITION_DEFAULTS }, this.abort.signal);
  }
  async find(range: PastRange): Promise<readonly PastEvent[]> {
    const [events] = await this.past().find([range]);
    return events ?? [];
  }

  #reader(from: number): LogReader {
    this.opened.push(from);
    let position = from;
    const read = (recordsMax: number): readonly LogRecord[] => {
      if (position < this.start) throw new OffsetOutOfRangeError("deleted", { position, start: this.start });
      const ahead = this.records.slice(firstAt(this.records, position));
      const records = ahead.slice(0, this.answer(recordsMax));
      if (records.length > 0 || ahead.length === 0) position = (records.at(-1)?.offset ?? this.end - 1) + 1;
      return records;
    };
    return {
      read: async ({ recordsMax }) => read(recordsMax),
      get position() {
        return offset(position);
      },
      close: async () => undefined,
    };
  }
}

function firstAt(records: readonly LogRecord[], at: number): number {
  let [low, high] = [0, records.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((records[middle] as LogRecord).offset < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What a range holds, record by record from its end on. */
export function plainly(records: readonly LogRecord[], range: PastRange): readonly PastEvent[] {
  const found: PastEvent[] = [];
  let [searched, bytes, advancedSinceMs] = [0, 0, 0];
  for (const { offset: at, appendTimeMs: rawMs, value } of records.toReversed()) {
    if (at >= range.toOffset) continue;
    if (rawMs < range.fromRawMs || searched++ === LIMITS.pastRecordsMax) break;
    const record = decodedOrNull(value);
    if (record?.kind === "advance") advancedSinceMs += record.ms;
    if (record?.kind !== "event" || !range.names.includes(record.name)) continue;
    bytes += value?.length ?? 0;
    if (bytes > LIMITS.pastBytesMax) break;
    found.push({ offset: at, rawMs, advancedSinceMs, record });
  }
  return found.toReversed();
}

function decodedOrNull(value: Uint8Array | null): InboxRecord | null {
  try {
    return value === null ? null : decodeInbox(value);
  } catch (error) {
    if (!(error instanceof BadRecordError)) throw error;
    return null;
  }
}
