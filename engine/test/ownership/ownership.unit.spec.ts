/** Two processes that share the inbox of one log: real tasks, each with stores of its own. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ManualClock, MemoryGroups, MemoryLog, MemoryStoreFactory } from "../../src/adapters/memory/index.js";
import { HistoryTailer } from "../../src/history/history-tailer.js";
import { Ownership } from "../../src/ownership/ownership.js";
import { PartitionTask } from "../../src/partition/index.js";
import { ClosedError } from "../../../clients/src/errors/codes.js";
import type { Groups } from "../../../clients/src/ports/groups.js";
import { NO_METER } from "../../../clients/src/ports/meter.js";
import { command, toyCore } from "../partition/toy-core.js";
import { Logged, settle, T0, testTopicSpecs, topics } from "../partition/world.js";

const PARTITIONS = 4;
const ALL = [0, 1, 2, 3];

const inboxOf = (topic: string) => ({ topic, retentionMs: 1e12 });

describe("ownership", () => {
  let clock: ManualClock;
  let log: MemoryLog;
  let groups: Groups;
  let logger: Logged;
  let made: { readonly by: string; readonly partition: number; readonly task: PartitionTask }[];
  let open: Ownership[];

  function engine(name: string, stores = new MemoryStoreFactory()): Ownership {
    const base = { log: log.session(), clock, logger, meter: NO_METER, stores };
    const makeTask = (partition: number): PartitionTask => {
      const task = new PartitionTask({ ...base, core: toyCore, topics, partition, partitions: PARTITIONS });
      made.push({ by: name, partition, task });
      return task;
    };
    const makeHistory = (partition: number): HistoryTailer =>
      new HistoryTailer({ ...base, topic: topics.history, inbox: inboxOf(topics.inbox), partition, retentionMs: 1e12 });
    const shape = { groups, topics, partitions: PARTITIONS, isShared: true, makeTask, makeHistory };
    const ownership = new Ownership({ ...base, ...shape });
    open.push(ownership);
    return ownership;
  }

  /** Waits for a condition while time goes on. */
  async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    for (let turn = 0; turn < 5_000; turn += 1) {
      if (await condition()) return;
      clock.advance(5);
      await settle(3);
    }
    throw new Error(`not reached: ${what}`);
  }
  const here = (ownership: Ownership): readonly number[] => ALL.filter((p) => ownership.isOurs(p));
  const runningOf = (ownership: Ownership): readonly number[] =>
    ownership.readings().flatMap(({ partition, status }) => (status === "running" ? [partition] : []));
  const send = (partition: number, run: string): Promise<unknown> =>
    log.append(topics.inbox, partition, [{ key: null, value: command({ do: "sleep", run, ms: [1e9] }) }]);

  beforeEach(async () => {
    clock = new ManualClock(T0);
    log = new MemoryLog(clock);
    await log.ensureTopics(testTopicSpecs(PARTITIONS));
    groups = new MemoryGroups(log);
    logger = new Logged();
    made = [];
    open = [];
  });
  afterEach(async () => {
    let isClosed = false;
    void Promise.all(open.map((ownership) => ownership.close())).then(() => (isClosed = true));
    await until("closed", () => isClosed);
  });

  it("has all partitions while it is alone, and says so", async () => {
    const a = engine("a");
    expect(a.problems).toEqual(["joining the group of engines"]);
    await a.join("http://a");
    await until("running", () => runningOf(a).length === PARTITIONS && a.problems.length === 0);
    expect(ALL.map((p) => a.ownerOf(p))).toEqual(Array(PARTITIONS).fill("http://a"));
    expect(ALL.every((p) => a.historyOf(p) !== null && a.taskOf(p)?.status === "running")).toBe(true);
  });

  it("shares with another, leaves what stays untouched, and each knows the other's address", async () => {
    const a = engine("a");
    await a.join("http://a");
    await until("running", () => runningOf(a).length === PARTITIONS);
    const before = ALL.map((p) => a.taskOf(p));
    const b = engine("b");
    await b.join("http://b");
    await until("shared", () => runningOf(a).length === 2 && runningOf(b).length === 2);
    expect([...here(a), ...here(b)].sort()).toEqual(ALL);
    for (const p of here(a)) {
      expect(a.taskOf(p)).toBe(before[p]);
      expect(b.ownerOf(p)).toBe("http://a");
      expect(b.historyOf(p)).toBeNull();
    }
    for (const p of here(b)) expect(a.ownerOf(p)).toBe("http://b");
    await until("what was lost is closed", () => here(b).every((p) => before[p]?.status !== "running"));
    expect(logger.of("error")).toEqual([]);
  });

  it("G7: what one applied is there when another takes over after its good-bye, with nothing to repeat", async () => {
    const a = engine("a");
    await a.join("http://a");
    await until("running", () => runningOf(a).length === PARTITIONS);
    for (const p of ALL) await send(p, `run-${p}`);
    await until("applied", () => a.readings().every(({ processedOffset }) => processedOffset === 0));
    const b = engine("b");
    let isGone = false;
    void a.close().then(() => (isGone = true));
    await until("gone", () => isGone);
    await b.join("http://b");
    await until("taken over", () => runningOf(b).length === PARTITIONS);
    expect(b.readings().map(({ processedOffset }) => processedOffset)).toEqual([0, 0, 0, 0]);
    for (const p of ALL) expect(await b.taskOf(p)?.runState(`run-${p}`, 0)).toMatchObject({ runId: `run-${p}` });
  });

  it("takes a partition over again that another process fenced, while the group says that it is ours", async () => {
    const a = engine("a");
    await a.join("http://a");
    await until("running", () => runningOf(a).length === PARTITIONS);
    const former = a.taskOf(2);
    await (await log.openChangelogWriter(topics.changelog, 2)).commit([]);
    await send(2, "run-2");
    await until("a new task runs", () => a.taskOf(2) !== former && runningOf(a).length === PARTITIONS);
    expect(former?.failure?.name).toBe("FencedError");
    expect(made.filter(({ partition }) => partition === 2)).toHaveLength(2);
    expect(made).toHaveLength(PARTITIONS + 1);
    expect(a.problems).toEqual([]);
  });

  it("does not fight for a partition that the group has given to another", async () => {
    const a = engine("a");
    await a.join("http://a");
    await until("running", () => runningOf(a).length === PARTITIONS);
    const b = engine("b");
    await b.join("http://b");
    await until("shared", () => runningOf(a).length === 2 && runningOf(b).length === 2);
    const lost = here(b)[0] as number;
    await send(lost, "run");
    await until("applied", () =>
      b.readings().every(({ partition, processedOffset }) => {
        return partition !== lost || processedOffset === 0;
      }),
    );
    clock.advance(60_000);
    await settle();
    expect(made.filter(({ by, partition }) => by === "a" && partition === lost)).toHaveLength(1);
    expect(runningOf(b)).toContain(lost);
  });

  it("tells the group how far it is, for tools that show lag", async () => {
    const a = engine("a");
    await a.join("http://a");
    await until("running", () => runningOf(a).length === PARTITIONS);
    await send(1, "run");
    await until("told", async () => (await log.groupOffset(topics.engineGroup, topics.inbox, 1))?.offset === 1);
  });

  it("does not stay in the group where it was closed while it joined", async () => {
    const a = engine("a");
    const b = engine("b");
    await b.join("http://b");
    const joining = a.join("http://a");
    const closed = a.close();
    await expect(joining).rejects.toThrow(ClosedError);
    await closed;
    await until("the other has all", () => runningOf(b).length === PARTITIONS);
    expect(made.filter(({ by }) => by === "a")).toEqual([]);
  });

  it("takes over at most four at once", async () => {
    let openNow = 0;
    let most = 0;
    const inner = new MemoryStoreFactory();
    const stores = new MemoryStoreFactory();
    stores.open = async (name) => {
      openNow += 1;
      most = Math.max(most, openNow);
      await clock.sleep(10);
      openNow -= 1;
      return inner.open(name);
    };
    stores.destroy = (name) => inner.destroy(name);
    await log.ensureTopics([]);
    const wide = new MemoryLog(clock);
    await wide.ensureTopics(testTopicSpecs(16));
    const base = { log: wide, clock, logger, meter: NO_METER, stores };
    const ownership = new Ownership({
      ...base,
      groups: new MemoryGroups(wide),
      topics,
      partitions: 16,
      isShared: true,
      makeTask: (partition) => new PartitionTask({ ...base, core: toyCore, topics, partition, partitions: 16 }),
      makeHistory: (partition) =>
        new HistoryTailer({
          ...base,
          stores: new MemoryStoreFactory(),
          topic: topics.history,
          inbox: inboxOf(topics.inbox),
          partition,
          retentionMs: 1,
        }),
    });
    open.push(ownership);
    await ownership.join(null);
    await until("all run", () => runningOf(ownership).length === 16);
    expect(most).toBe(4);
  });
});
