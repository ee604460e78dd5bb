/** What is left of runs that have ended: rows that no tombstone followed in the changelog, and keys in the stores. */
import type { Log, Topics } from "@eddy/clients";
import { decodeHistory, type HistoryEntry } from "@eddy/schemas";
import type { Store } from "../../engine/src/ports/store.js";
import { PARTITIONS } from "./processes.js";
import { readAll } from "./progress.js";

/** What a partition always has: itself, functions, marks of its sources, and the changelog's own meta. */
const STAYING = ["p", "f", "k", "m"];
const SCANNED_AT_ONCE = 10_000;

/** By kind letter, as core/state/keys.ts has them. */
export type Counts = ReadonlyMap<string, number>;

export function countsOf(keys: Iterable<string>): Counts {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key.charAt(0), (counts.get(key.charAt(0)) ?? 0) + 1);
  return counts;
}
export const isClean = (counts: Counts): boolean => [...counts.keys()].every((letter) => STAYING.includes(letter));
/**
 * As clean as a partition is at any moment: a worker's last word on what it was given may come late, and is swept with its
 * lease. That is one row and one timer of the app, not of a run.
 */
export const isCleanButForDelivery = (counts: Counts): boolean =>
  [...counts].every(([letter, count]) => STAYING.includes(letter) || ("dt".includes(letter) && count === 1));
export const told = (counts: Counts): string =>
  [...counts].map(([letter, count]) => `${letter}: ${count}`).join(", ") || "nothing";

/** The changelogs of all partitions, compacted by key as far as they have been read. */
export class Changelogs {
  readonly #log: Log;
  readonly #topic: string;
  readonly #partitions = Array.from({ length: PARTITIONS }, () => ({ keys: new Set<string>(), next: 0, records: 0 }));

  constructor(log: Log, topic: string) {
    this.#log = log;
    this.#topic = topic;
  }

  /** Reads on to the ends. */
  async refresh(): Promise<void> {
    const reading = this.#partitions.map(async (partition, no) => {
      const { end } = await readAll(
        this.#log,
        { topic: this.#topic, partition: no, from: partition.next },
        ({ key, value }) => {
          partition.records += 1;
          if (key === null) throw new Error("a record of the changelog has no key");
          if (value === null) partition.keys.delete(key);
          else partition.keys.add(key);
        },
      );
      partition.next = end;
    });
    await Promise.all(reading);
  }

  get counts(): readonly Counts[] {
    return this.#partitions.map(({ keys }) => countsOf(keys));
  }
  get records(): number {
    return this.#partitions.reduce((sum, { records }) => sum + records, 0);
  }
  /** Of rows that should be gone, at most so many. */
  left(max: number): readonly string[] {
    const found = this.#partitions.flatMap(({ keys }, no) => [...keys].map((key) => `${no}: ${key}`));
    return found.filter((line) => !STAYING.includes(line.charAt(line.indexOf(" ") + 1))).slice(0, max);
  }
}

/** Rows and indexes. */
export async function countStore(store: Store): Promise<Counts> {
  const keys: string[] = [];
  for (let from = ""; ;) {
    const rows = await store.scan({ from, to: "\u007f", limit: SCANNED_AT_ONCE });
    keys.push(...rows.map(([key]) => key));
    const last = rows.at(-1);
    if (last === undefined || rows.length < SCANNED_AT_ONCE) return countsOf(keys);
    from = `${last[0]}\u0000`;
  }
}

/** How many entries of each kind the timelines of all runs have. */
export async function countHistory(log: Log, topics: Topics): Promise<ReadonlyMap<HistoryEntry["kind"], number>> {
  const counts = new Map<HistoryEntry["kind"], number>();
  for (let partition = 0; partition < PARTITIONS; partition++) {
    await readAll(log, { topic: topics.history, partition, from: 0 }, ({ value }) => {
      if (value === null) return;
      const { kind } = decodeHistory(value).body;
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
    });
  }
  return counts;
}
