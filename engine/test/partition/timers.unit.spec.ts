import { describe, expect, it } from "vitest";
import type { Store } from "../../src/ports/store.js";
import { until, World, T0 } from "./world.js";

const at = (ms: number): string => String(T0 + ms);

async function historyOf(world: World): Promise<string[]> {
  return (await world.history()).map(({ cause, runId, what }) => `${cause} ${runId} ${what.replace(String(T0), "T0")}`);
}

describe("timers and records", () => {
  it("fires what is due by a record's time before the record, in due order, with its offset as cause", async () => {
    const world = await World.make();
    await world.send(0, { do: "sleep", run: "b", ms: [30, 10] }, { do: "sleep", run: "a", ms: [10, 31] });
    await world.send(30, { do: "emit", n: 0 }, { do: "sleep", run: "c", ms: [100] });
    const task = await world.started();
    await world.applied(task);
    expect(await historyOf(world)).toEqual([
      "0.0 b started",
      "1.0 a started",
      `2.0 a timer 0 ${at(10)}`,
      `2.1 b timer 1 ${at(10)}`,
      `2.2 b timer 0 ${at(30)}`,
      "3.0 c started",
    ]);
    await task.stop();
  });

  it("never fires a millisecond early (G1)", async () => {
    const world = await World.make();
    await world.send(0, { do: "sleep", run: "a", ms: [30] });
    await world.send(29, { do: "emit", n: 0 });
    const task = await world.started();
    await world.applied(task);
    expect(await historyOf(world)).toEqual(["0.0 a started"]);
    await world.send(1, { do: "emit", n: 0 });
    await world.applied(task);
    expect(await historyOf(world)).toEqual(["0.0 a started", `2.0 a timer 0 ${at(30)}`]);
    await task.stop();
  });

  it("merges both domains by effective time; at the same time v comes before w", async () => {
    const world = await World.make();
    await world.append(0, { kind: "advance", ms: 1_000 });
    await world.send(
      0,
      { do: "lease", run: "l1", ms: 20 },
      { do: "lease", run: "l2", ms: 10 },
      { do: "sleep", run: "z", ms: [20, 15, 21] },
    );
    await world.send(40, { do: "emit", n: 0 });
    const task = await world.started();
    await world.applied(task);
    expect((await historyOf(world)).slice(1)).toEqual([
      `4.0 l2 lease ${at(10)}`,
      `4.1 z timer 1 ${at(1_015)}`,
      `4.2 z timer 0 ${at(1_020)}`,
      `4.3 l1 lease ${at(20)}`,
      `4.4 z timer 2 ${at(1_021)}`,
    ]);
    await task.stop();
  });

  it("fires what an advance made due as part of the advance, leases left alone", async () => {
    const world = await World.make();
    await world.send(0, { do: "sleep", run: "a", ms: [5_000] }, { do: "lease", run: "l", ms: 5_000 });
    await world.append(1, { kind: "advance", ms: 10_000 });
    await world.send(0, { do: "sleep", run: "b", ms: [1] });
    const task = await world.started();
    await world.applied(task);
    expect(await historyOf(world)).toEqual(["0.0 a started", `2.0 a timer 0 ${at(5_000)}`, "3.0 b started"]);
    expect(task.time()).toEqual({ rawMs: T0 + 1, advanceMs: 10_000, processedOffset: 3 });
    await world.send(5_000, { do: "emit", n: 0 });
    await world.applied(task);
    expect((await historyOf(world)).slice(3)).toEqual([`4.0 b timer 0 ${at(10_002)}`, `4.1 l lease ${at(5_000)}`]);
    await task.stop();
  });

  it("fires timers that timers opened, once they are due", async () => {
    const world = await World.make();
    await world.send(0, { do: "sleep", run: "again", ms: [5] });
    await world.send(5, { do: "emit", n: 0 }, { do: "emit", n: 0 });
    await world.send(1, { do: "emit", n: 0 });
    const task = await world.started();
    await world.applied(task);
    expect((await historyOf(world)).slice(1)).toEqual([`1.0 again timer 0 ${at(5)}`, `3.0 again timer 100 ${at(6)}`]);
    await task.stop();
  });

  it("drops the timers of a run that ended", async () => {
    const world = await World.make();
    await world.send(0, { do: "sleep", run: "a", ms: [5, 6] }, { do: "end", run: "a" });
    await world.send(10, { do: "emit", n: 0 });
    const task = await world.started();
    await world.applied(task);
    expect(await historyOf(world)).toEqual(["0.0 a started", "1.0 a ended"]);
    await task.stop();
  });

  it.each([
    ["stays", { do: "sleep", run: "stays", ms: [5] } as const, "a timer that fired is gone"],
    ["past", { do: "past", run: "p" } as const, "no index entry appears behind its window"],
  ])("stops at a core bug: a timer that %s", async (_, bug, message) => {
    const world = await World.make();
    await world.send(0, bug);
    await world.send(10, { do: "emit", n: 0 });
    const task = await world.started();
    await task.closed;
    expect(task.failure).toMatchObject({ code: "INVARIANT_VIOLATION" });
    expect(task.failure?.message).toContain(message);
  });
});

