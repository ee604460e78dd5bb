import {
  decodeDeadLetter,
  decodeInbox,
  decodeRegistry,
  decodeSignal,
  decodeStepRequest,
  encodeInbox,
  LIMITS,
} from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { heldLog } from "./held-ports.js";
import { toyCore } from "./toy-core.js";
import { settle, T0, topics, until, World } from "./world.js";

const raw = (...bytes: number[]): Uint8Array => new Uint8Array(bytes);

describe("records that do not decode", () => {
  it("go to the dead letter topic with reason, offset and cause, and the partition goes on (G8)", async () => {
    const world = await World.make(6);
    const bad = [raw(), raw(99, 0, 0), raw(1, 77, 0x90), raw(1, 0, 0xc1)];
    await world.log.append(topics.inbox, 5, [
      { key: null, value: encodeInbox({ kind: "tick" }) },
      ...bad.map((value) => ({ key: "k", value })),
    ]);
    await world.append(1, { kind: "advance", ms: 7 }, 5);
    const task = await world.started({ partition: 5 });
    await world.applied(task, 5);
    await task.stop();
    expect(task.time().advanceMs).toBe(0);
    const letters = await world.records(topics.dlq, 1);
    expect(letters.map(({ key, value }) => ({ key, ...decodeDeadLetter(value ?? raw()) }))).toEqual(
      bad.map((value, i) => ({
        key: "k",
        reason: expect.any(String) as string,
        topic: topics.inbox,
        partition: 5,
        offset: i + 1,
        atMs: T0,
        value,
      })),
    );
    const reasons = letters.map(({ value }) => decodeDeadLetter(value ?? raw()).reason);
    expect(reasons[0]).toContain("at least 2 bytes");
    expect(reasons[1]).toContain("codec version 99");
    expect(reasons[2]).toContain("record kind 77");
    expect(world.logged.of("warn")).toHaveLength(4);
    expect((await world.checkpoints(5)).at(-1)).toMatchObject({ nextOffset: 6 });
  });

  it("fit the log as letters, however large they are and their keys (G8)", async () => {
    const world = await World.make();
    const large = new Uint8Array(6 * 1_048_576 - 100_000).fill(9);
    const key = "é".repeat(40_000);
    await world.log.append(topics.inbox, 0, [{ key, value: large }]);
    const task = await world.started();
    await world.applied(task);
    await task.stop();
    const [letter] = await world.records(topics.dlq, 0);
    expect(letter?.key).toBeNull();
    expect(letter?.value?.byteLength).toBeLessThanOrEqual(LIMITS.recordBytesMax);
    const { reason, value } = decodeDeadLetter(letter?.value ?? raw());
    expect(reason).toContain(`the first ${value.byteLength} of ${large.byteLength} bytes`);
    expect(reason).toContain("without its key of 40000 characters");
  });

  it("count as an effect: the timers before them come first, and a checkpoint waits for the letter", async () => {
    const world = await World.make();
    const { log, held, release, committed } = heldLog(world);
    await world.send(0, { do: "sleep", run: "a", ms: [5] });
    world.clock.advance(5);
    await world.log.append(topics.inbox, 0, [{ key: null, value: raw(9) }]);
    held.add(topics.dlq);
    const task = await world.started({ log });
    await world.applied(task);
    world.clock.advance(2_000);
    await settle();
    expect(committed).toHaveLength(1);
    release();
    await until("a checkpoint", () => committed.length === 2);
    expect(await world.history()).toMatchObject([{ cause: "0.0" }, { cause: "1.0", what: `timer 0 ${T0 + 5}` }]);
    await task.stop();
  });
});

