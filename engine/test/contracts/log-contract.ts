/**
 * The Log port's contract, L1-L8 of ports/log.ts, for every adapter: call it inside the adapter's spec file. What needs
 * a clock that the test can move is in log-cleaning-contract.ts.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  BadRecordError,
  ClosedError,
  ConfigError,
  FencedError,
  InvariantViolation,
  OffsetOutOfRangeError,
} from "../../../clients/src/errors/codes.js";
import type { Log, LogReader, NewRecord } from "../../../clients/src/ports/log.js";
import { CHANGELOG, INBOX, at, entryOf, readAll, readToEnd, record, records, tombstone, valueOf } from "./log-world.js";
import type { LogWorld } from "./log-world.js";

const READ_NOW = { recordsMax: 100, waitMs: 0 };
const READ_WAITING = { recordsMax: 100, waitMs: 60_000 };

export function logContract(adapter: string, makeWorld: () => Promise<LogWorld>): void {
  describe(`log contract: ${adapter}`, () => {
    let world: LogWorld;
    let log: Log;
    beforeEach(async () => {
      world = await makeWorld();
      log = world.log;
      await log.ensureTopics([INBOX, CHANGELOG]);
    });
    afterEach(() => world.dispose());
    const reopen = async (): Promise<void> => {
      log = await world.reopen();
    };
    const append = (...values: readonly string[]) => log.append(INBOX.name, 0, records(...values));
    const readerAt = (n: number): LogReader => log.reader(INBOX.name, 0, at(n));
    const writer = (partition = 0) => log.openChangelogWriter(CHANGELOG.name, partition);
    const entries = async (): Promise<readonly string[]> => (await readAll(log, CHANGELOG)).map(entryOf);

    describe("topics", () => {
      it("are made once and kept, with their id", async () => {
        const id = await log.topicId(INBOX.name);
        await append("a");
        await log.ensureTopics([INBOX, CHANGELOG]);
        expect(await log.topicId(INBOX.name)).toBe(id);
        await reopen();
        await log.ensureTopics([INBOX, CHANGELOG]);
        expect(await log.topicId(INBOX.name)).toBe(id);
        expect(await log.topicId(CHANGELOG.name)).not.toBe(id);
        expect((await readAll(log, INBOX)).map(valueOf)).toEqual(["a"]);
      });
      it("refuse another partition count or policy with ConfigError, and then make nothing", async () => {
        const other = { ...INBOX, name: "t.other" };
        for (const spec of [
          { ...INBOX, partitions: 4 },
          { ...INBOX, policy: "compact" as const },
        ]) {
          await expect(log.ensureTopics([other, spec])).rejects.toThrow(ConfigError);
        }
        await expect(log.topicId(other.name)).rejects.toThrow(InvariantViolation);
      });
      it("start empty at offset 0", async () => {
        expect(await log.offsets(INBOX.name, 2)).toEqual({ start: 0, end: 0 });
      });
      it.each([
        ["topic", "t.unknown", 0],
        ["partition", INBOX.name, 3],
      ])("an unknown %s is a bug of the caller", async (_, topic, partition) => {
        await expect(log.append(topic, partition, records("a"))).rejects.toThrow(InvariantViolation);
        await expect(log.offsets(topic, partition)).rejects.toThrow(InvariantViolation);
        await expect(log.openChangelogWriter(topic, partition)).rejects.toThrow(InvariantViolation);
        await expect(log.groupOffset("g", topic, partition)).rejects.toThrow(InvariantViolation);
        expect(() => log.reader(topic, partition, at(0))).toThrow(InvariantViolation);
      });
    });

    describe("L1 append", () => {
      it("gives consecutive offsets per partition, and records come back as they went in", async () => {
        const given = [record(null, "no key"), record("Ключ \u{1f511}", "snow ☃"), record("", ""), record("k", "v")];
        expect((await log.append(INBOX.name, 0, given)).baseOffset).toBe(0);
        expect((await append("next")).baseOffset).toBe(4);
        expect((await log.append(INBOX.name, 1, records("elsewhere"))).baseOffset).toBe(0);
        const found = await readAll(log, INBOX);
        expect(found.map((r) => r.offset)).toEqual([0, 1, 2, 3, 4]);
        expect(found.slice(0, 4).map((r) => [r.key, valueOf(r)])).toEqual([
          [null, "no key"],
          ["Ключ \u{1f511}", "snow ☃"],
          ["", ""],
          ["k", "v"],
        ]);
        expect(await log.offsets(INBOX.name, 0)).toEqual({ start: 0, end: 5 });
      });
      it("keeps the records of one append together, however many run at once", async () => {
        const sizes = Array.from({ length: 60 }, (_, i) => ((i * 7) % 11) + 1);
        const texts = (size: number, i: number): readonly string[] =>
          Array.from({ length: size }, (_, j) => `${i}.${j}`);
        const acks = await Promise.all(sizes.map((size, i) => append(...texts(size, i))));
        const found = (await readAll(log, INBOX)).map(valueOf);
        expect(found).toHaveLength(sizes.reduce((sum, size) => sum + size, 0));
        for (const [i, { baseOffset }] of acks.entries()) {
          const size = sizes[i] ?? 0;
          expect(found.slice(baseOffset, baseOffset + size)).toEqual(texts(size, i));
        }
      });
      it("is in the log when it resolves, and after a restart", async () => {
        await append("a", "b");
        expect((await log.offsets(INBOX.name, 0)).end).toBe(2);
        await reopen();
        expect((await append("c")).baseOffset).toBe(2);
        expect((await readAll(log, INBOX)).map(valueOf)).toEqual(["a", "b", "c"]);
      });
      it("takes 1,000 records at once, and one of 1 MiB", async () => {
        const texts = Array.from({ length: 1_000 }, (_, i) => `value ${i}`);
        await append(...texts);
        const large = "x".repeat(1_048_576);
        await append(large);
        expect((await readAll(log, INBOX)).map(valueOf)).toEqual([...texts, large]);
      });
      it("holds at least one record", async () => {
        await expect(log.append(INBOX.name, 0, [])).rejects.toThrow(InvariantViolation);
      });
    });

    it("L2 append times never go back, and are those of the records", async () => {
      const acks = [await append("a", "b"), await append("c"), await append("d")];
      const found = await readAll(log, INBOX);
      expect(found.map((r) => r.appendTimeMs)).toEqual([0, 0, 1, 2].map((i) => acks[i]?.appendTimeMs));
      const times = found.map((r) => r.appendTimeMs);
      expect(times).toEqual([...times].sort((x, y) => x - y));
    });

    describe("L3 BadRecordError: nothing is stored", () => {
      const bad: readonly (readonly [string, string, () => NewRecord])[] = [
        ["a tombstone in a topic that is not compacted", INBOX.name, () => tombstone("k")],
        ["no key in a compacted topic", CHANGELOG.name, () => record(null, "v")],
        ["a record above the size limit", INBOX.name, () => record("k", "v".repeat(world.recordBytesMax))],
      ];
      it.each(bad)("for %s", async (_, topic, make) => {
        await expect(log.append(topic, 0, [record("good", "v"), make()])).rejects.toThrow(BadRecordError);
        expect(await log.offsets(topic, 0)).toEqual({ start: 0, end: 0 });
      });
      it("and the largest record that is allowed is stored", async () => {
        await log.append(INBOX.name, 0, [record("k", "v".repeat(world.recordBytesMax - 1))]);
        expect((await log.offsets(INBOX.name, 0)).end).toBe(1);
      });
    });

    describe("L4 reader", () => {
      it("goes through the partition in pages, none twice, none missing", async () => {
        await append("a", "b", "c");
        await append("d", "e");
        const reader = readerAt(0);
        const pages: (string | null)[][] = [];
        while (reader.position < 5) pages.push((await reader.read({ recordsMax: 2, waitMs: 0 })).map(valueOf));
        expect(pages.every((page) => page.length >= 1 && page.length <= 2)).toBe(true);
        expect(pages.flat()).toEqual(["a", "b", "c", "d", "e"]);
        expect(await reader.read(READ_NOW)).toEqual([]);
        expect(reader.position).toBe(5);
      });
      it.each([0, 1, 2, 3, 4, 5])("starts at offset %i, inside an append or at its edge", async (from) => {
        await append("0", "1", "2");
        await append("3", "4");
        const reader = readerAt(from);
        expect(reader.position).toBe(from);
        const found = await readToEnd(log, reader, INBOX, 0);
        expect(found.map(valueOf)).toEqual(["0", "1", "2", "3", "4"].slice(from));
        expect(found.map((r) => r.offset)).toEqual([0, 1, 2, 3, 4].slice(from));
      });
      it("does not disturb another one", async () => {
        await append("a", "b");
        const [one, other] = [readerAt(0), readerAt(1)];
        expect((await one.read(READ_NOW)).map(valueOf)).toEqual(["a", "b"]);
        expect((await other.read(READ_NOW)).map(valueOf)).toEqual(["b"]);
        expect((await readToEnd(log, readerAt(0), INBOX, 0)).map(valueOf)).toEqual(["a", "b"]);
      });
      it("sees each record once, in order, while appends go on", async () => {
        const total = 300;
        const appends = Array.from({ length: total }, (_, i) => append(String(i)));
        const reader = readerAt(0);
        const seen: number[] = [];
        while (seen.length < total) for (const r of await reader.read(READ_WAITING)) seen.push(r.offset);
        await Promise.all(appends);
        expect(seen).toEqual(Array.from({ length: total }, (_, i) => i));
      });
      it("that waits is woken by an append to its partition", async () => {
        await append("before");
        const reader = readerAt(1);
        const read = reader.read(READ_WAITING);
        await log.append(INBOX.name, 1, records("elsewhere"));
        await append("here");
        expect((await read).map(valueOf)).toEqual(["here"]);
        expect(reader.position).toBe(2);
      });
      it("that waits gives up empty-handed after its time, and can go on", async () => {
        const reader = readerAt(0);
        const read = reader.read({ recordsMax: 10, waitMs: 40 });
        // The read goes to sleep a few turns of the event loop after the call.
        for (let turn = 0; turn < 100; turn += 1) {
          await new Promise((resolve) => setImmediate(resolve));
          world.passMs(40);
        }
        expect(await read).toEqual([]);
        expect(reader.position).toBe(0);
        await append("late");
        expect((await reader.read(READ_NOW)).map(valueOf)).toEqual(["late"]);
      });
      it("refuses a position behind the end, and takes the end itself", async () => {
        await append("a");
        await expect(readerAt(2).read(READ_NOW)).rejects.toThrow(OffsetOutOfRangeError);
        expect(await readerAt(1).read(READ_NOW)).toEqual([]);
      });
      it("refuses overlapping reads and reads of no record", async () => {
        const reader = readerAt(0);
        const waiting = reader.read(READ_WAITING);
        await expect(reader.read(READ_NOW)).rejects.toThrow(InvariantViolation);
        await reader.close();
        expect(await waiting).toEqual([]);
        await expect(readerAt(0).read({ recordsMax: 0, waitMs: 0 })).rejects.toThrow(InvariantViolation);
      });
      it("ends a waiting read with nothing when it is closed, and then reads no more", async () => {
        const reader = readerAt(0);
        const read = reader.read(READ_WAITING);
        await reader.close();
        await reader.close();
        expect(await read).toEqual([]);
        await append("later");
        expect(reader.position).toBe(0);
        await expect(reader.read(READ_NOW)).rejects.toThrow(ClosedError);
      });
    });

    describe("L5 changelog writer", () => {
      it("commits batches that readers see whole, and says where they end", async () => {
        const w = await writer();
        const first = await w.commit([record("row", "1"), record("meta", "1")]);
        expect((await log.offsets(CHANGELOG.name, 0)).end).toBe(first);
        const second = await w.commit([record("row2", "2"), tombstone("row"), record("meta", "2")]);
        expect(second).toBeGreaterThan(first);
        const found = await readAll(log, CHANGELOG, 0, first);
        expect(found.map(entryOf)).toEqual(["row2=2", "row=(none)", "meta=2"]);
      });
      it("is fenced by a newer one of the same partition: FencedError, nothing stored", async () => {
        const old = await writer();
        await old.commit([record("a", "old")]);
        const young = await writer();
        await expect(old.commit([record("a", "zombie")])).rejects.toThrow(FencedError);
        await young.commit([record("b", "young")]);
        await expect(old.commit([record("b", "zombie")])).rejects.toThrow(FencedError);
        await expect(old.commit([])).rejects.toThrow(FencedError);
        expect(await entries()).toEqual(["a=old", "b=young"]);
      });
      it("is not fenced by a writer of another partition", async () => {
        const [zero, one] = [await writer(0), await writer(1)];
        await zero.commit([record("a", "0")]);
        await one.commit([record("a", "1")]);
        await zero.commit([record("b", "0")]);
        expect(await entries()).toEqual(["a=0", "b=0"]);
      });
      it("stores nothing of a batch with a bad record, and goes on", async () => {
        const w = await writer();
        await expect(w.commit([record("a", "1"), record(null, "2")])).rejects.toThrow(BadRecordError);
        await w.commit([record("b", "3")]);
        expect(await entries()).toEqual(["b=3"]);
      });
      it("takes an empty batch", async () => {
        const w = await writer();
        const end = await w.commit([record("a", "1")]);
        expect(await w.commit([])).toBeGreaterThanOrEqual(end);
        expect(await entries()).toEqual(["a=1"]);
      });
      it("commits nothing after close", async () => {
        const w = await writer();
        await w.close();
        await w.close();
        await expect(w.commit([record("a", "1")])).rejects.toThrow(ClosedError);
        expect(await entries()).toEqual([]);
      });
      it("opened after a restart goes on behind what was committed", async () => {
        await (await writer()).commit([record("a", "1")]);
        await reopen();
        await (await writer()).commit([record("b", "2")]);
        expect(await entries()).toEqual(["a=1", "b=2"]);
      });
    });

    it("L6 a reader of the changelog that waits gets a committed batch, never a fenced one", async () => {
      const [old, young] = [await writer(), await writer()];
      const reader = log.reader(CHANGELOG.name, 0, (await log.offsets(CHANGELOG.name, 0)).end);
      const read = reader.read(READ_WAITING);
      await expect(old.commit([record("a", "zombie")])).rejects.toThrow(FencedError);
      await young.commit([record("a", "1"), record("b", "2")]);
      expect((await read).map(entryOf)).toEqual(["a=1", "b=2"]);
    });

    it("L7 a compacted topic keeps the newest record of each key, by appends and by commits", async () => {
      const w = await writer();
      for (let i = 0; i < 300; i += 1) await w.commit([record(`k${i % 7}`, String(i)), record("meta", String(i))]);
      const newest = new Map((await readAll(log, CHANGELOG)).map((r) => [r.key, valueOf(r)]));
      const expected = Array.from({ length: 7 }, (_, k) => [`k${k}`, String(299 - ((299 - k) % 7))] as const);
      expect(newest).toEqual(new Map([...expected, ["meta", "299"]]));
    });

    describe("L8 group offsets", () => {
      const at5 = { offset: at(5), metadata: "" };
      const commit = (group: string, partition: number, n: number, metadata = ""): Promise<void> =>
        log.commitGroupOffset(group, INBOX.name, partition, { offset: at(n), metadata });
      it("are null at first, then the newest, even a lower one, with its metadata", async () => {
        expect(await log.groupOffset("g", INBOX.name, 0)).toBeNull();
        await commit("g", 0, 7, "mark 3/1 – ☃");
        expect(await log.groupOffset("g", INBOX.name, 0)).toEqual({ offset: 7, metadata: "mark 3/1 – ☃" });
        await commit("g", 0, 5);
        expect(await log.groupOffset("g", INBOX.name, 0)).toEqual(at5);
      });
      it("belong to one group and one partition", async () => {
        await commit("g", 0, 5);
        expect(await log.groupOffset("g2", INBOX.name, 0)).toBeNull();
        expect(await log.groupOffset("g", INBOX.name, 1)).toBeNull();
      });
      it("survive a restart", async () => {
        await Promise.all([commit("g", 0, 3), commit("g", 0, 4), commit("g", 0, 5)]);
        await reopen();
        expect(await log.groupOffset("g", INBOX.name, 0)).toEqual(at5);
      });
    });

    it("close ends waiting reads with nothing; afterwards everything rejects with ClosedError", async () => {
      const read = readerAt(0).read(READ_WAITING);
      const open = await writer();
      await log.close();
      await log.close();
      expect(await read).toEqual([]);
      await expect(append("a")).rejects.toThrow(ClosedError);
      await expect(open.commit([record("a", "1")])).rejects.toThrow(ClosedError);
      await expect(writer()).rejects.toThrow(ClosedError);
      await expect(log.offsets(INBOX.name, 0)).rejects.toThrow(ClosedError);
      await expect(log.topicId(INBOX.name)).rejects.toThrow(ClosedError);
      await expect(log.ensureTopics([INBOX])).rejects.toThrow(ClosedError);
      await expect(log.groupOffset("g", INBOX.name, 0)).rejects.toThrow(ClosedError);
      expect(() => readerAt(0)).toThrow(ClosedError);
      await reopen();
      expect((await log.offsets(INBOX.name, 0)).end).toBe(0);
    });
  });
}
