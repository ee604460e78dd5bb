/**
 * State (G7): every checkpoint in the changelog, and every disk that was looked at, is byte for byte what a replay from
 * nothing has at that point; every effect of the replay is in the log (G10), and no other.
 */
import { decodeMeta, decodeRow, encodeHistory, encodeSignal, type MetaRow } from "@eddy/schemas";
import { indexDiff, kindOf, META_KEY, type Core, type Row, type RowKey } from "../../src/core/index.js";
import { deadLetterOf, outgoingOf } from "../../src/partition/outgoing.js";
import { decodePosition, POSITION_KEY } from "../../src/partition/store-position.js";
import type { LogRecord, Topics } from "@eddy/clients";
import type { Commit, Journal } from "../journal.js";
import type { Verdict } from "../model/verdict.js";
import { sameBytes, type Caused, type Evidence } from "./evidence.js";
import { bytesOf, Replay, type Boundary, type ReplayedEffect } from "./replay.js";

export interface StateCase {
  readonly core: Core;
  readonly journal: Journal;
  readonly topics: Topics;
  readonly partitions: number;
  readonly evidence: Evidence;
  readonly verdict: Verdict;
}

/** All that one disk held for one partition. */
export interface Snapshot {
  readonly machine: string;
  readonly partition: number;
  readonly entries: ReadonlyMap<string, Uint8Array>;
}

type Contents = Map<string, Uint8Array>;

/** @returns what is left at the end of the replay. */
export function judgeState(given: StateCase): Replay {
  const { evidence, journal, topics, partitions, verdict } = given;
  const { partition, inbox } = evidence;
  const checkpoints = new Checkpoints(given);
  const where = { partition, partitions };
  const logic = checkpoints.firstLogic ?? given.core.logicVersion;
  const replay: Replay = new Replay(given.core, where, inbox, logic, (at) => checkpoints.compare(at, replay));
  for (const { offset, appendTimeMs, record } of inbox) replay.apply(offset, appendTimeMs, record);
  replay.end(journal.end(topics.inbox, partition));
  checkpoints.finish();
  judgeEffects(given, replay.effects);
  const last = replay.effects.at(-1);
  if (last === undefined && evidence.history.length > 0) verdict.add("effects", "history from nothing", { partition });
  return replay;
}

/** Compares the changelog's commits, one after the other, with the replay as it passes them. */
class Checkpoints {
  readonly #given: StateCase;
  readonly #commits: readonly Commit[];
  readonly #records: readonly LogRecord[];
  readonly #contents: Contents = new Map();
  #next = 0;
  #written = new Set<string>();
  #meta: MetaRow | null = null;

  constructor(given: StateCase) {
    const { journal, topics, evidence } = given;
    this.#given = given;
    this.#commits = journal.commits(topics.changelog, evidence.partition);
    this.#records = journal.records(topics.changelog, evidence.partition);
    this.#load();
  }

  /** Of the first checkpoint: engines may have been replaced before any wrote one. */
  get firstLogic(): number | null {
    return this.#meta?.logic ?? null;
  }

