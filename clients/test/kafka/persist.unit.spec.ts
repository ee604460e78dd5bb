import { beforeEach, describe, expect, it } from "vitest";
import { BrokerError } from "../../src/kafka/kafka-errors.js";
import type { Verdict } from "../../src/kafka/kafka-errors.js";
import { persist } from "../../src/kafka/persist.js";
import { FencedError, TransientError } from "../../src/errors/codes.js";
import type { Clock } from "../../src/ports/clock.js";

const NOT_LEADER = 6;
const CONCURRENT_TRANSACTIONS = 51;
const PRODUCER_FENCED = 47;

/** Sleeping moves the time. */
class SleepingClock implements Clock {
  readonly slept: number[] = [];
  #nowMs = 0;
  nowMs(): number {
    return this.#nowMs;
  }
  async sleep(ms: number): Promise<void> {
    this.slept.push(ms);
    this.#nowMs += ms;
  }
}

describe("persistence", () => {
  let clock: SleepingClock;
  let stop: AbortController;
  let refreshed: Verdict[];
  beforeEach(() => {
    clock = new SleepingClock();
    stop = new AbortController();
    refreshed = [];
  });
  const attempt = <T>(action: (no: number) => Promise<T>): Promise<T> => {
    const refresh = async (verdict: Verdict): Promise<void> => void refreshed.push(verdict);
    const failing = { doing: "do it", fields: { topic: "t" } };
    return persist({ ...failing, clock, patienceMs: 1_000, signal: stop.signal, refresh }, action);
  };
  const failingTimes = (times: number, code: number) => async (no: number) => {
    if (no <= times) throw new BrokerError(code);
    return `done at ${no}`;
  };

  it("gives what the first try gives", async () => {
    expect(await attempt(failingTimes(0, 0))).toBe("done at 1");
    expect([clock.slept, refreshed]).toEqual([[], []]);
  });
  it("tries again soon, then ever more slowly (KAFKA.md, 3)", async () => {
    expect(await attempt(failingTimes(4, CONCURRENT_TRANSACTIONS))).toBe("done at 5");
    expect(clock.slept).toEqual([5, 10, 20, 40]);
  });
  it("looks up what may have changed before each further try", async () => {
    await attempt(failingTimes(2, NOT_LEADER));
    expect(refreshed).toEqual(["leader", "leader"]);
  });
  it("ends with TransientError when its patience does", async () => {
    const failure = await attempt(failingTimes(Infinity, NOT_LEADER)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(TransientError);
    expect(failure).toMatchObject({ fields: { topic: "t" } });
    expect(clock.nowMs()).toBeLessThanOrEqual(1_000);
    expect(clock.nowMs()).toBeGreaterThan(400);
  });
  it("ends at once with what does not pass", async () => {
    await expect(attempt(failingTimes(1, PRODUCER_FENCED))).rejects.toThrow(FencedError);
    expect(clock.slept).toEqual([]);
  });
  it("counts a look-up that fails as a try", async () => {
    let lookups = 0;
    const refresh = async (): Promise<void> => {
      lookups += 1;
      if (lookups < 3) throw new BrokerError(NOT_LEADER);
    };
    let tries = 0;
    const policy = { doing: "do it", fields: {}, clock, patienceMs: 1_000, signal: stop.signal, refresh };
    await persist(policy, async () => {
      tries += 1;
      if (tries === 1) throw new BrokerError(NOT_LEADER);
    });
    expect([lookups, tries]).toEqual([3, 2]);
  });
  it("stops when it is called off", async () => {
    const tries: number[] = [];
    const going = attempt(async (no) => {
      tries.push(no);
      stop.abort();
      throw new BrokerError(NOT_LEADER);
    });
    await expect(going).rejects.toThrow(TransientError);
    expect(tries).toEqual([1]);
  });
});
