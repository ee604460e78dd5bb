/** What the tests of histories and look-ups share: tailers of all partitions, and entries as partitions would write them. */
import {
  encodeHistory,
  encodeInbox,
  matchValuesOf,
  NO_ROUTE,
  offset,
  runBaseOf,
  runIdAt,
  shardOfRun,
  type HistoryEntry,
  type InboxRecordOf,
} from "@eddy/schemas";
import { MemoryStoreFactory } from "../../src/adapters/memory/memory-store.js";
import { HistoryTailer, type HistoryTailerDeps } from "../../src/history/history-tailer.js";
import { PARTITIONS, TOPICS, type World } from "./fixtures.js";

const utf8 = new TextEncoder();
export const DAY_MS = 86_400_000;

/** As the first record of its partition would have started it. */
export function runIdOf(functionId: string, eventId: string, anchorValue: string): string {
  return runIdAt(runBaseOf({ functionId, eventName: "cart/added", eventId, anchorValue }), 0);
}
export const partitionOf = (runId: string): number => shardOfRun(runId) % PARTITIONS;
/** A run that lives on the partition. */
export function runOn(partition: number, functionId = "shop/cart", eventId = "e"): string {
  for (let i = 0; ; i += 1) {
    const runId = runIdOf(functionId, eventId, `s:${i}`);
    if (partitionOf(runId) === partition) return runId;
  }
}

/** What a tailer of the partition is made with; `more` goes before. */
export function tailerDeps(w: World, partition: number, more: Partial<HistoryTailerDeps> = {}): HistoryTailerDeps {
  const inbox = { topic: TOPICS.inbox, retentionMs: 3 * DAY_MS };
  const stores = new MemoryStoreFactory();
  return { ...w, stores, topic: TOPICS.history, inbox, partition, retentionMs: 7 * DAY_MS, ...more };
}

/** Histories of all partitions, started. */
export async function histories(w: World): Promise<readonly HistoryTailer[]> {
  const stores = new MemoryStoreFactory();
  const all = Array.from({ length: PARTITIONS }, (_, p) => new HistoryTailer(tailerDeps(w, p, { stores })));
  await Promise.all(all.map((tailer) => tailer.start()));
  return all;
}

/** Appends entries of one run, with causes that grow with each call. */
export class HistoryWriter {
  readonly #written: { readonly key: string; readonly value: Uint8Array }[] = [];
  constructor(private readonly w: World) {}

  async write(entry: HistoryEntry): Promise<void> {
    const cause = { offset: offset(this.#written.length + 1), index: 0 };
    const record = { key: entry.runId, value: encodeHistory(cause, entry) };
    this.#written.push(record);
    await this.#append(record);
  }
  /** Everything once more, with the same causes. */
  async again(): Promise<void> {
    for (const record of this.#written) await this.#append(record);
  }
  async #append(record: { readonly key: string; readonly value: Uint8Array }): Promise<void> {
    await this.w.log.append(TOPICS.history, partitionOf(record.key), [record]);
  }

  start(runId: string, more: Partial<Extract<HistoryEntry, { kind: "runStarted" }>> = {}): Promise<void> {
    const names = { functionId: "shop/cart", eventId: "e", eventName: "cart/added" };
    return this.write({ kind: "runStarted", runId, ...names, atMs: 1_000, dueAtMs: 0, ...more });
  }
  complete(runId: string, data: unknown = "done", functionId = "shop/cart"): Promise<void> {
    const bytes = utf8.encode(JSON.stringify(data));
    return this.write({ kind: "runCompleted", runId, functionId, atMs: 2_000, data: bytes });
  }
  cancel(runId: string, functionId = "shop/cart"): Promise<void> {
    return this.write({ kind: "runCancelled", runId, functionId, atMs: 2_000, eventId: null, reason: "asked" });
  }
}

/** One copy of an event, as a sender would write it. @returns its offset */
export async function receive(
  w: World,
  partition: number,
  event: { readonly id: string; readonly name: string; readonly ts: number; readonly data?: object },
  more: Partial<InboxRecordOf<"event">> = {},
): Promise<number> {
  const value = encodeInbox({
    kind: "event",
    id: event.id,
    idFrom: "user",
    name: event.name,
    tsMs: event.ts,
    values: matchValuesOf(event, NO_ROUTE).map(([path, text]) => [path, text]),
    payload: utf8.encode(JSON.stringify(event)),
    version: 0,
    home: partition,
    origin: null,
    ...more,
  });
  const { baseOffset } = await w.log.append(TOPICS.inbox, partition, [{ key: event.id, value }]);
  return baseOffset;
}
