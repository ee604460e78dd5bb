/** The parts of the Log port's contract that show only under a clock that the test holds: times, retention, compaction. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OffsetOutOfRangeError } from "../../../clients/src/errors/codes.js";
import type { Log } from "../../../clients/src/ports/log.js";
import { CHANGELOG, INBOX, at, entryOf, readAll, record, records, tombstone, valueOf } from "./log-world.js";
import type { LocalLogWorld } from "./log-world.js";

export function logCleaningContract(adapter: string, makeWorld: () => Promise<LocalLogWorld>): void {
  describe(`log cleaning contract: ${adapter}`, () => {
    let world: LocalLogWorld;
    let log: Log;
    let startMs: number;
    beforeEach(async () => {
      world = await makeWorld();
      log = world.log;
      startMs = world.nowMs();
      await log.ensureTopics([INBOX, CHANGELOG]);
    });
    afterEach(() => world.dispose());
    const reopen = async (): Promise<void> => {
      log = await world.reopen();
    };
    const append = (...values: readonly string[]) => log.append(INBOX.name, 0, records(...values));
    const atMs = (ms: number): void => world.setNowMs(startMs + ms);
    const range = () => log.offsets(INBOX.name, 0);
    const inbox = async () => (await readAll(log, INBOX)).map(valueOf);
    const changelog = async (from?: number) =>
      (await readAll(log, CHANGELOG, 0, from === undefined ? undefined : at(from))).map(entryOf);

    describe("L2 append time", () => {
      it("is the clock's, and stands still while the clock is behind it", async () => {
        atMs(100);
        await append("a");
        atMs(40);
        expect((await append("b")).appendTimeMs).toBe(startMs + 100);
        await reopen();
        expect((await append("c")).appendTimeMs).toBe(startMs + 100);
        atMs(101);
        expect((await append("d")).appendTimeMs).toBe(startMs + 101);
        const times = (await readAll(log, INBOX)).map((r) => r.appendTimeMs - startMs);
        expect(times).toEqual([100, 100, 100, 101]);
      });
      it("is each partition's own", async () => {
        atMs(100);
        await append("a");
        atMs(40);
        expect((await log.append(INBOX.name, 1, records("b"))).appendTimeMs).toBe(startMs + 40);
      });
    });

    describe("retention of a topic with policy delete", () => {
      it("keeps a record of exactly that age, and drops it a millisecond later", async () => {
        await append("old");
        atMs(1);
        await append("young");
        atMs(INBOX.retentionMs);
        await world.clean(log);
        expect(await inbox()).toEqual(["old", "young"]);
        atMs(INBOX.retentionMs + 1);
        await world.clean(log);
        expect(await range()).toEqual({ start: 1, end: 2 });
        expect(await inbox()).toEqual(["young"]);
      });
      it("L4 makes a reader that stands there fail, never skip", async () => {
        await append("a", "b");
        atMs(10);
        await append("c");
        const behind = log.reader(INBOX.name, 0, at(0));
        expect(await behind.read({ recordsMax: 1, waitMs: 0 })).toHaveLength(1);
        atMs(INBOX.retentionMs + 5);
        await world.clean(log);
        await expect(behind.read({ recordsMax: 1, waitMs: 0 })).rejects.toThrow(OffsetOutOfRangeError);
        expect(behind.position).toBe(1);
        const fromStart = log.reader(INBOX.name, 0, (await range()).start);
        expect((await fromStart.read({ recordsMax: 1, waitMs: 0 })).map(valueOf)).toEqual(["c"]);
      });
      it("may drop everything; offsets and times go on from there, also after a restart", async () => {
        atMs(50);
        await append("a", "b", "c");
        atMs(INBOX.retentionMs + 51);
        await world.clean(log);
        expect(await range()).toEqual({ start: 3, end: 3 });
        expect(await inbox()).toEqual([]);
        await reopen();
        expect(await range()).toEqual({ start: 3, end: 3 });
        atMs(20);
        expect(await append("d")).toEqual({ baseOffset: 3, appendTimeMs: startMs + 50 });
        expect(await inbox()).toEqual(["d"]);
      });
      it("follows a retention that ensureTopics changes", async () => {
        await append("a");
        atMs(INBOX.retentionMs + 1);
        await log.ensureTopics([{ ...INBOX, retentionMs: 2 * INBOX.retentionMs }]);
        await world.clean(log);
        expect(await inbox()).toEqual(["a"]);
        await log.ensureTopics([INBOX]);
        await world.clean(log);
        expect(await inbox()).toEqual([]);
      });
      it("leaves other partitions and compacted topics alone", async () => {
        await append("a");
        await log.append(CHANGELOG.name, 0, [record("k", "v")]);
        atMs(INBOX.retentionMs);
        await log.append(INBOX.name, 1, records("young"));
        atMs(INBOX.retentionMs + 1);
        await world.clean(log);
        expect(await log.offsets(INBOX.name, 1)).toEqual({ start: 0, end: 1 });
        expect(await changelog()).toEqual(["k=v"]);
      });
    });

    describe("L7 compaction", () => {
      it("keeps the newest record of each key at its offset; who reads on from anywhere reaches the end", async () => {
        await log.append(CHANGELOG.name, 0, [record("a", "1"), record("b", "1"), record("a", "2")]);
        await log.append(CHANGELOG.name, 0, [record("a", "3"), record("c", "1")]);
        await world.clean(log);
        const found = await readAll(log, CHANGELOG);
        expect(found.map((r) => [r.offset, entryOf(r)])).toEqual([
          [1, "b=1"],
          [3, "a=3"],
          [4, "c=1"],
        ]);
        expect(await log.offsets(CHANGELOG.name, 0)).toEqual({ start: 0, end: 5 });
        for (const [from, left] of [3, 3, 2, 2, 1, 0].entries()) expect(await changelog(from)).toHaveLength(left);
      });
      it("keeps a tombstone of exactly the retention's age, and drops it a millisecond later", async () => {
        await log.append(CHANGELOG.name, 0, [record("a", "1"), record("b", "1"), tombstone("a")]);
        atMs(CHANGELOG.retentionMs);
        await world.clean(log);
        expect(await changelog()).toEqual(["b=1", "a=(none)"]);
        atMs(CHANGELOG.retentionMs + 1);
        await world.clean(log);
        expect(await changelog()).toEqual(["b=1"]);
        expect(await log.offsets(CHANGELOG.name, 0)).toEqual({ start: 0, end: 3 });
      });
      it("of everything leaves the end where it was, also after a restart", async () => {
        await log.append(CHANGELOG.name, 0, [record("a", "1"), tombstone("a")]);
        atMs(CHANGELOG.retentionMs + 1);
        await world.clean(log);
        await reopen();
        expect(await changelog()).toEqual([]);
        expect((await log.append(CHANGELOG.name, 0, [record("a", "2")])).baseOffset).toBe(2);
        expect(await changelog()).toEqual(["a=2"]);
      });
      it("does not bring a value back that a tombstone removed", async () => {
        await log.append(CHANGELOG.name, 0, [record("a", "1")]);
        await world.clean(log);
        await log.append(CHANGELOG.name, 0, [tombstone("a"), record("b", "1")]);
        await world.clean(log);
        atMs(CHANGELOG.retentionMs + 1);
        for (let i = 0; i < 3; i += 1) await world.clean(log);
        await reopen();
        await world.clean(log);
        expect(await changelog()).toEqual(["b=1"]);
      });
      it("bounds a partition without being asked: at most a few times its keys stay", async () => {
        const writer = await log.openChangelogWriter(CHANGELOG.name, 0);
        for (let i = 0; i < 200; i += 1) {
          await writer.commit(Array.from({ length: 50 }, (_, k) => record(`k${k}`, `${i}`)));
        }
        await world.settled();
        const found = await readAll(log, CHANGELOG);
        expect(found.length).toBeLessThan(3_000);
        expect(found.slice(-50).every((r) => valueOf(r) === "199")).toBe(true);
        expect(new Set(found.map((r) => r.key)).size).toBe(50);
      });
      it("and retention go on while records are appended and read", async () => {
        const writer = await log.openChangelogWriter(CHANGELOG.name, 0);
        const reader = log.reader(CHANGELOG.name, 0, at(0));
        const seen = new Map<string | null, string | null>();
        for (let i = 0; i < 60; i += 1) {
          const cleaned = world.clean(log);
          await writer.commit([record(`k${i % 5}`, String(i)), record("meta", String(i))]);
          for (const r of await reader.read({ recordsMax: 3, waitMs: 0 })) seen.set(r.key, valueOf(r));
          await cleaned;
        }
        const { end } = await log.offsets(CHANGELOG.name, 0);
        while (reader.position < end) {
          for (const r of await reader.read({ recordsMax: 3, waitMs: 0 })) seen.set(r.key, valueOf(r));
        }
        const expected = [0, 1, 2, 3, 4].map((k) => [`k${k}`, String(55 + k)] as const);
        expect(seen).toEqual(new Map([...expected, ["meta", "59"]]));
      });
    });
  });
}
