import { offset, type Cause } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { ManualClock, MemoryLog } from "../../src/adapters/memory/index.js";
import { FencedError, TransientError } from "../../../clients/src/errors/codes.js";
import { EffectSender } from "../../src/partition/effect-sender.js";
import type { Appended, NewRecord } from "../../../clients/src/ports/log.js";
import { NO_METER } from "../../../clients/src/ports/meter.js";
import { settle, until } from "./world.js";

interface Call {
  readonly lane: string;
  readonly keys: string;
  done(): void;
  fail(error: Error): void;
}

/** A sender over a log whose appends a test answers one by one. */
function world(given: { unackedEffectsMax?: number; triesMax?: number } = {}) {
  const clock = new ManualClock();
  const calls: Call[] = [];
  const failures: Error[] = [];
  const log = new MemoryLog(clock);
  log.append = (topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended> =>
    new Promise((resolve, reject) => {
      calls.push({
        lane: `${topic}/${partition}`,
        keys: records.map(({ key }) => key).join(","),
        done: () => resolve({ baseOffset: offset(0), appendTimeMs: 0 }),
        fail: reject,
      });
    });
  const options = { triesMax: 3, unackedEffectsMax: 100, unackedBytesMax: 10_000_000, ...given };
  const onFailure = (error: Error): void => void failures.push(error);
  const sender = new EffectSender({ log, clock, meter: NO_METER, options, onFailure });
  let index = 0;
  return {
    clock,
    calls,
    failures,
    sender,
    send: (key: string, partition = 0, bytes = 1): void => {
      const record = { key, value: new Uint8Array(bytes) };
      sender.enqueue(cause(index++), { topic: "t", partition, record });
    },
    barrier: (key: string): void => {
      const record = { key, value: new Uint8Array(1) };
      sender.enqueue(cause(index++), { topic: "first", partition: 0, record, isBarrier: true });
    },
    lastKeys: () => calls.map(({ lane, keys }) => `${lane} ${keys}`),
  };
}
const cause = (index: number): Cause => ({ offset: offset(7), index });

describe("the sender of effects", () => {
  it("sends nothing before a flush, then each destination's effects as one append, side by side", async () => {
    const { send, sender, lastKeys } = world();
    send("a", 0);
    send("b", 1);
    send("c", 0);
    await settle(2);
    expect(lastKeys()).toEqual([]);
    sender.flush();
    expect(lastKeys()).toEqual(["t/0 a,c", "t/1 b"]);
  });

  it("sends nothing that comes after a barrier before the log has it, and all of it then", async () => {
    const { send, barrier, sender, calls, lastKeys } = world();
    send("a", 0);
    barrier("x");
    send("b", 0);
    send("c", 1);
    barrier("y");
    send("d", 1);
    sender.flush();
    expect(lastKeys()).toEqual(["t/0 a", "first/0 x"]);
    calls[0]?.done();
    await settle(2);
    expect(calls).toHaveLength(2);
    calls[1]?.done();
    await settle(2);
    expect(lastKeys().slice(2).sort()).toEqual(["first/0 y", "t/0 b", "t/1 c"]);
    for (const call of calls.slice(2)) call.done();
    await settle(3);
    expect(lastKeys().slice(5)).toEqual(["t/1 d"]);
  });

  it("gathers what comes while an append is under way, and keeps the order of a destination", async () => {
    const { send, sender, calls, lastKeys } = world();
    send("a");
    sender.flush();
    for (const key of ["b", "c", "d"]) {
      send(key);
      sender.flush();
    }
    expect(lastKeys()).toEqual(["t/0 a"]);
    calls[0]?.done();
    await settle(2);
    expect(lastKeys()).toEqual(["t/0 a", "t/0 b,c,d"]);
  });

  it("does not send the next append before a failed one has succeeded, whatever the outcome was", async () => {
    const { send, sender, calls, lastKeys, clock, failures } = world();
    send("a");
    sender.flush();
    send("b");
    calls[0]?.fail(new TransientError("outcome unknown"));
    await settle(2);
    expect(lastKeys()).toEqual(["t/0 a"]);
    clock.advance(50);
    await settle(2);
    expect(lastKeys()).toEqual(["t/0 a", "t/0 a"]);
    calls[1]?.done();
    await settle(2);
    expect(lastKeys()).toEqual(["t/0 a", "t/0 a", "t/0 b"]);
    expect(failures).toEqual([]);
  });

  it("gives up after its last try, and waits for nothing then", async () => {
    const { send, sender, calls, clock, failures } = world({ triesMax: 3 });
    send("a");
    const acknowledged = sender.cut();
    for (let n = 0; n < 3; n++) {
      await until("a try", () => calls.length === n + 1);
      calls[n]?.fail(new TransientError(`try ${n}`));
      await settle(2);
      clock.advance(10_000);
    }
    await expect(acknowledged).rejects.toThrow("try 2");
    expect(failures.map(({ message }) => message)).toEqual(["try 2"]);
    await expect(sender.room()).rejects.toThrow("try 2");
    send("b", 1);
    sender.flush();
    expect(calls).toHaveLength(3);
  });

  it("gives up at once on anything that a retry does not mend", async () => {
    const { send, sender, calls, failures } = world();
    send("a");
    sender.flush();
    calls[0]?.fail(new FencedError("no"));
    await settle(2);
    expect(failures).toMatchObject([{ code: "FENCED" }]);
  });

  it("resolves a cut when all before it is acknowledged, not waiting for what came after", async () => {
    const { send, sender, calls } = world();
    send("a", 0);
    send("b", 1);
    let done = false;
    const acknowledged = sender.cut().then(() => (done = true));
    send("c", 0);
    send("d", 2);
    sender.flush();
    expect(sender.lowestUnacked()).toEqual(cause(0));
    calls[0]?.done();
    await settle(2);
    expect(done).toBe(false);
    expect(sender.lowestUnacked()).toEqual(cause(1));
    calls[1]?.done();
    await acknowledged;
    expect(sender.lowestUnacked()).toEqual(cause(2));
  });

  it("resolves a cut at once when nothing is under way", async () => {
    await world().sender.cut();
  });

  it("sends at most 900 KiB at a time; a larger record travels alone", async () => {
    const { send, sender, calls, lastKeys } = world();
    const kib = 1_024;
    send("a", 0, 400 * kib);
    send("b", 0, 400 * kib);
    send("c", 0, 200 * kib);
    send("d", 0, 2_000 * kib);
    send("e", 0, 1);
    sender.flush();
    for (let n = 0; n < 4; n++) {
      await until("an append", () => calls.length === n + 1);
      calls[n]?.done();
    }
    expect(lastKeys()).toEqual(["t/0 a,b", "t/0 c", "t/0 d", "t/0 e"]);
  });

  it("is overloaded above its bound, and has room at it again", async () => {
    const { send, sender, calls } = world({ unackedEffectsMax: 2 });
    send("a", 0);
    send("b", 1);
    expect(sender.overloaded).toBe(false);
    send("c", 2);
    expect(sender.overloaded).toBe(true);
    let room = false;
    const waiting = sender.room().then(() => (room = true));
    await settle(2);
    expect(room).toBe(false);
    calls[1]?.done();
    await waiting;
    expect(sender.overloaded).toBe(false);
  });

  it("closes when what is under way has ended, and starts nothing more", async () => {
    const { send, sender, calls } = world();
    send("a");
    const acknowledged = sender.cut();
    send("b");
    let closed = false;
    const closing = sender.close().then(() => (closed = true));
    await expect(acknowledged).rejects.toMatchObject({ code: "CLOSED" });
    await settle(2);
    expect(closed).toBe(false);
    calls[0]?.done();
    await closing;
    expect(calls).toHaveLength(1);
  });

  it("gives appends few tries once the task is stopping", async () => {
    const { send, sender, calls, clock, failures } = world({ triesMax: 1_000 });
    send("a");
    sender.flush();
    sender.hurry();
    for (let n = 0; n < 3; n++) {
      await until("a try", () => calls.length === n + 1);
      calls[n]?.fail(new TransientError("no"));
      await settle(2);
      clock.advance(10_000);
    }
    expect(failures).toHaveLength(1);
  });
});
