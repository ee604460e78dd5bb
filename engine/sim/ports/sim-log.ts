/**
 * The log that all processes of a simulated cluster share: the memory adapter's, behind operations that the scheduler
 * performs. Append times come from the brokers' clocks: never behind virtual time, jumping ahead now and then, all together, and
 * apart from each other by what the scenario says.
 */
import type { Offset } from "@eddy/schemas";
import { MemoryLog } from "../../src/adapters/memory/memory-log.js";
import { ClosedError, FencedError } from "@eddy/clients/errors";
import type {
  Appended,
  ChangelogWriter,
  GroupOffset,
  Log,
  LogReader,
  LogRecord,
  NewRecord,
  OffsetRange,
  ReadLimits,
  TopicSpec,
} from "@eddy/clients";
import { Journal } from "../journal.js";
import type { Prng } from "../prng.js";
import type { SimProcess } from "../process.js";
import type { OpKind, Scheduler } from "../scheduler.js";

/** The brokers' clocks may run this far ahead of virtual time, in ms; below the 30 s that halt a partition. */
export const CLOCK_AHEAD_MS_MAX = 8_000;

/** What a reader of the trace sees of a record; set by the cluster. */
export type Describe = (topic: string, records: readonly NewRecord[]) => string;

export class SharedLog {
  readonly scheduler: Scheduler;
  readonly memory: MemoryLog;
  readonly journal = new Journal();
  readonly #rng: Prng;
  #aheadMs = 0;
  /** By `topic/partition`: how far its broker's clock is ahead of the others. */
  readonly #skewsMs = new Map<string, number>();
  readonly #waiting = new Map<string, Set<() => void>>();
  #appendingTo = "";
  describe: Describe = () => "";

  constructor(scheduler: Scheduler, rng: Prng) {
    this.scheduler = scheduler;
    this.#rng = rng;
    const nowMs = (): number => scheduler.nowMs + this.#aheadMs + (this.#skewsMs.get(this.#appendingTo) ?? 0);
    this.memory = new MemoryLog({ nowMs, sleep: () => Promise.resolve() });
  }

  /** The port of one process. */
  portOf(process: SimProcess): SimLog {
    return new SimLog(this, process);
  }

  setSkew(topic: string, partition: number, ms: number): void {
    this.#skewsMs.set(`${topic}/${partition}`, ms);
  }

  /** Moves the brokers' clocks ahead, by chance. */
  jumpClock(): void {
    this.#aheadMs = Math.min(this.#aheadMs + this.#rng.between(1, 3_000), CLOCK_AHEAD_MS_MAX);
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended> {
    this.#appendingTo = `${topic}/${partition}`;
    const appended = await this.memory.append(topic, partition, records);
    this.journal.note(topic, partition, appended.baseOffset, appended.appendTimeMs, records);
    this.#announce(`${topic}/${partition}`);
    return appended;
  }

  /** @param commit of the writer that this process opened. */
  async commit(
    from: { readonly topic: string; readonly partition: number; readonly process: string },
    records: readonly NewRecord[],
    commit: () => Promise<Offset>,
  ): Promise<Offset> {
    const { topic, partition, process } = from;
    this.#appendingTo = `${topic}/${partition}`;
    const end = await commit();
    const start = end - records.length;
    this.journal.note(topic, partition, start, this.scheduler.nowMs, records);
    this.journal.noteCommit(topic, partition, { process, start, end });
    this.#announce(`${topic}/${partition}`);
    return end;
  }

  /** Wakes who waits for records of a partition. */
  #announce(at: string): void {
    const waiting = this.#waiting.get(at);
    if (waiting === undefined) return;
    this.#waiting.delete(at);
    for (const wake of waiting) wake();
  }

  /** Calls `wake` once there is a record at or behind `from`. */
  waitFor(topic: string, partition: number, from: number, wake: () => void): void {
    const at = `${topic}/${partition}`;
    if (this.journal.end(topic, partition) > from) {
      wake();
      return;
    }
    const waiting = this.#waiting.get(at) ?? new Set();
    waiting.add(wake);
    this.#waiting.set(at, waiting);
  }

  forget(topic: string, partition: number, wake: () => void): void {
    this.#waiting.get(`${topic}/${partition}`)?.delete(wake);
  }
}

export class SimLog implements Log {
  readonly #shared: SharedLog;
  readonly #process: SimProcess;
  readonly #readers = new Set<SimReader>();
  #closed = false;

