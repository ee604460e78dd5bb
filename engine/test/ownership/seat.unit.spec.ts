/** One seat with a task and a history that end when a test says so. */
import { beforeEach, describe, expect, it } from "vitest";
import { ManualClock, MemoryLog } from "../../src/adapters/memory/index.js";
import { Seat, type OwnedHistory, type OwnedTask } from "../../src/ownership/seat.js";
import { Turns } from "../../src/ownership/turns.js";
import { deferred, type Deferred } from "../../src/partition/deferred.js";
import { FencedError, InvariantViolation, TransientError } from "../../../clients/src/errors/codes.js";
import type { Meter } from "../../../clients/src/ports/meter.js";
import { settle } from "../gateway/fixtures.js";
import { Logged, T0, topics, testTopicSpecs, until } from "../partition/world.js";

class FakeTask implements OwnedTask {
  status: OwnedTask["status"] = "idle";
  failure: Error | null = null;
  processedOffset = -1;
  stops = 0;
  readonly #started: Deferred = deferred();
  readonly #closed: Deferred = deferred();

  get closed(): Promise<void> {
    return this.#closed.promise;
  }
  start(): Promise<void> {
    this.status = "starting";
    return this.#started.promise;
  }
  /** Restored and consuming. */
  run(): void {
    this.status = "running";
    this.#started.resolve();
  }
  stop(): Promise<void> {
    this.stops += 1;
    return this.closed;
  }
  end(failure: Error | null = null): void {
    this.failure = failure;
    this.status = failure === null ? "stopped" : "failed";
    this.#started.reject(failure ?? new Error("stopped"));
    this.#closed.resolve();
  }
  hasSettled(before: number): boolean {
    return this.processedOffset >= before - 1;
  }
  time(): { rawMs: number; advanceMs: number; processedOffset: number } {
    return { rawMs: 0, advanceMs: 7, processedOffset: this.processedOffset };
  }
  figures(): null {
    return null;
  }
  runState(): Promise<null> {
    return Promise.resolve(null);
  }
  isCurrent(): Promise<boolean> {
    return Promise.resolve(false);
  }
}

class FakeHistory implements OwnedHistory {
  isCaughtUp = false;
  failure: Error | null = null;
  isStopped = false;
  readonly starting: Deferred = deferred();

  get store(): never {
    throw new TransientError("not in this test");
  }
  upToDate(): Promise<never> {
    return Promise.reject(new TransientError("not in this test"));
  }
  event(): Promise<never> {
    return Promise.reject(new TransientError("not in this test"));
  }
  async start(): Promise<void> {
    await this.starting.promise;
    this.isCaughtUp = true;
  }
  stop(): Promise<void> {
    this.isStopped = true;
    this.starting.reject(new TransientError("stopped"));
    return Promise.resolve();
  }
}

class Observed implements Meter {
  readonly seen: [name: string, value: number][] = [];
  count(): void {}
  observe(name: string, value: number): void {
    this.seen.push([name, value]);
  }
  gauge(): void {}
}

