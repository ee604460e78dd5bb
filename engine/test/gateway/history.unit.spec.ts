import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeHistory, offset, type HistoryEntry } from "@eddy/schemas";
import { MemoryStoreFactory } from "../../src/adapters/memory/memory-store.js";
import { ClosedError, StateCorruptedError, TransientError } from "../../../clients/src/errors/codes.js";
import { HistoryLookup } from "../../src/history/history-lookup.js";
import { HistoryTailer } from "../../src/history/history-tailer.js";
import type { StoreFactory } from "../../src/ports/store.js";
import { PARTITIONS, settle, TOPICS, world, type World } from "./fixtures.js";
import { DAY_MS, runOn, tailerDeps } from "./history-fixtures.js";

const utf8 = new TextEncoder();
/** A run of `functionId` that lives on partition 1. */
const runOn1 = (functionId: string, eventId = "e1"): string => runOn(1, functionId, eventId);

describe("history", () => {
  let w: World;
  let stores: MemoryStoreFactory;
  let tailer: HistoryTailer;
  let lookup: HistoryLookup;

  const make = (factory: StoreFactory = stores): HistoryTailer =>
    new HistoryTailer(tailerDeps(w, 1, { stores: factory }));

  beforeEach(async () => {
    w = await world();
    stores = new MemoryStoreFactory();
    tailer = make();
    await tailer.start();
    const others = [0, 2, 3].map(
      (partition) => new HistoryTailer(tailerDeps(w, partition, { stores, retentionMs: DAY_MS })),
    );
    await Promise.all(others.map((other) => other.start()));
    lookup = lookupOf(tailer, others);
  });
  afterEach(async () => {
    await tailer.stop();
    await w.close();
  });

  function lookupOf(one: HistoryTailer, others: readonly HistoryTailer[]): HistoryLookup {
    const all = [others[0] as HistoryTailer, one, ...others.slice(1)];
    return new HistoryLookup({ partitions: PARTITIONS, historyOf: (partition) => all[partition] ?? null });
  }
  const runsOfEvent = (eventId: string) => lookup.runsOfEvent(eventId, [0, 1, 2, 3]);

  /** Appends entries with the causes (offset, 0), (offset, 1), ... and waits until they are taken. */
  async function record(atOffset: number, ...entries: HistoryEntry[]): Promise<void> {
    const records = entries.map((entry, index) => ({
      key: entry.runId,
      value: encodeHistory({ offset: offset(atOffset), index }, entry),
    }));
    const { baseOffset } = await w.log.append(TOPICS.history, 1, records);
    await tailer.reached(offset(baseOffset + records.length));
  }

  const runId = runOn1("shop/cart");
  const base = { runId, functionId: "shop/cart" };
  const started = (atMs = 1_000): HistoryEntry => ({
    kind: "runStarted",
    ...base,
    atMs,
    eventId: "e1",
    eventName: "cart/added",
    dueAtMs: atMs,
  });
  const dispatched: HistoryEntry = { kind: "runDispatched", ...base, atMs: 1_001, invocation: 1, reason: "start" };
  const completed: HistoryEntry = { kind: "runCompleted", ...base, atMs: 2_000, data: utf8.encode('"done"') };
  const error = { name: "E", message: "m", stack: null };
  const timeline = async (): Promise<string[]> =>
    (await tailer.store.timeline(runId, 100)).map(({ body }) => body.kind);

  it.each<[HistoryEntry, string, unknown, unknown]>([
    [completed, "Completed", "done", null],
    [{ kind: "runFailed", ...base, atMs: 2_000, error }, "Failed", null, error],
    [{ kind: "runCancelled", ...base, atMs: 2_000, eventId: "e2", reason: "cancelOn" }, "Cancelled", null, null],
  ])("shows a run that is running, then how it ended: $kind", async (end, status, output, shownError) => {
    await record(1, started(), dispatched);
    expect(await lookup.runById(runId)).toMatchObject({ status: "Running", output: null, ended_at: null });
    await record(2, end);
    expect(await lookup.runById(runId)).toMatchObject({
      status,
      output,
      error: shownError,
      event_id: "e1",
      run_started_at: "1970-01-01T00:00:01.000Z",
      ended_at: "1970-01-01T00:00:02.000Z",
    });
  });

  it("finds the runs of an event on all partitions, by their start", async () => {
    const later = runOn1("shop/later");
    await record(1, { ...started(5_000), runId: later, functionId: "shop/later" });
    await record(2, started(1_000));
    expect((await runsOfEvent("e1")).map(({ run_id }) => run_id)).toEqual([runId, later]);
    expect(await runsOfEvent("e2")).toEqual([]);
  });

  it("is not changed by repeats: a run that has ended is not shown as running afterwards", async () => {
    await record(1, started(), dispatched);
    await record(2, completed);
    await record(1, started(), dispatched);
    expect(await lookup.runById(runId)).toMatchObject({ status: "Completed", output: "done" });
    expect(await runsOfEvent("e1")).toHaveLength(1);
    expect(await timeline()).toEqual(["runStarted", "runDispatched", "runCompleted"]);
    await record(2, completed);
    expect(await timeline()).toEqual(["runStarted", "runDispatched", "runCompleted"]);
  });

  it("orders the timeline by causes, not by arrival", async () => {
    await record(7, completed);
    await record(1, started(), dispatched);
    expect(await timeline()).toEqual(["runStarted", "runDispatched", "runCompleted"]);
    expect(await lookup.runById(runId)).toMatchObject({ status: "Completed" });
  });

  it("shows a later life of the same run id as what it is", async () => {
    await record(1, started());
    await record(2, completed);
    await record(9, started(9_000));
    expect(await lookup.runById(runId)).toMatchObject({
      status: "Running",
      run_started_at: "1970-01-01T00:00:09.000Z",
    });
    await record(2, completed);
    expect(await lookup.runById(runId)).toMatchObject({ status: "Running" });
    await record(10, { ...completed, data: utf8.encode("2") });
    expect(await lookup.runById(runId)).toMatchObject({ status: "Completed", output: 2 });
  });

  it("shows an output that is no JSON as text, and none as null", async () => {
    await record(1, started());
    await record(2, { ...completed, data: utf8.encode("{oops") });
    expect(await lookup.runById(runId)).toMatchObject({ output: "{oops" });
    await record(3, started());
    await record(4, { ...completed, data: new Uint8Array() });
    expect(await lookup.runById(runId)).toMatchObject({ output: null });
  });

  it("goes on where it was after a restart, and after the store lost its newest batches", async () => {
    await record(1, started());
    await record(2, dispatched);
    await tailer.stop();
    stores.crash(1);
    await w.log.append(TOPICS.history, 1, [
      { key: runId, value: encodeHistory({ offset: offset(3), index: 0 }, completed) },
    ]);
    tailer = make();
    await tailer.start();
    expect(await timeline()).toEqual(["runStarted", "runDispatched", "runCompleted"]);
    expect((await tailer.store.position())?.nextOffset).toBe(3);
  });

  it("answers nothing until it has all that the topic held when it started", async () => {
    await record(1, started());
    await tailer.stop();
    expect(() => tailer.store).toThrow(TransientError);
    await w.log.append(TOPICS.history, 1, [
      { key: runId, value: encodeHistory({ offset: offset(2), index: 0 }, completed) },
    ]);
    const later = make();
    expect(() => later.store).toThrow(TransientError);
    await later.start();
    expect((await later.store.run(runId))?.summary.status).toBe("Completed");
    await later.stop();
  });

  it("answers nothing while it reads what the topic held", async () => {
    await tailer.stop();
    await w.log.append(TOPICS.history, 1, [
      { key: runId, value: encodeHistory({ offset: offset(2), index: 0 }, completed) },
    ]);
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const slow: StoreFactory = {
      open: async (name) => {
        const store = await stores.open(name);
        return {
          getMany: (keys) => store.getMany(keys),
          scan: (range) => store.scan(range),
          write: (batch) => held.then(() => store.write(batch)),
          close: () => store.close(),
        };
      },
      destroy: (name) => stores.destroy(name),
    };
    tailer = make(slow);
    const starting = tailer.start();
    await settle();
    expect(() => tailer.store).toThrow(TransientError);
    release();
    await starting;
    expect((await tailer.store.run(runId))?.summary.status).toBe("Completed");
  });

  it("answers nothing that may be old: others write the topic, and it could not be read for a while", async () => {
    await record(1, started());
    await tailer.stop();
    tailer = new HistoryTailer(tailerDeps(w, 1, { stores, staleMsMax: 5_000 }));
    await tailer.start();
    expect(await tailer.store.run(runId)).not.toBeNull();
    await settle(); // A read is under way.
    // The process is stopped for a while: nothing was read meanwhile.
    w.clock.advance(5_001);
    expect(() => tailer.store).toThrow(TransientError);
    await settle();
    w.clock.advance(1_000); // The read that was under way tells nothing; the next one does.
    await settle();
    expect(await tailer.store.run(runId)).not.toBeNull();
  });

  it("closes a store that it opens while it is stopped", async () => {
    await tailer.stop();
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    tailer = make({
      open: async (name) => {
        await held;
        return stores.open(name);
      },
      destroy: (name) => stores.destroy(name),
    });
    const starting = tailer.start();
    await settle();
    const stopping = tailer.stop();
    release();
    await expect(starting).rejects.toThrow(ClosedError);
    await stopping;
    await (await stores.open("history-1")).close(); // It would be locked.
  });

  it("is made anew when the log is another one, or is damaged", async () => {
    await record(1, started());
    await tailer.stop();
    w.log.inner.deleteTopic(TOPICS.history);
    await w.log.ensureTopics([{ name: TOPICS.history, partitions: PARTITIONS, policy: "delete", retentionMs: DAY_MS }]);
    tailer = make();
    await tailer.start();
    expect(await tailer.store.run(runId)).toBeNull();
    await record(1, started());
    await tailer.stop();
    let isDamaged = true;
    const damaged: StoreFactory = {
      open: (name) => (isDamaged ? Promise.reject(new StateCorruptedError("checksum")) : stores.open(name)),
      destroy: async (name) => {
        isDamaged = false;
        await stores.destroy(name);
      },
    };
    tailer = make(damaged);
    await tailer.start();
    expect((await tailer.store.run(runId))?.summary.status).toBe("Running");
  });

  it("drops runs that ended longer ago than the retention, and nothing else", async () => {
    const other = runOn1("shop/other", "e2");
    const alive = runOn1("shop/alive", "e3");
    await record(1, started(), dispatched);
    await record(2, completed, {
      ...started(),
      runId: alive,
      functionId: "shop/alive",
      eventId: "e3",
    } as HistoryEntry);
    w.clock.advance(6 * DAY_MS);
    await record(3, { ...started(), runId: other, functionId: "shop/other", eventId: "e2" } as HistoryEntry);
    await record(4, { ...completed, runId: other, functionId: "shop/other" });
    expect(await lookup.runById(runId)).not.toBeNull();
    w.clock.advance(DAY_MS + 1);
    await record(5, { ...dispatched, runId: alive, functionId: "shop/alive" });
    expect(await lookup.runById(runId)).toBeNull();
    expect(await runsOfEvent("e1")).toEqual([]);
    expect(await timeline()).toEqual([]);
    expect(await lookup.runById(other)).toMatchObject({ status: "Completed" });
    expect(await lookup.runById(alive)).toMatchObject({ status: "Running" });
  });

  it("does not keep a run longer because its end was sent again", async () => {
    await record(1, started());
    await record(2, completed);
    w.clock.advance(6 * DAY_MS);
    await record(2, completed);
    w.clock.advance(DAY_MS + 1);
    await record(3, { ...dispatched, runId: runOn1("shop/other"), functionId: "shop/other" });
    expect(await lookup.runById(runId)).toBeNull();
  });

  it("keeps a run that started again, and ended again, although its former life is over the retention", async () => {
    await record(1, started());
    await record(2, completed);
    w.clock.advance(6 * DAY_MS);
    await record(3, started(3_000));
    w.clock.advance(2 * DAY_MS);
    await record(4, dispatched);
    expect(await lookup.runById(runId)).toMatchObject({ status: "Running" });
    await record(5, completed);
    w.clock.advance(6 * DAY_MS);
    await record(6, { ...dispatched, runId: runOn1("shop/other"), functionId: "shop/other" });
    expect(await lookup.runById(runId)).toMatchObject({ status: "Completed" });
  });

  it("keeps a run whose two ends are both still there", async () => {
    await record(1, started());
    await record(2, completed);
    w.clock.advance(DAY_MS);
    await record(3, started(3_000));
    await record(4, completed);
    w.clock.advance(6 * DAY_MS + 1);
    await record(5, { ...dispatched, runId: runOn1("shop/other"), functionId: "shop/other" });
    expect(await lookup.runById(runId)).toMatchObject({ status: "Completed" });
  });

  it("shows the end of a run whose start was deleted before it was read", async () => {
    await record(5, completed);
    expect(await lookup.runById(runId)).toMatchObject({ status: "Completed", output: "done", event_id: "" });
  });

  it("leaves out what does not decode and goes on", async () => {
    await w.log.append(TOPICS.history, 1, [{ key: "x", value: new Uint8Array([9, 9, 9]) }]);
    await record(1, started());
    expect(await lookup.runById(runId)).toMatchObject({ status: "Running" });
    expect(w.logger.lines.filter(({ level }) => level === "error")).toHaveLength(1);
  });
});
