import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BadRecordError, TransientError } from "../../../clients/src/errors/codes.js";
import { BATCH_BYTES_MAX } from "../../../clients/src/send/inbox-lanes.js";
import type { NewRecord } from "../../../clients/src/ports/log.js";
import { recordsOf, settle, TOPICS, until, world, type World } from "./fixtures.js";

const record = (key: string, bytes = 1): NewRecord => ({ key, value: new Uint8Array(bytes) });
const keys = (records: readonly NewRecord[]): string[] => records.map(({ key }) => key as string);

describe("inbox lanes", () => {
  let w: World;
  beforeEach(async () => {
    w = await world();
  });
  afterEach(() => w.close());

  const stored = async (partition: number): Promise<string[]> => keys(await recordsOf(w.log, TOPICS.inbox, partition));

  /** Holds appends until released; what was held goes on then. */
  function hold(): () => void {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    w.log.beforeAppend = () => held;
    return () => {
      w.log.beforeAppend = () => undefined;
      release();
    };
  }

  it("sends the first record at once and gathers what comes while it is under way", async () => {
    const release = hold();
    const calls = ["a", "b", "c", "d"].map((key) => w.lanes.append(1, [record(key)]));
    await settle();
    release();
    await Promise.all(calls);
    expect(w.log.appends.map(({ records }) => keys(records))).toEqual([["a"], ["b", "c", "d"]]);
  });

  it("keeps lanes apart: one that is held holds nobody else", async () => {
    w.log.beforeAppend = ({ partition }) => (partition === 0 ? new Promise(() => undefined) : undefined);
    void w.lanes.append(0, [record("held")]);
    await w.lanes.append(1, [record("free")]);
    expect(await stored(1)).toEqual(["free"]);
    expect(await stored(0)).toEqual([]);
    // A fresh world: closing this one would wait for the held append.
    w = await world();
  });

  it("keeps batches of several records below 900 KiB, and a larger record alone", async () => {
    const kib = 1_024;
    await w.lanes.append(0, [
      record("a", 500 * kib),
      record("b", 399 * kib),
      record("c", 300 * kib),
      record("big", 2_000 * kib),
      record("d", 1),
    ]);
    expect(w.log.appends.map(({ records }) => keys(records))).toEqual([["a", "b"], ["c"], ["big"], ["d"]]);
    for (const { records } of w.log.appends) {
      const bytes = records.reduce((sum, { value }) => sum + (value?.byteLength ?? 0), 0);
      expect(records.length === 1 || bytes < BATCH_BYTES_MAX).toBe(true);
    }
  });

  it("tries again after a transient error, in order", async () => {
    let failures = 2;
    w.log.beforeAppend = () => {
      if (failures-- > 0) throw new TransientError("not now");
    };
    const calls = Promise.all([w.lanes.append(0, [record("a"), record("b")]), w.lanes.append(0, [record("c")])]);
    await until("both pauses", () => {
      w.clock.advance(100);
      return w.log.appends.length > 0;
    });
    await calls;
    expect(await stored(0)).toEqual(["a", "b", "c"]);
  });

  it("gives up after a bounded time, stores no later record of the failed call, and goes on", async () => {
    w.log.beforeAppend = ({ records }) => {
      if (keys(records).includes("b1")) throw new TransientError("not now");
    };
    const kib800 = 800 * 1_024;
    const first = w.lanes.append(0, [record("a")]);
    const failing = w.lanes.append(0, [record("b1", kib800), record("b2", kib800), record("b3")]);
    const failed = expect(failing).rejects.toThrow(TransientError);
    const after = w.lanes.append(0, [record("c")]);
    let isOver = false;
    void failed.then(() => (isOver = true));
    const startMs = w.clock.nowMs();
    await until("the call fails", () => {
      w.clock.advance(100);
      return isOver;
    });
    await failed;
    expect(w.clock.nowMs() - startMs).toBeLessThan(60_000);
    await Promise.all([first, after]);
    expect(await stored(0)).toEqual(["a", "c"]);
  });

  it("tries a call only as long as it is permitted, and its neighbours go on without it", async () => {
    let permits = 1;
    const release = hold();
    const first = w.lanes.append(0, [record("first")]);
    const permit = (): void => {
      if (permits-- === 0) throw new TransientError("too late");
    };
    const late = expect(w.lanes.append(0, [record("late"), record("later")], permit)).rejects.toThrow("too late");
    const other = w.lanes.append(0, [record("other")]);
    release();
    w.log.beforeAppend = ({ records }) => {
      if (keys(records).includes("late")) throw new TransientError("not now");
    };
    await first;
    await until("the second try", () => {
      w.clock.advance(100);
      return permits < 0;
    });
    await Promise.all([late, other]);
    expect(await stored(0)).toEqual(["first", "other"]);
    await w.lanes.append(0, [record("next")], () => Promise.resolve());
    expect(await stored(0)).toEqual(["first", "other", "next"]);
  });

  it("does not send what may not be sent even once", async () => {
    const permit = (): Promise<void> => Promise.reject(new TransientError("too late"));
    await expect(w.lanes.append(0, [record("a")], permit)).rejects.toThrow("too late");
    expect(w.log.appends).toEqual([]);
    // What it held is given back.
    for (let i = 0; i < 300; i += 1) {
      await expect(w.lanes.append(0, [record("a", 1_048_576)], permit)).rejects.toThrow("too late");
    }
  });

  it("does not ask a log again that has been trying for long by itself", async () => {
    let tries = 0;
    w.log.beforeAppend = () => {
      tries += 1;
      w.clock.advance(15_000);
      throw new TransientError("no broker answered for 15 s");
    };
    await expect(w.lanes.append(0, [record("a")])).rejects.toThrow(TransientError);
    expect(tries).toBe(1);
  });

  it("hands on a failure of a log that has tried for long by itself, to those who waited behind too", async () => {
    let asked = 0;
    w.log.beforeAppend = () => {
      asked += 1;
      w.clock.advance(10_000);
      throw new TransientError("brokers are away");
    };
    const calls = [w.lanes.append(0, [record("first")]), w.lanes.append(0, [record("behind")])];
    for (const call of calls) await expect(call).rejects.toThrow(TransientError);
    expect(asked).toBe(2);
  });

  it("does not let one bad record fail the calls that shared its batch", async () => {
    const release = hold();
    const first = w.lanes.append(0, [record("first")]);
    const good = w.lanes.append(0, [record("good")]);
    const bad = w.lanes.append(0, [{ key: "bad", value: null }]);
    const alsoGood = w.lanes.append(0, [record("also good")]);
    release();
    await expect(bad).rejects.toThrow(BadRecordError);
    await Promise.all([first, good, alsoGood]);
    expect(await stored(0)).toEqual(["first", "good", "also good"]);
  });

  it("refuses more than it may hold, and takes calls again when that has gone out", async () => {
    const release = hold();
    const mib64 = 64 * 1_048_576;
    const big = new Uint8Array(mib64 / 2);
    const calls = Array.from({ length: 7 }, (_, i) => w.lanes.append(0, [{ key: `k${i}`, value: big }]));
    await expect(w.lanes.append(1, [{ key: "x", value: new Uint8Array(mib64) }])).rejects.toThrow(TransientError);
    release();
    await Promise.all(calls);
    await w.lanes.append(1, [{ key: "y", value: big }]);
  });

  it("settles what is under way when it closes, and takes nothing more", async () => {
    const release = hold();
    const call = w.lanes.append(2, [record("a")]);
    const closing = w.lanes.close();
    await expect(w.lanes.append(2, [record("b")])).rejects.toThrow(TransientError);
    release();
    await Promise.all([call, closing]);
    expect(await stored(2)).toEqual(["a"]);
  });
});
