/**
 * All partitions together, as their logs and histories show them: which events were written where and when, which runs
 * there were. Knows nothing of what partitions say to each other.
 */
import {
  anchorPathOf,
  ID_WINDOW_MS,
  parsedJson,
  type FunctionConfig,
  type HistoryEntry,
  type InboxRecord,
  type InboxRecordOf,
  type RegisteredApp,
  type StepOp,
} from "@eddy/schemas";
import type { Arrived, Caused, Evidence } from "./evidence.js";

/** The first record that brought an event into one partition: mostly its sender's copy. */
export interface Copy {
  readonly partition: number;
  readonly offset: number;
  /** Stream time at this record. */
  readonly atMs: number;
  readonly rawMs: number;
  /** Stream time of the last record of it here: a repeated send counts for whoever reads the log again. */
  lastAtMs: number;
}

export interface LoggedEvent {
  readonly id: string;
  readonly idFrom: "user" | "generated";
  readonly name: string;
  readonly body: unknown;
  /** By partition. */
  readonly copies: Map<number, Copy>;
  /** By partition: offset of the first record that brought it, however late, and by whomever. */
  readonly arrivals: Map<number, number>;
  /** Partitions where its sender wrote a copy. */
  readonly sentTo: Set<number>;
  /** Where its first copy was written. */
  readonly home: number;
  /** Is every copy of this name and id of one send? Else it is not known which one counted where, and since when. */
  isOne: boolean;
  /** As its sender knew it. */
  version: number | null;
}

interface Brought {
  /** It counts where it stands in the log. */
  readonly isCopy: boolean;
  readonly fields: Pick<InboxRecordOf<"event">, "id" | "idFrom" | "name" | "home" | "version" | "payload">;
  /** By its sender. */
  readonly isSent: boolean;
}

/** Offers and what comes late count by the time that they tell, not here. */
function eventIn(record: InboxRecord | null): Brought | null {
  if (record?.kind === "announced" && record.event !== null) {
    return { fields: record.event, isSent: false, isCopy: !record.event.isStale };
  }
  if (record?.kind !== "event") return null;
  return { fields: record, isSent: record.origin === null, isCopy: record.origin?.isStale !== true };
}

export interface RunLines {
  readonly runId: string;
  readonly functionId: string;
  readonly partition: number;
  readonly lines: Caused<HistoryEntry>[];
}

/** Clock of a partition at each record. */
export interface Moment {
  readonly offset: number;
  readonly atMs: number;
  readonly rawMs: number;
}

export interface WorldOf {
  readonly evidences: readonly Pick<Evidence, "partition" | "inbox" | "history">[];
  /** Ids of events of which somebody was told that they are in the log. */
  readonly acknowledged: ReadonlySet<string>;
  /** By how much the brokers' clocks may have differed, in ms. */
  readonly skewMs: number;
}

export class World {
  readonly runs: readonly RunLines[];
  readonly acknowledged: ReadonlySet<string>;
  readonly skewMs: number;
  readonly partitions: number;
  readonly #inboxes: ReadonlyMap<number, readonly Arrived[]>;
  readonly #moments = new Map<number, readonly Moment[]>();
  readonly #events = new Map<string, LoggedEvent>();

  constructor({ evidences, acknowledged, skewMs }: WorldOf) {
    this.acknowledged = acknowledged;
    this.skewMs = skewMs;
    this.partitions = evidences.length;
    this.#inboxes = new Map(evidences.map(({ partition, inbox }) => [partition, inbox]));
    for (const { partition, inbox } of evidences) this.#moments.set(partition, this.#read(partition, inbox));
    this.runs = evidences.flatMap(({ partition, history }) => runsOf(partition, history));
  }