describe("a seat", () => {
  let clock: ManualClock;
  let log: MemoryLog;
  let logger: Logged;
  let meter: Observed;
  let tasks: FakeTask[];
  let histories: FakeHistory[];
  let asked: number;
  let isStillOurs: boolean;
  let seat: Seat;

  function makeSeat(takeovers = new Turns(4), isShared = true): Seat {
    return new Seat({
      partition: 0,
      log,
      clock,
      logger,
      meter,
      inbox: topics.inbox,
      takeovers,
      rebuilds: new Turns(4),
      isShared,
      makeTask: () => added(tasks, new FakeTask()),
      makeHistory: () => added(histories, new FakeHistory()),
      isStillOurs: () => {
        asked += 1;
        return Promise.resolve(isStillOurs);
      },
    });
  }

  beforeEach(async () => {
    clock = new ManualClock(T0);
    log = new MemoryLog(clock);
    await log.ensureTopics(testTopicSpecs(1));
    [logger, meter, tasks, histories, asked, isStillOurs] = [new Logged(), new Observed(), [], [], 0, true];
    seat = makeSeat();
  });

  const task = (n = 0): FakeTask => tasks[n] as FakeTask;
  const tick = async (ms = 5): Promise<void> => {
    clock.advance(ms);
    await settle();
  };
  async function running(): Promise<void> {
    seat.assign();
    await until("a task and a history", () => tasks.length > 0 && histories.length > 0);
    task(-1 + tasks.length).run();
    histories.at(-1)?.starting.resolve();
    await until("settled", () => seat.isSettled);
  }

  it("is empty until it is assigned, then taken over, then running", async () => {
    expect([seat.isOurs, seat.task, seat.history, seat.problems]).toEqual([false, null, null, []]);
    seat.assign();
    await until("a task", () => tasks.length === 1);
    expect(seat.problems).toEqual(["partition 0: is being taken over", "history 0: is being read"]);
    expect(seat.reading().status).toBe("starting");
    task().run();
    histories[0]?.starting.resolve();
    await until("running", () => seat.isSettled);
    expect(seat.problems).toEqual([]);
    expect(seat.reading()).toEqual({ partition: 0, status: "running", advanceMs: 7, processedOffset: -1 });
  });

  it("runs only once all that the inbox held is applied, and says how long nothing was", async () => {
    await log.append(topics.inbox, 0, [{ key: null, value: new Uint8Array([1]) }]);
    clock.advance(2_000);
    seat.assign();
    await until("a task", () => tasks.length === 1);
    clock.advance(500);
    task().run();
    await settle();
    expect(seat.reading().status).toBe("starting");
    task().processedOffset = 0;
    await tick(5);
    expect(seat.reading().status).toBe("running");
    expect(logger.of("info")).toEqual([
      { level: "info", fields: { partition: 0, stalledMs: 2_505 }, message: "partition taken over" },
    ]);
    expect(meter.seen).toEqual([["eddy_takeover_seconds", 2.505]]);
  });

  it("says what is decided while it runs, nothing during a takeover, and all is once it has failed", async () => {
    seat.assign();
    await until("a task", () => tasks.length === 1);
    expect(() => seat.hasSettled(0)).toThrow(TransientError);
    await running();
    task().processedOffset = 4;
    expect([seat.hasSettled(5), seat.hasSettled(6)]).toEqual([true, false]);
    task().end(new Error("a bug"));
    await until("failed", () => seat.reading().status === "failed");
    expect(seat.hasSettled(6)).toBe(true);
    seat.lose();
    expect(() => seat.hasSettled(0)).toThrow(TransientError);
  });

  it("counts from the assignment where nothing waited, and says nothing where partitions never move", async () => {
    seat = makeSeat(new Turns(1), false);
    seat.assign();
    await until("a task", () => tasks.length === 1);
    clock.advance(300);
    task().run();
    await until("taken over", () => meter.seen.length === 1);
    expect(meter.seen).toEqual([["eddy_takeover_seconds", 0.3]]);
    expect(logger.lines).toEqual([]);
  });

  it("leaves a task that stays alone", async () => {
    await running();
    seat.assign();
    await tick(1_000);
    expect(tasks).toHaveLength(1);
    expect(task().stops).toBe(0);
  });

  it("stops what it loses, and answers nothing from it", async () => {
    await running();
    seat.lose();
    expect([seat.isOurs, seat.task, seat.history, seat.problems]).toEqual([false, null, null, []]);
    let isEmpty = false;
    void seat.empty().then(() => (isEmpty = true));
    await settle();
    expect(task().stops).toBe(1);
    expect(isEmpty).toBe(false);
    task().end();
    await until("empty", () => isEmpty);
    expect(histories[0]?.isStopped).toBe(true);
  });

  it("waits for the old task of a partition that comes back while it closes", async () => {
    await running();
    seat.lose();
    seat.assign();
    await tick(10_000);
    expect(tasks).toHaveLength(1);
    task().end();
    await until("the next one", () => tasks.length === 2);
    expect(histories).toHaveLength(2);
    expect(histories[0]?.isStopped).toBe(true);
  });

  it("takes nothing over that it got and lost while the old task closed", async () => {
    await running();
    seat.lose();
    seat.assign();
    seat.lose();
    task().end();
    await seat.empty();
    expect(tasks).toHaveLength(1);
  });

  it("stops a task in the middle of its takeover", async () => {
    seat.assign();
    await until("a task", () => tasks.length === 1);
    seat.lose();
    await settle();
    expect(task().stops).toBe(1);
    task().end();
    await seat.empty();
  });

  it("takes over again after a fence, once the group has confirmed that the partition is ours", async () => {
    await running();
    isStillOurs = false;
    task().end(new FencedError("another one"));
    await settle();
    expect(seat.problems).toEqual(["partition 0: failed: another one"]);
    expect(seat.reading().status).toBe("starting");
    await tick(1_000);
    await tick(1_000);
    expect(asked).toBe(2);
    expect(tasks).toHaveLength(1);
    isStillOurs = true;
    await tick(1_000);
    expect(tasks).toHaveLength(2);
    task(1).run();
    await until("running", () => seat.reading().status === "running");
    expect(seat.problems).toEqual([]);
    expect(histories).toHaveLength(1);
  });

  it("asks no more once it is lost", async () => {
    await running();
    isStillOurs = false;
    task().end(new FencedError("another one"));
    await settle();
    await tick(1_000);
    seat.lose();
    await seat.empty();
    await tick(10_000);
    expect(asked).toBe(1);
    expect(tasks).toHaveLength(1);
  });

  it("takes over again where brokers did not answer for long", async () => {
    await running();
    task().end(new TransientError("no answer"));
    await settle();
    await tick(1_000);
    expect(tasks).toHaveLength(2);
  });

  it("shows a bug until the partition is lost, and does not try again", async () => {
    await running();
    task().end(new InvariantViolation("planted"));
    await tick(60_000);
    expect(tasks).toHaveLength(1);
    expect(seat.problems).toEqual(["partition 0: failed: planted"]);
    expect(seat.reading().status).toBe("failed");
    expect(seat.isSettled).toBe(true);
    seat.lose();
    await seat.empty();
    seat.assign();
    await until("a new task", () => tasks.length === 2);
    expect(seat.problems[0]).toBe("partition 0: is being taken over");
  });

  it("reads the history again where brokers did not answer, and shows what stays", async () => {
    seat.assign();
    await until("a history", () => histories.length === 1);
    histories[0]?.starting.reject(new TransientError("no answer"));
    await settle();
    expect(histories[0]?.isStopped).toBe(true);
    expect(seat.problems).toContain("history 0: no answer");
    await tick(1_000);
    expect(histories).toHaveLength(2);
    histories[1]?.starting.reject(new InvariantViolation("planted"));
    await tick(60_000);
    expect(histories).toHaveLength(2);
    expect(seat.problems).toContain("history 0: planted");
  });

  it("waits for its turn, and gives up waiting when the partition is lost", async () => {
    const turns = new Turns(1);
    const giveBack = await turns.take(new AbortController().signal);
    seat = makeSeat(turns);
    seat.assign();
    await settle();
    expect(tasks).toHaveLength(0);
    seat.lose();
    await seat.empty();
    seat.assign();
    await settle();
    giveBack?.();
    await until("its turn", () => tasks.length === 1);
  });
});

describe("turns", () => {
  it("lets so many in at once, in order, and skips who gave up", async () => {
    const turns = new Turns(2);
    const { signal } = new AbortController();
    const first = await turns.take(signal);
    await turns.take(signal);
    const entered: string[] = [];
    const gone = new AbortController();
    void turns.take(signal).then(() => entered.push("a"));
    void turns.take(gone.signal).then((turn) => entered.push(turn === null ? "gone" : "b"));
    const last = turns.take(signal).then((turn) => {
      entered.push("c");
      return turn;
    });
    await settle();
    expect(entered).toEqual([]);
    gone.abort();
    first?.();
    await settle();
    expect(entered).toEqual(["gone", "a"]);
    first?.();
    expect(await last).not.toBeNull();
    expect(await turns.take(gone.signal)).toBeNull();
  });
});

function added<T>(list: T[], item: T): T {
  list.push(item);
  return item;
}