describe("effects", () => {
  it("reach their topics with key, cause and partition, in order", async () => {
    const world = await World.make(3);
    await world.append(0, { kind: "tick" }, 2);
    const { command } = await import("./toy-core.js");
    await world.log.append(topics.inbox, 2, [{ key: null, value: command({ do: "emit", n: 2, to: 1 }) }]);
    const task = await world.started({ partition: 2 });
    await world.applied(task, 2);
    await task.stop();
    const bytes = (value: Uint8Array | null): Uint8Array => value ?? raw();
    const requests = await world.records(topics.steps("app"), 2);
    expect(requests.map(({ key, value }) => [key, decodeStepRequest(bytes(value)).cause])).toEqual([
      ["run-1-0", { offset: 1, index: 0 }],
      ["run-1-1", { offset: 1, index: 5 }],
    ]);
    const signals = await world.records(topics.signals("app"), 0);
    expect(signals.map(({ key, value }) => [key, decodeSignal(bytes(value))])).toEqual([
      [null, { cause: { offset: 1, index: 1 }, body: { kind: "abort", runId: "run-1-0" } }],
      [null, { cause: { offset: 1, index: 6 }, body: { kind: "abort", runId: "run-1-1" } }],
    ]);
    const inbox = await world.records(topics.inbox, 1);
    expect(inbox.map(({ key, value }) => [key, decodeInbox(bytes(value))])).toEqual([
      [null, { kind: "cancel", runId: "run-1-0", reason: "" }],
      [null, { kind: "cancel", runId: "run-1-1", reason: "" }],
    ]);
    const registry = await world.records(topics.registry, 0);
    expect(registry.map(({ key, value }) => [key, decodeRegistry(bytes(value))])).toEqual([
      ["applied/0", { kind: "applied", partition: 2, version: 0 }],
      ["applied/1", { kind: "applied", partition: 2, version: 1 }],
    ]);
    expect((await world.history(2)).map(({ cause, runId }) => [cause, runId])).toEqual([
      ["1.4", "run-1-0"],
      ["1.9", "run-1-1"],
    ]);
    expect((await world.records(topics.history, 2)).map(({ key }) => key)).toEqual(["run-1-0", "run-1-1"]);
  });

  it("are repeated with the same causes and bytes by whoever takes over (G10)", async () => {
    const world = await World.make();
    await world.send(1, { do: "emit", n: 3, to: 0 }, { do: "sleep", run: "a", ms: [10] });
    const first = await world.started();
    await until("applied", () => first.time().processedOffset >= 1);
    await settle();
    const once = await world.records(topics.steps("app"));
    world.stores.crash();
    const second = await world.started();
    await until("applied", () => second.time().processedOffset >= 1);
    await settle();
    const twice = await world.records(topics.steps("app"));
    expect(once).toHaveLength(3);
    expect(twice.slice(3).map(({ key, value }) => [key, value])).toEqual(once.map(({ key, value }) => [key, value]));
    await second.stop();
    await first.stop();
  });
});

describe("rejections", () => {
  it("change nothing; they are logged and counted", async () => {
    const world = await World.make();
    await world.send(1, { do: "end", run: "none" }, { do: "nothing" });
    const task = await world.started();
    await world.applied(task);
    expect(world.logged.of("debug").map(({ fields }) => fields)).toMatchObject([
      { offset: 0, code: "RUN_FINISHED", detail: "none" },
      { offset: 1, code: "REPEATED_RECORD" },
    ]);
    expect(world.meter.counts.get("eddy_rejections_total")).toBe(2);
    await task.stop();
  });
});

describe("a broken invariant", () => {
  it("stops the partition, with input, offset and rows in the log, and saves nothing behind it", async () => {
    const world = await World.make();
    const task = await world.started();
    await world.send(1, { do: "sleep", run: "a", ms: [50_000], big: 33 });
    await world.applied(task);
    await world.send(1, { do: "throw" });
    await task.closed;
    expect(task.status).toBe("failed");
    expect(task.failure).toMatchObject({ code: "INVARIANT_VIOLATION", cause: { message: "planned" } });
    const [line] = world.logged.of("error");
    expect(line?.fields).toMatchObject({
      offset: 1,
      partition: 0,
      input: { kind: "event", payload: "<14 bytes>" },
      rows: { p: { advanceMs: 0 }, f: { version: 0 } },
    });
    await task.stop();
    expect(await world.checkpoints()).toMatchObject([{ nextOffset: 0 }]);
    await (await world.stores.open("state-0")).close();
  });

  it("names the run that it is about, and its function", async () => {
    const world = await World.make();
    const decide: typeof toyCore.decide = (view, input, moment) => {
      if (input.kind === "timerDue") throw new Error("planned");
      return toyCore.decide(view, input, moment);
    };
    const task = await world.started({ core: { ...toyCore, decide } });
    await world.send(1, { do: "sleep", run: "a", ms: [10] });
    await world.applied(task);
    await world.send(20, { do: "nothing" });
    await task.closed;
    expect(world.logged.of("error")[0]?.fields).toMatchObject({ offset: 1, runId: "a", functionId: "app/f" });
  });

  it("is also a read plan that does not end", async () => {
    const world = await World.make();
    const task = await world.started();
    await world.send(1, { do: "chain", run: "c", depth: 5 });
    await world.applied(task);
    await world.send(1, { do: "chain", run: "d", depth: 9 });
    await task.closed;
    expect(task.failure?.message).toContain("a read plan ends within 8 rounds");
  });

  it("is also a read that the plan did not name", async () => {
    const world = await World.make();
    const task = await world.started({ core: { ...toyCore, readPlan: () => [] } });
    await world.send(1, { do: "sleep", run: "a", ms: [1] });
    await task.closed;
    expect(task.failure?.message).toContain("a row is read before it is changed");
  });
});