  #read(partition: number, inbox: readonly Arrived[]): readonly Moment[] {
    const moments: Moment[] = [];
    let rawMs = 0;
    let advanceMs = 0;
    for (const { offset, appendTimeMs, record } of inbox) {
      rawMs = Math.max(rawMs, appendTimeMs);
      if (record?.kind === "advance") advanceMs += record.ms;
      moments.push({ offset, atMs: rawMs + advanceMs, rawMs });
      const event = eventIn(record);
      if (event !== null) this.#note(event, { partition, offset, atMs: rawMs + advanceMs, rawMs });
    }
    return moments;
  }

  #note({ fields, isSent, isCopy }: Brought, at: Omit<Copy, "lastAtMs">): void {
    const { id, idFrom, name, home, version, payload } = fields;
    const key = `${name}\n${id}`;
    const body = parsedJson(payload);
    const sent = isSent ? version : null;
    const known = this.#events.get(key) ?? {
      ...{ id, idFrom, name, body, home, isOne: true, version: sent },
      ...{ copies: new Map<number, Copy>(), arrivals: new Map<number, number>(), sentTo: new Set<number>() },
    };
    this.#events.set(key, known);
    if (!known.arrivals.has(at.partition)) known.arrivals.set(at.partition, at.offset);
    if (!isCopy) return;
    known.version ??= sent;
    if (known.home !== home || (isSent && known.version !== version)) known.isOne = false;
    if (JSON.stringify(known.body) !== JSON.stringify(body)) known.isOne = false;
    if (isSent) known.sentTo.add(at.partition);
    const copy = known.copies.get(at.partition);
    if (copy === undefined) known.copies.set(at.partition, { ...at, lastAtMs: at.atMs });
    else copy.lastAtMs = at.atMs;
  }

  get events(): readonly LoggedEvent[] {
    return [...this.#events.values()];
  }

  event(name: string, id: string): LoggedEvent | undefined {
    return this.#events.get(`${name}\n${id}`);
  }

  inbox(partition: number): readonly Arrived[] {
    return this.#inboxes.get(partition) ?? [];
  }

  moments(partition: number): readonly Moment[] {
    return this.#moments.get(partition) ?? [];
  }

  momentAt(partition: number, offset: number): Moment | undefined {
    return this.moments(partition).find((moment) => moment.offset === offset);
  }

  /** What the run's worker asked for when this wait began. */
  askedAt({ partition }: RunLines, offset: number, stepId: string): WaitRequest | undefined {
    const record = this.inbox(partition).find((arrived) => arrived.offset === offset)?.record;
    if (record?.kind !== "report") return undefined;
    for (const op of record.report.ops) if (op.kind === "waitRequested" && op.stepId === stepId) return op;
    return undefined;
  }

  triggerOf({ lines }: RunLines): LoggedEvent | undefined {
    const first = lines[0]?.body;
    return first?.kind === "runStarted" ? this.event(first.eventName, first.eventId) : undefined;
  }

  /** The function as registered on the partition when the record at `offset` was decided. */
  configAt(partition: number, functionId: string, offset: number): FunctionConfig | undefined {
    return configsOf(this.inbox(partition), functionId, offset).at(-1)?.functions.find(isNamed(functionId));
  }

  /** All configurations of the function's app that ever came to the partition. */
  configsOf(partition: number, functionId: string): readonly (FunctionConfig | undefined)[] {
    return configsOf(this.inbox(partition), functionId, Infinity).map(({ functions }) =>
      functions.find(isNamed(functionId)),
    );
  }
}

/** Trigger-side path that places the function's runs: that of its first registration, whatever came later. */
export function anchorIn(world: World, functionId: string): string {
  const [first] = configsOf(world.inbox(0), functionId, Infinity).flatMap(({ functions }) =>
    functions.filter(isNamed(functionId)),
  );
  if (first === undefined) throw new Error(`${functionId} was never registered`);
  return anchorPathOf(first);
}

/** Did word of this copy come there only when its id may have been forgotten? Then it is dropped. */
export function cameTooLate(world: World, { arrivals, idFrom }: LoggedEvent, copy: Copy, partition: number): boolean {
  const arrived = world.momentAt(partition, arrivals.get(partition) ?? -1);
  return arrived !== undefined && arrived.atMs - copy.atMs > ID_WINDOW_MS[idFrom];
}

export type WaitRequest = Extract<StepOp, { kind: "waitRequested" }>;

const isNamed =
  (functionId: string) =>
  ({ id }: FunctionConfig): boolean =>
    functionId.endsWith(`/${id}`);

/**
 * In the order of their versions. Partition 0 numbers them: what it asks others to register is in its own inbox first.
 * What others are told again, late, counts no more.
 */
function configsOf(
  inbox: readonly Arrived[],
  functionId: string,
  before: number,
): readonly Pick<RegisteredApp, "functions">[] {
  const app = functionId.slice(0, functionId.indexOf("/"));
  let version = 0;
  return inbox.flatMap(({ offset, record }) => {
    if (offset >= before || (record?.kind !== "registered" && record?.kind !== "register")) return [];
    if (record.config.app !== app) return [];
    if (record.kind === "register") return [record.config];
    if (record.config.version <= version) return [];
    version = record.config.version;
    return [record.config];
  });
}

export const ENDINGS: ReadonlySet<string> = new Set(["runCompleted", "runFailed", "runCancelled"]);

export function endOf({ lines }: RunLines): Caused<HistoryEntry> | undefined {
  return lines.find(({ body }) => ENDINGS.has(body.kind));
}

/** Ids of events that the run's waits took and did not give back. */
export function takenBy({ lines }: RunLines): ReadonlySet<string> {
  const taken = new Map<string, string>();
  for (const { body } of lines) {
    if (body.kind === "waitResolved") taken.set(body.stepId, body.eventId);
    if (body.kind === "stepWithdrawn") taken.delete(body.stepId);
  }
  return new Set(taken.values());
}

export function runsOf(partition: number, history: readonly Caused<HistoryEntry>[]): readonly RunLines[] {
  const runs = new Map<string, RunLines>();
  for (const line of history) {
    const { runId, functionId } = line.body;
    const run = runs.get(runId) ?? { runId, functionId, partition, lines: [] };
    runs.set(runId, run);
    run.lines.push(line);
  }
  return [...runs.values()];
}