  constructor(shared: SharedLog, process: SimProcess) {
    this.#shared = shared;
    this.#process = process;
  }

  ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    return this.#do("ask", "ensureTopics", () => this.#shared.memory.ensureTopics(specs));
  }

  topicId(topic: string): Promise<string> {
    return this.#do("ask", `topicId ${topic}`, () => this.#shared.memory.topicId(topic));
  }

  append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended> {
    const act = (): Promise<Appended> => this.#shared.append(topic, partition, records);
    const detail = (): string => this.#shared.describe(topic, records);
    return this.#do("append", `append ${topic}/${partition} x${records.length}`, act, detail);
  }

  offsets(topic: string, partition: number): Promise<OffsetRange> {
    return this.#do("ask", `offsets ${topic}/${partition}`, () => this.#shared.memory.offsets(topic, partition));
  }

  reader(topic: string, partition: number, from: Offset): LogReader {
    if (this.#closed) throw new ClosedError("this log is closed");
    const reader = new SimReader(this.#shared, this.#process, { topic, partition, from });
    this.#readers.add(reader);
    return reader;
  }

  async openChangelogWriter(topic: string, partition: number): Promise<ChangelogWriter> {
    const at = `${topic}/${partition}`;
    const inner = await this.#do("openWriter", `openWriter ${at}`, () =>
      this.#shared.memory.openChangelogWriter(topic, partition),
    );
    return {
      commit: (records) =>
        this.#do(
          "commit",
          `commit ${at} x${records.length}`,
          () =>
            this.#shared.commit({ topic, partition, process: this.#process.name }, records, () =>
              inner.commit(records),
            ),
          () => this.#shared.describe(topic, records),
        ),
      close: () => inner.close(),
    };
  }

  commitGroupOffset(group: string, topic: string, partition: number, at: GroupOffset): Promise<void> {
    return this.#do("commitGroup", `commitGroup ${group} ${topic}/${partition} ${at.offset}`, () =>
      this.#shared.memory.commitGroupOffset(group, topic, partition, at),
    );
  }

  /** As `commitGroupOffset`, but refused by the group when `isMember` says no at the time it arrives. */
  commitAsMember(
    group: string,
    where: { readonly topic: string; readonly partition: number },
    at: GroupOffset,
    isMember: () => boolean,
  ): Promise<void> {
    const { topic, partition } = where;
    return this.#do("commitGroup", `commitGroup ${group} ${topic}/${partition} ${at.offset}`, async () => {
      if (!isMember()) throw new FencedError(`no member of ${group} for partition ${partition} any more`);
      await this.#shared.memory.commitGroupOffset(group, topic, partition, at);
    });
  }

  groupOffset(group: string, topic: string, partition: number): Promise<GroupOffset | null> {
    return this.#do("ask", `groupOffset ${group} ${topic}/${partition}`, () =>
      this.#shared.memory.groupOffset(group, topic, partition),
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const reader of this.#readers) await reader.close();
  }

  #do<T>(kind: OpKind, what: string, act: () => Promise<T>, detail?: () => string): Promise<T> {
    if (this.#closed) return Promise.reject(new ClosedError("this log is closed"));
    const delayMs = this.#process.delayMs(kind);
    return this.#shared.scheduler.suspend(this.#process, { kind, what, delayMs, act, detail });
  }
}

class SimReader implements LogReader {
  readonly #shared: SharedLog;
  readonly #process: SimProcess;
  readonly #from: { readonly topic: string; readonly partition: number };
  readonly #inner: LogReader;
  #wake: () => void = () => undefined;
  #closed = false;

  constructor(shared: SharedLog, process: SimProcess, from: { topic: string; partition: number; from: Offset }) {
    this.#shared = shared;
    this.#process = process;
    this.#from = from;
    this.#inner = shared.memory.reader(from.topic, from.partition, from.from);
  }

  get position(): Offset {
    return this.#inner.position;
  }

  async read({ recordsMax, waitMs }: ReadLimits): Promise<readonly LogRecord[]> {
    const fetch = (): Promise<readonly LogRecord[]> =>
      this.#closed ? Promise.resolve([]) : this.#inner.read({ recordsMax, waitMs: 0 });
    const { topic, partition } = this.#from;
    const delayMs = this.#process.delayMs("read");
    const what = `read ${topic}/${partition} from ${this.position}`;
    const request = { kind: "read" as const, what, delayMs, act: fetch };
    const ready = await this.#shared.scheduler.suspend(this.#process, request);
    if (ready.length > 0 || waitMs <= 0 || this.#closed) return ready;
    const waiting = this.#shared.scheduler.suspendWakeable(this.#process, { ...request, delayMs: waitMs });
    this.#wake = waiting.wake;
    this.#shared.waitFor(topic, partition, this.position, waiting.wake);
    try {
      return await waiting.done;
    } finally {
      this.#shared.forget(topic, partition, waiting.wake);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await this.#inner.close();
  }
}