describe("the window of timers", () => {
  const RUNS = 3_000;

  it("reads timers on from the store, in order, from behind the last one fired", async () => {
    const world = await World.make();
    for (let n = 0; n < RUNS; n++) {
      await world.send(0, { do: "sleep", run: `r${n}`, ms: [10 + ((n * 7) % 500), 2_000] });
    }
    const first = await world.started();
    await world.applied(first);
    await first.stop();
    const scans: string[] = [];
    const second = await world.started({ stores: watched(world, scans), options: { cacheBytesMax: 10_000 } });
    await world.send(700, { do: "emit", n: 0 });
    await world.applied(second);
    const fired = (await world.history()).slice(RUNS);
    expect(fired).toHaveLength(RUNS);
    const dues = fired.map(({ what }) => Number(what.split(" ")[2]));
    expect(dues).toEqual([...dues].sort((a, b) => a - b));
    await second.stop();
    // Firing 3,000 timers read the index forward only: no scan starts before where the one before it ended.
    const inV = scans.filter((from) => from.startsWith("t|v|"));
    expect(inV.length).toBeGreaterThan(2);
    expect(inV).toEqual([...inV].sort());
    expect(inV[0]?.slice(0, 20)).toBe(`t|v|000${at(1)}`);
  });
});

/** Notes where scans of the index begin. */
function watched(world: World, scans: string[]) {
  return {
    destroy: (name: string) => world.stores.destroy(name),
    open: async (name: string): Promise<Store> => {
      const store = await world.stores.open(name);
      return {
        getMany: (keys) => store.getMany(keys),
        write: (batch) => store.write(batch),
        close: () => store.close(),
        scan: (range) => {
          scans.push(range.from);
          return store.scan(range);
        },
      };
    },
  };
}

describe("a flood of timers", () => {
  const options = { timersPerTurnMax: 10, recordsMax: 1, changedRowsMax: 20, checkpointEveryMs: 1_000_000 };
  const DUE = 95;

  async function flooded(kind: "record" | "advance"): Promise<World> {
    const world = await World.make();
    for (let n = 0; n < DUE; n++) {
      const ms = 100 + n;
      // By an advance no lease falls due.
      const lease = kind === "record" && n % 3 === 1;
      await world.send(0, lease ? { do: "lease", run: `l${n}`, ms } : { do: "sleep", run: `again${n}`, ms: [ms] });
    }
    if (kind === "advance") await world.append(1, { kind: "advance", ms: 1_000 });
    else await world.send(1_000, { do: "sleep", run: "last", ms: [1] });
    return world;
  }

  it.each(["record", "advance"] as const)("lets checkpoints come between: due by a %s", async (kind) => {
    const world = await flooded(kind);
    const task = await world.started({ options });
    await world.applied(task);
    await task.stop();
    const cut = (await world.checkpoints()).filter(({ nextOffset, index }) => nextOffset === DUE && index > 0);
    expect(cut.length).toBeGreaterThan(3);
    expect(cut[0]).toMatchObject({ rawMs: T0 + (kind === "advance" ? 1 : 1_000) });
    expect(cut[0]?.lastTimer).toMatch(kind === "advance" ? /^a\|/ : /^b\|/);
  });

  it.each(["record", "advance"] as const)(
    "goes on after a crash in the middle, with the same causes: due by a %s",
    async (kind) => {
      const reference = await flooded(kind);
      const whole = await reference.started();
      await reference.applied(whole);
      const expected = await reference.history();
      expect(expected.filter(({ what }) => /^(timer|lease)/.test(what))).toHaveLength(DUE);
      await whole.stop();
      const ends = new Set<string>();
      for (let turn = 1; ; turn++) {
        const world = await flooded(kind);
        const crashed = await crashInFlood(world, turn);
        if (crashed === null) break;
        ends.add(crashed);
        const task = await world.started({ options });
        await world.applied(task);
        await task.stop();
        const seen = new Set<string>();
        const deduplicated = (await world.history()).filter((h) => !seen.has(h.cause) && seen.add(h.cause));
        expect(deduplicated).toEqual(expected);
      }
      expect(ends.size).toBeGreaterThan(3);
    },
  );

  /** Crashes after checkpoint number `turn` of the flood. @returns where it stands; null if there was none. */
  async function crashInFlood(world: World, turn: number): Promise<string | null> {
    let left = turn;
    const log = world.log.session();
    const open = log.openChangelogWriter.bind(log);
    log.openChangelogWriter = async (topic, partition) => {
      const writer = await open(topic, partition);
      return {
        close: () => writer.close(),
        commit: async (records) => {
          if (left <= 0) return new Promise<never>(() => undefined);
          const end = await writer.commit(records);
          const last = (await world.checkpoints()).at(-1);
          if (last?.nextOffset === DUE && last.index > 0) left--;
          return end;
        },
      };
    };
    const task = world.task({ log, options });
    await task.start();
    await until("the flood is cut or over", () => left <= 0 || task.time().processedOffset === DUE);
    if (left > 0) {
      await task.stop();
      return null;
    }
    world.stores.crash();
    const last = (await world.checkpoints()).at(-1);
    return `${last?.nextOffset} ${last?.lastTimer}`;
  }
});