describe("a log whose clock is ahead", () => {
  it("halts the partition rather than fire timers early (G1)", async () => {
    const world = await World.make();
    await world.send(0, { do: "sleep", run: "a", ms: [40_000] });
    const task = await world.started();
    await world.applied(task);
    world.clock.advance(30_001);
    const later = world.log.append(topics.inbox, 0, [{ key: null, value: encodeInbox({ kind: "tick" }) }]);
    world.clock.advance(-30_001);
    await later;
    await task.closed;
    expect(task.failure).toMatchObject({ code: "CLOCK_AHEAD", fields: { aheadMs: 30_001, offset: 1 } });
    expect(await world.history()).toHaveLength(1);
  });

  it.each([
    [30_000, 30_000],
    [1_000_000, Infinity],
  ])("goes on at %i ms with a limit of %i", async (aheadMs, clockAheadMsMax) => {
    const world = await World.make();
    const task = await world.started({ options: { clockAheadMsMax } });
    world.clock.advance(aheadMs);
    const later = world.log.append(topics.inbox, 0, [{ key: null, value: encodeInbox({ kind: "tick" }) }]);
    world.clock.advance(-aheadMs);
    await later;
    await world.applied(task);
    expect(task.time().rawMs).toBe(T0 + aheadMs);
    await task.stop();
  });
});

describe("runState", () => {
  it("answers from memory and from the store, for the invocation asked for alone", async () => {
    const world = await World.make();
    const task = await world.started({ options: { cacheBytesMax: 1 } });
    await world.send(1, { do: "lease", run: "a", ms: 50_000 }, { do: "sleep", run: "b", ms: [1], big: 5 });
    await world.applied(task);
    const expected = { runId: "a", invocation: 1, event: raw(), memo: [] };
    expect(await task.runState("a", 1)).toEqual(expected);
    await expect(task.runState("a", 2)).rejects.toMatchObject({ code: "TRANSIENT" });
    expect(await task.runState("a", 0)).toBe(null);
    expect(await task.runState("b", 0)).toMatchObject({ event: raw(0, 0, 0, 0, 0) });
    expect(await task.runState("none", 1)).toBe(null);
    world.clock.advance(2_000);
    await until("saved", async () => (await world.checkpoints()).length > 0);
    await settle();
    expect(await task.runState("a", 1)).toEqual(expected);
    await world.send(1, { do: "end", run: "a" });
    await world.applied(task);
    expect(await task.runState("a", 1)).toBe(null);
    await task.stop();
    await expect(task.runState("a", 1)).rejects.toMatchObject({ code: "TRANSIENT" });
  });

  it("does not take another run of the same base for the one asked for", async () => {
    const world = await World.make();
    const task = await world.started();
    const base = "b".repeat(29);
    await world.send(1, { do: "lease", run: `${base}1`, ms: 50_000 });
    await world.applied(task);
    expect(await task.runState(`${base}1`, 1)).toMatchObject({ runId: `${base}1` });
    expect(await task.runState(`${base}2`, 1)).toBe(null);
    expect(await task.runState(`${base}2`, 2)).toBe(null);
    await task.stop();
  });

  it("does not answer before everything that a former owner may have applied is applied again", async () => {
    const world = await World.make();
    const { log, held } = heldLog(world);
    for (let n = 0; n < 50; n++) await world.send(0, { do: "sleep", run: `r${n}`, ms: [50_000] });
    held.add(topics.history);
    const task = await world.started({ log, options: { changedRowsMax: 10 } });
    await settle();
    await expect(task.runState("r0", 0)).rejects.toMatchObject({ code: "TRANSIENT" });
  });
});
