/** The small drill: two engine and two worker processes on one broker, an engine and a worker are killed. */
import { expect, inject, it } from "vitest";
import { failover, killedEngine, killedWorker } from "./drills/failover.js";

it("300 runs end as they should, although an engine and a worker are killed with -9", async () => {
  const options = {
    name: "failover-small",
    dev: true,
    engines: 2,
    workers: ["kafka", "kafka"] as const,
    timeoutMs: 25_000,
  };
  const load = { runs: 300, lastsMs: 15_000 };
  const troubles = [killedEngine(0.2, false), killedWorker(0.5)];
  expect(await failover({ ...options, brokers: inject("kafkaBrokers") }, load, troubles)).toEqual([]);
}, 300_000);
