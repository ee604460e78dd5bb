/** Past events: what a range gives is a function of the log before its end, whatever the way there. */
import { encodeInbox, LIMITS } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import type { PastEvent, PastRange } from "../../src/core/index.js";
import { TransientError } from "../../../clients/src/errors/codes.js";
import { randomOf } from "../replay/script.js";
import { eventOf } from "./builders.js";
import { PastLog, plainly } from "./past-log.js";
import { settle } from "./world.js";

const all = (log: PastLog): PastRange => ({ names: ["n"], fromRawMs: 0, toOffset: log.end });
const offsets = (events: readonly PastEvent[]): readonly number[] => events.map(({ offset }) => offset);
const named = (name: string) => eventOf({ name });

/** Events of four names, advances, ticks and garbage; gaps; times that now and then go back a little. */
function randomLog(random: (below: number) => number, records: number): PastLog {
  const log = new PastLog();
  let ms = 1_000_000;
  for (let n = 0; n < records; n++) {
    ms += random(5) === 0 ? random(400) : 0;
    const at = random(400) === 0 ? ms - random(300) : ms;
    const gap = random(30) === 0 ? random(random(20) === 0 ? 5_000 : 5) : 0;
    const dice = random(20);
    if (dice < 10) log.add(at, eventOf({ id: `e${n}`, name: `n${random(4)}` }), gap);
    else if (dice < 11) log.add(at, { kind: "advance", ms: random(1_000) }, gap);
    else if (dice < 12) log.add(at, Uint8Array.from([1, random(30), random(256)]), gap);
    else if (dice < 13) log.add(at, null, gap);
    else log.add(at, { kind: "tick" }, gap);
  }
  return log;
}
function randomRange(random: (below: number) => number, log: PastLog): PastRange {
  const last = log.records.at(-1);
  const names = ["n0", "n1", "n2", "n3", "none"].filter(() => random(2) === 0);
  const toOffset = random(3) === 0 ? log.end - random(20) : random(log.end + 1);
  return { names, toOffset, fromRawMs: (last?.appendTimeMs ?? 0) - random(300_000) };
}

describe("past events", () => {
  it.each([1, 2, 3, 4, 5, 6])("are those that one would count from the end back, seed %i", async (seed) => {
    const random = randomOf(seed);
    const log = randomLog(random, 4_000 + random(4_000));
    let found = 0;
    for (let n = 0; n < 25; n++) {
      log.answer = random(2) === 0 ? (max) => max : (max) => 1 + random(Math.min(max, 700));
      const ranges = Array.from({ length: 1 + random(6) }, () => randomRange(random, log));
      const answers = await log.past().find(ranges);
      expect(answers).toHaveLength(ranges.length);
      for (const [i, range] of ranges.entries()) {
        expect(answers[i], JSON.stringify(range)).toEqual(plainly(log.records, range));
        found += answers[i]?.length ?? 0;
      }
    }
    expect(found).toBeGreaterThan(5_000);
  });

  it("are those of the names asked for, from the time on, before the offset: each bound exact", async () => {
    const log = new PastLog();
    log.add(9, named("n"));
    const first = log.add(10, named("n"), 3);
    log.add(10, named("m"));
    const last = log.add(11, named("n"));
    log.add(11, named("n"));
    const range = { names: ["n"], fromRawMs: 10, toOffset: last + 1 };
    expect(offsets(await log.find(range))).toEqual([first, last]);
    expect(offsets(await log.find({ ...range, names: ["m", "n"] }))).toEqual([first, first + 1, last]);
    expect(offsets(await log.find({ ...range, toOffset: last }))).toEqual([first]);
    expect(await log.find({ ...range, names: [] })).toEqual([]);
    expect(await log.find({ ...range, toOffset: 0 })).toEqual([]);
  });

  it("say by how much the clock was advanced after them, and before the range's end", async () => {
    const log = new PastLog();
    log.add(1, { kind: "advance", ms: 1 });
    log.add(1, named("n"));
    log.add(1, { kind: "advance", ms: 20 });
    log.add(1, named("n"));
    log.add(1, { kind: "advance", ms: 300 });
    const end = log.end;
    log.add(1, { kind: "advance", ms: 4_000 });
    const since = (await log.find({ ...all(log), toOffset: end })).map(({ advancedSinceMs }) => advancedSinceMs);
    expect(since).toEqual([320, 300]);
  });

  it("end at the first record that is older: a clock that went back does not let them go on behind it", async () => {
    const log = new PastLog();
    log.add(12, named("n"));
    log.add(5, { kind: "tick" });
    const after = log.add(12, named("n"));
    expect(offsets(await log.find({ ...all(log), fromRawMs: 10 }))).toEqual([after]);
  });

  it("leave out what does not decode", async () => {
    const log = new PastLog();
    log.add(1, Uint8Array.from([1, 0, 0xc1]));
    const good = log.add(1, named("n"));
    log.add(1, null);
    expect(offsets(await log.find(all(log)))).toEqual([good]);
  });

  it("are not found where retention took them, also while they are read", async () => {
    const log = new PastLog();
    for (let n = 0; n < 9_000; n++) log.add(n, named("n"));
    log.start = 5_000;
    expect((await log.find(all(log))).at(0)?.offset).toBe(5_000);
    log.start = 0;
    log.answer = (recordsMax) => {
      if (log.opened.length === 3) log.start = 7_500;
      return recordsMax;
    };
    log.opened.length = 0;
    // 1,024 and 4,096 offsets were read; the third window begins at 0.
    expect((await log.find(all(log))).length).toBe(5_120);
    log.opened.length = 0;
    log.start = 0;
    log.answer = (recordsMax) => {
      if (log.opened.length === 2) log.start = 6_000;
      return recordsMax;
    };
    expect(offsets(await log.find(all(log)))).toEqual(Array.from({ length: 3_000 }, (_, n) => n + 6_000));
  });
});

