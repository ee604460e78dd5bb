/** Workers and senders over a real Kafka, each in a process of its own, with an engine beside. */
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { Eddy } from "../../src/index.js";
import { memoryLogger } from "../manual-clock.js";
import { Children, type Child } from "./children.js";

/** Processes start slowly where others work too; a killed worker's share is free when its session ends. */
const TEST_MS_MAX = 150_000;

describe("workers over Kafka", { timeout: TEST_MS_MAX }, () => {
  let children: Children;
  let eddy: Eddy;
  let sent: number;
  beforeEach(() => {
    const brokers = inject("kafkaBrokers");
    children = new Children(brokers);
    eddy = new Eddy({ id: "shop", kafka: { brokers, namespace: children.namespace }, logger: memoryLogger() });
    sent = 0;
  });
  afterEach(async () => {
    await eddy.close();
    await children.close();
  });

  async function start(...names: readonly string[]): Promise<Child[]> {
    await children.engine();
    const workers = names.map((name) => children.worker(name));
    await children.until("workers are ready", () => workers.every((worker) => worker.said("ready").length === 1));
    return workers;
  }
  /** Starts runs, each with a key of its own. */
  async function work(count: number, ms: number): Promise<void> {
    const events = Array.from({ length: count }, () => ({ name: "work", data: { key: `k${sent++}`, ms } }));
    expect((await eddy.send(events)).ids).toHaveLength(count);
  }
  /** To those from `first` on. */
  async function reply(first = 0): Promise<void> {
    const numbers = Array.from({ length: sent - first }, (_, i) => first + i);
    await eddy.send(numbers.map((no) => ({ name: "reply", data: { key: `k${no}`, text: `t${no}` } })));
  }
  const runsOf = (workers: readonly Child[], kind: string): string[] =>
    workers.flatMap((worker) => worker.said(kind).map(([run]) => run as string));
  const countOf = (workers: readonly Child[], kind: string): number => new Set(runsOf(workers, kind)).size;

  /** Resolves when each has worked on something: requests of all partitions reach somebody at once then. */
  async function shared(workers: readonly Child[]): Promise<void> {
    while (workers.some((worker) => worker.said("step").length === 0)) {
      await work(4, 0);
      await children.until("they are worked on", () => countOf(workers, "step") === sent);
    }
  }

  it("share the partitions; where one closes under load, the others go on, and each step runs once", async () => {
    const workers = await start("a", "b");
    const [a, b] = workers as [Child, Child];
    await shared(workers);
    await work(40, 100);
    await children.until("some are under way", () => runsOf(workers, "step").length > 5);
    const closing = a.end("SIGTERM");
    await work(40, 0);
    expect(await closing).toBe(0);
    expect(a.said("closed")).toHaveLength(1);
    await children.until("all are worked on", () => countOf(workers, "step") === sent);
    await reply();
    await children.until("all have ended", () => countOf(workers, "end") === sent);
    expect(runsOf(workers, "step")).toHaveLength(sent);
    expect(runsOf(workers, "end")).toHaveLength(sent);
    expect(runsOf([b], "end")).toHaveLength(sent);
  });

  it("take over from one that was killed; what waited for it wakes elsewhere", async () => {
    const workers = await start("a", "b");
    const [a, b] = workers as [Child, Child];
    await shared(workers);
    await reply();
    // What a worker has not yet told when it is killed comes back with its lease, a minute later: not awaited here.
    await children.until("nothing is left to tell", () => countOf(workers, "over") === sent);
    const before = sent;
    await a.end("SIGKILL");
    await work(20, 0);
    await children.until("the other has it all", () => countOf(workers, "step") === sent);
    await reply(before);
    await children.until("all have ended", () => countOf(workers, "over") === sent);
    expect(countOf([b], "end")).toBeGreaterThanOrEqual(20);
  });

  it("G5: take over from one stopped beyond its session; when it goes on it repeats nothing", async () => {
    const workers = await start("a", "b");
    const [a, b] = workers as [Child, Child];
    await shared(workers);
    await reply();
    await children.until("nothing is left to tell", () => countOf(workers, "over") === sent);
    const before = b.said("step").length;
    a.freeze(true);
    await work(20, 0);
    await children.until("the other has it all", () => b.said("step").length === before + 20);
    a.freeze(false);
    const first = a.said("step").length;
    while (a.said("step").length === first) {
      await work(4, 0);
      await children.until("they are worked on", () => countOf(workers, "step") === sent);
    }
    await reply();
    await children.until("all have ended", () => countOf(workers, "over") === sent);
    expect(runsOf(workers, "step")).toHaveLength(sent);
  });
});
