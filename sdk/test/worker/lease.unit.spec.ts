import { describe, expect, it } from "vitest";
import { Lease } from "../../src/worker/lease.js";
import { ManualClock } from "../manual-clock.js";

describe("a lease", () => {
  it("lets steps begin while more than a third is left", async () => {
    const clock = new ManualClock();
    const lease = new Lease(clock, 30_000);
    await clock.advance(19_999);
    expect([lease.mayGoOn, lease.leftMs]).toEqual([true, 10_001]);
    await clock.advance(1);
    expect(lease.mayGoOn).toBe(false);
  });

  it("is renewed to a point in time, never back", async () => {
    const clock = new ManualClock();
    const lease = new Lease(clock, 30_000);
    await clock.advance(25_000);
    lease.renew(clock.nowMs() - 5_000);
    lease.renew(clock.nowMs() - 15_000);
    expect(lease.leftMs).toBe(25_000);
  });

  it("that is over stays over, also where nobody has noticed yet", async () => {
    const clock = new ManualClock();
    const lease = new Lease(clock, 30_000);
    await clock.advance(30_000);
    lease.renew(clock.nowMs());
    expect(lease.leftMs).toBe(0);
  });

  it("tells once when it is over, at the renewed time, unless cancelled", async () => {
    const clock = new ManualClock();
    const lease = new Lease(clock, 30_000);
    const cancelled = new Lease(clock, 30_000);
    const lost: string[] = [];
    lease.onLost(() => lost.push("lease"));
    cancelled.onLost(() => lost.push("cancelled"));
    await clock.advance(20_000);
    lease.renew(clock.nowMs());
    cancelled.cancel();
    await clock.advance(29_999);
    expect(lost).toEqual([]);
    await clock.advance(60_000);
    expect([lost, clock.timers]).toEqual([["lease"], 0]);
  });
});