describe("the bounds of past events", () => {
  it("are a number of records, whatever they are, and told where more might have been there", async () => {
    const log = new PastLog();
    const tick = encodeInbox({ kind: "tick" });
    const event = encodeInbox(named("n"));
    log.add(5, event);
    log.add(5, event);
    const kept = log.add(5, event);
    for (let n = 1; n < LIMITS.pastRecordsMax; n++) log.add(5, tick, n === 70_000 ? 300_000 : 0);
    expect(offsets(await log.find(all(log)))).toEqual([kept]);
    expect(log.logged.of("warn")).toMatchObject([{ fields: { fromRawMs: 0, partition: 0 } }]);
    // Within the bounds nothing is told.
    log.logged.lines.length = 0;
    expect(offsets(await log.find({ ...all(log), toOffset: log.end - 1 }))).toEqual([kept - 1, kept]);
    log.start = kept;
    expect(offsets(await log.find(all(log)))).toEqual([kept]);
    expect(log.logged.of("warn")).toHaveLength(1);
  });

  it("are bytes of the events asked for: the newest", async () => {
    const log = new PastLog();
    const big = encodeInbox(eventOf({ name: "n", payload: new Uint8Array(1_000_000) }));
    const other = encodeInbox(eventOf({ name: "m", payload: new Uint8Array(900_000) }));
    const count = Math.floor(LIMITS.pastBytesMax / big.length);
    for (let n = 0; n < 100; n++) {
      log.add(n, big);
      log.add(n, other);
    }
    const range = all(log);
    const [ofN, ofM, both] = await log
      .past()
      .find([range, { ...range, names: ["m"] }, { ...range, names: ["m", "n"] }]);
    expect(offsets(ofN ?? [])).toEqual(Array.from({ length: count }, (_, n) => 2 * (100 - count + n)));
    for (const [found, names] of [
      [ofM, ["m"]],
      [both, ["m", "n"]],
    ] as const) {
      expect(offsets(found ?? [])).toEqual(offsets(plainly(log.records, { ...range, names })));
    }
    expect(log.logged.of("warn")).toHaveLength(3);
  });

  it("keep what is read in proportion: near the end for what is near, all ranges in one pass", async () => {
    const log = new PastLog();
    for (let n = 0; n < 50_000; n++) log.add(n, named("n"));
    const near = { names: ["n"], fromRawMs: 49_500, toOffset: 50_000 };
    await log.find(near);
    expect(log.meter.counts.get("eddy_past_records_total")).toBe(1_024);
    log.opened.length = 0;
    const ranges = Array.from({ length: 200 }, (_, n) => ({ ...near, fromRawMs: 40_000 + n, toOffset: 49_000 + n }));
    await log.past().find(ranges);
    expect(log.opened).toEqual([48_175, 44_079, 27_695]);
  });
});

describe("a log that does not answer", () => {
  it("is asked again, from the window's start", async () => {
    const log = new PastLog();
    for (let n = 0; n < 3_000; n++) log.add(n, named("n"));
    let reads = 0;
    log.answer = (recordsMax) => {
      if (++reads % 5 === 0) throw new TransientError("planned");
      return Math.min(recordsMax, 600);
    };
    const finding = log.find(all(log));
    for (let n = 0; n < 20; n++) {
      await settle(2);
      log.clock.advance(1_000);
    }
    expect(offsets(await finding)).toEqual(Array.from({ length: 3_000 }, (_, n) => n));
  });

  it("fails the read when it goes on giving nothing, at once where the task is stopping", async () => {
    const log = new PastLog();
    log.add(1, named("n"));

    log.answer = () => 0;
    log.abort.abort();
    await expect(log.find(all(log))).rejects.toMatchObject({ code: "TRANSIENT" });
    log.answer = (recordsMax) => recordsMax;
    expect(await log.find(all(log)), "what answers is read also then").toHaveLength(1);
  });
});