  compare(at: Boundary, replay: Replay): void {
    while (this.#meta !== null && this.#meta.nextOffset === at.nextOffset && this.#meta.lastTimer === at.midway) {
      const commit = this.#commits[this.#next - 1];
      const { index, rawMs } = this.#meta;
      if (index !== at.index || (rawMs !== at.rawMs && at.nextOffset > 0)) {
        const text =
          `checkpoint by ${commit?.process} at ${at.nextOffset}: index ${index} and clock ${rawMs}, ` +
          `the replay has ${at.index} and ${at.rawMs}`;
        this.#given.verdict.add("G7", text, { partition: this.#given.evidence.partition });
      }
      for (const key of new Set([...replay.rows.touched, ...this.#written])) this.#compareKey(key, replay, commit);
      replay.rows.touched.clear();
      this.#written = new Set();
      this.#load();
    }
  }

  finish(): void {
    if (this.#meta === null) return;
    const { nextOffset, lastTimer } = this.#meta;
    const { partition } = this.#given.evidence;
    const by = this.#commits[this.#next - 1]?.process;
    const text = `checkpoint by ${by} at ${nextOffset} "${lastTimer}" is behind the one before it, or at no boundary`;
    this.#given.verdict.add("G10", text, { partition });
  }

  #compareKey(key: string, replay: Replay, commit: Commit | undefined): void {
    const row = replay.rows.rows.get(key);
    const expected = row === undefined ? undefined : bytesOf(key, row);
    const actual = this.#contents.get(key);
    if (expected === undefined ? actual === undefined : actual !== undefined && sameBytes(expected, actual)) return;
    const text =
      `row ${key} of the checkpoint by ${commit?.process} at ${this.#meta?.nextOffset} ` +
      `${actual === undefined ? "is missing" : expected === undefined ? "should not be" : "differs from the replay"}`;
    this.#given.verdict.add("G7", text, { partition: this.#given.evidence.partition });
  }

  /** Reads the next commit. */
  #load(): void {
    const commit = this.#commits[this.#next];
    this.#next += 1;
    if (commit === undefined) {
      this.#meta = null;
      return;
    }
    const first = this.#records[0]?.offset ?? 0;
    for (let i = commit.start - first; i < commit.end - first; i++) {
      const record = this.#records[i];
      if (record === undefined) continue;
      if (record.key === META_KEY) this.#meta = decodeMeta(record.value as Uint8Array);
      else {
        this.#written.add(record.key as string);
        fold(this.#contents, record);
      }
    }
  }
}

function fold(contents: Contents, { key, value }: LogRecord): void {
  if (value === null) contents.delete(key as string);
  else contents.set(key as string, value);
}

function judgeEffects({ evidence, journal, topics, verdict }: StateCase, replayed: readonly ReplayedEffect[]): void {
  const { partition, inbox } = evidence;
  const history: Expected[] = [];
  const requests: Expected[] = [];
  const signals: Expected[] = [];
  for (const { cause, effect } of replayed) {
    if (effect.kind === "RecordHistory") history.push({ cause, bytes: encodeHistory(cause, effect.entry) });
    else if (effect.kind === "RequestStep" || effect.kind === "RequestPart") {
      const { value } = outgoingOf(effect, cause, topics, partition).record;
      requests.push({ cause, bytes: value ?? new Uint8Array() });
    } else if (effect.kind === "SendSignal") signals.push({ cause, bytes: encodeSignal(cause, effect.signal) });
    else {
      const out = outgoingOf(effect, cause, topics, partition);
      demand(journal.records(out.topic, out.partition), out.record.value, `${effect.kind} of ${cause.offset}`);
    }
  }
  for (const { offset, record, raw } of inbox) {
    if (record !== null) continue;
    const letters = journal.records(topics.dlq, deadLetterOf(raw, "", topics, partition).partition);
    const found = letters.some(
      ({ value }) => value !== null && Buffer.from(value).includes(Buffer.from(raw.value ?? [])),
    );
    if (!found) verdict.add("G8", "junk was not dead-lettered", { partition, offset });
  }
  sameEffects("history", history, evidence.history);
  sameEffects("step request", requests, evidence.steps);
  sameEffects("signal", signals, evidence.signals);

  function demand(records: readonly LogRecord[], wanted: Uint8Array | null, what: string): void {
    const found = records.some(({ value }) => value !== null && wanted !== null && sameBytes(value, wanted));
    if (!found) verdict.add("effects", `${what} never left`, { partition });
  }

  function sameEffects(name: string, wanted: readonly Expected[], actual: readonly Caused<unknown>[]): void {
    const byCause = new Map(actual.map((a) => [`${a.cause.offset}.${a.cause.index}`, a.bytes]));
    for (const { cause, bytes } of wanted) {
      const id = `${cause.offset}.${cause.index}`;
      const found = byCause.get(id);
      byCause.delete(id);
      const at = { partition, offset: cause.offset };
      if (found === undefined) verdict.add("effects", `${name} ${id} never left`, at);
      else if (!sameBytes(found, bytes)) verdict.add("G10", `${name} ${id} differs from the replay`, at);
    }
    for (const id of byCause.keys())
      verdict.add("effects", `${name} ${id} that the replay does not know`, { partition });
  }
}

interface Expected {
  readonly cause: Caused<unknown>["cause"];
  readonly bytes: Uint8Array;
}

export interface DiskCase extends Omit<StateCase, "core" | "evidence"> {
  /** Was the changelog compacted at any time? Then a disk may lack rows that it will find further on. */
  readonly compacted: boolean;
}

/**
 * A disk holds what the changelog held at the disk's own position, and the index entries that follow from it. After
 * compaction only this is sure: what it holds becomes what the changelog holds by reading on.
 */
export function judgeDisk({ journal, topics, verdict, compacted }: DiskCase, snapshot: Snapshot): void {
  const { partition, entries, machine } = snapshot;
  const positionBytes = entries.get(POSITION_KEY);
  if (positionBytes === undefined) return;
  const { changelogOffset } = decodePosition(positionBytes);
  const contents: Contents = new Map();
  const read: Contents = new Map(compacted ? [...entries].filter(([key]) => isRestored(key)) : entries);
  for (const record of journal.records(topics.changelog, partition)) {
    if (compacted || record.offset < changelogOffset) fold(contents, record);
    if (compacted && record.offset >= changelogOffset) fold(read, record);
  }
  for (const [key, value] of [...contents]) {
    if (compacted || kindOf(key) === null) continue;
    const row: Row = decodeRow(kindOf(key) ?? "run", value);
    for (const [entry, text] of indexDiff(key as RowKey, null, row).added) contents.set(entry, Buffer.from(text));
  }
  for (const key of new Set([...contents.keys(), ...read.keys()])) {
    if (key === POSITION_KEY) continue;
    const [wanted, actual] = [contents.get(key), read.get(key)];
    if (wanted !== undefined && actual !== undefined && sameBytes(wanted, actual)) continue;
    const how = wanted === undefined ? "should not be there" : actual === undefined ? "is missing" : "differs";
    const text = `${key} on the disk of ${machine} ${how}, by the changelog up to ${changelogOffset}`;
    verdict.add("G7", text, { partition });
  }
}

/** Comes from the changelog itself, rather than following from its rows. */
const isRestored = (key: string): boolean => key === META_KEY || kindOf(key) !== null;
