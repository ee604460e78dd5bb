import { describe, expect, it } from "vitest";
import { ManualClock, SystemClock } from "../../src/adapters/memory/index.js";

/** Lets everything that is ready to run, run. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("manual clock", () => {
  it("wakes sleepers when time is moved: at their time, not before, in order", async () => {
    const clock = new ManualClock(1_000);
    const woken: string[] = [];
    const sleep = (name: string, ms: number): void => void clock.sleep(ms).then(() => woken.push(name));
    sleep("late", 30);
    sleep("first", 10);
    sleep("second", 10);
    expect(clock.nextDueAtMs).toBe(1_010);
    clock.advance(9);
    await settle();
    expect(woken).toEqual([]);
    clock.advance(1);
    await settle();
    expect(woken).toEqual(["first", "second"]);
    clock.set(2_000);
    await settle();
    expect(woken).toEqual(["first", "second", "late"]);
    expect(clock.nextDueAtMs).toBeNull();
    expect(clock.nowMs()).toBe(2_000);
  });
  it("ends a sleep on abort, and one of no length at once", async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const aborted = clock.sleep(1_000, stop.signal);
    stop.abort();
    await Promise.all([aborted, clock.sleep(0), clock.sleep(-1), clock.sleep(5, stop.signal)]);
    expect(clock.nextDueAtMs).toBeNull();
  });
});

describe("system clock", () => {
  it("tells the machine's time and sleeps at least as long as asked, short of a timer's millisecond", async () => {
    const clock = new SystemClock();
    const before = performance.now();
    await clock.sleep(20);
    expect(performance.now() - before).toBeGreaterThanOrEqual(19);
    expect(Math.abs(clock.nowMs() - Date.now())).toBeLessThan(1_000);
  });
  it("ends a sleep on abort, even one longer than a timer of Node can be", async () => {
    const clock = new SystemClock();
    const stop = new AbortController();
    const sleeps = [clock.sleep(400 * 86_400_000, stop.signal), clock.sleep(10_000, stop.signal)];
    stop.abort();
    await Promise.all([...sleeps, clock.sleep(10_000, stop.signal), clock.sleep(0)]);
  });
});
