/** What the disk shows of an embedded log, and what it can do to it. */
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EmbeddedLog } from "../../src/adapters/embedded/index.js";
import type { EmbeddedLogOptions } from "../../src/adapters/embedded/index.js";
import { kindRange } from "../../src/adapters/embedded/keys.js";
import { openForSync } from "../../src/adapters/embedded/wal-sync.js";
import { ManualClock } from "../../src/adapters/memory/index.js";
import { NativeDb } from "../../src/adapters/rocksdb/native-db.js";
import {
  ConfigError,
  OffsetOutOfRangeError,
  StateCorruptedError,
  StoreLockedError,
  TransientError,
} from "../../../clients/src/errors/codes.js";
import { CHANGELOG, INBOX, at, bytes, readAll, record, records, valueOf } from "./log-world.js";

let directory: string;
let clock: ManualClock;
const logged: object[] = [];
const opened: EmbeddedLog[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "eddy-log-"));
  clock = new ManualClock();
  logged.length = 0;
});
afterEach(async () => {
  for (const log of opened.splice(0)) await log.close();
  await rm(directory, { recursive: true });
});

async function open(options: Partial<EmbeddedLogOptions> = {}): Promise<EmbeddedLog> {
  const logger = { error: (fields: object, message: string) => void logged.push({ message, ...fields }) };
  const log = await EmbeddedLog.open(directory, { clock, fsync: false, logger, ...options });
  opened.push(log);
  await log.ensureTopics([INBOX, CHANGELOG]);
  return log;
}

/** Rows of a kind, of a closed log. */
async function rowsOf(kind: "records" | "partition"): Promise<number> {
  const db = await NativeDb.open(directory, { writeBufferBytes: 1_048_576 });
  const rows = await db.scan({ ...kindRange(kind), limit: 100_000 });
  await db.close();
  return rows.length;
}

describe("embedded log: its directory", () => {
  it("belongs to one owner: another gets StoreLockedError that names it", async () => {
    await open();
    const second = open();
    await expect(second).rejects.toThrow(StoreLockedError);
    await expect(second).rejects.toThrow(directory);
  });
  it("that is a file is a ConfigError", async () => {
    await writeFile(join(directory, "file"), "");
    const log = EmbeddedLog.open(join(directory, "file"), { clock, fsync: false, logger: { error: () => undefined } });
    await expect(log).rejects.toThrow(ConfigError);
  });
  it.each([
    ["its manifest", /^MANIFEST/],
    ["a table file", /\.sst$/],
  ])("with damage in %s is a StateCorruptedError, and is let go of", async (_, file) => {
    const log = await open();
    await log.append(INBOX.name, 0, records("a", "b"));
    await log.close();
    await (await open()).close(); // What was in the write-ahead log is in a table file now.
    for (const name of await readdir(directory)) {
      if (!file.test(name)) continue;
      const path = join(directory, name);
      await writeFile(path, (await readFile(path)).fill(0x55, 10));
    }
    await expect(open()).rejects.toThrow(StateCorruptedError);
    await expect(open()).rejects.toThrow(StateCorruptedError);
  });
  it("with a batch of records of another version is a StateCorruptedError, and is let go of", async () => {
    const log = await open();
    await log.append(INBOX.name, 0, records("a"));
    await log.close();
    const db = await NativeDb.open(directory, { writeBufferBytes: 1_048_576 });
    const [row] = await db.scan({ ...kindRange("records"), limit: 1 });
    await db.write((batch) => batch.put(row?.key ?? "", Buffer.concat([Buffer.of(99), bytes("newer")])));
    await db.close();
    await expect(open()).rejects.toThrow(StateCorruptedError);
    await expect(open()).rejects.toThrow(StateCorruptedError);
  });
});

describe("embedded log: batches", () => {
  it("holds appends that come together as few rows", async () => {
    const log = await open();
    await Promise.all(Array.from({ length: 1_000 }, (_, i) => log.append(INBOX.name, 0, records(String(i)))));
    await log.close();
    expect(await rowsOf("records")).toBeLessThanOrEqual(4);
    const reopened = await open();
    expect((await readAll(reopened, INBOX)).map(valueOf)).toEqual(Array.from({ length: 1_000 }, (_, i) => String(i)));
  });
  it("joins rows when it compacts, and deletes them when retention passes", async () => {
    const log = await open();
    for (let i = 0; i < 40; i += 1) await log.append(CHANGELOG.name, 0, [record(`k${i}`, "v")]);
    for (let i = 0; i < 40; i += 1) await log.append(INBOX.name, 0, records("v"));
    clock.advance(INBOX.retentionMs + 1);
    await log.clean();
    await log.close();
    expect(await rowsOf("records")).toBeLessThanOrEqual(3);
    expect(await readAll(await open(), CHANGELOG)).toHaveLength(40);
  });
  it("reads thousands of single ones from the disk, in pages and at once", async () => {
    const log = await open({ tailBytesMax: 0 });
    const count = 1_500;
    for (let i = 0; i < count; i += 1) await log.append(INBOX.name, 0, records(String(i)));
    const expected = Array.from({ length: count }, (_, i) => String(i));
    for (const recordsMax of [7, 100, 10_000]) {
      const reader = log.reader(INBOX.name, 0, at(0));
      const seen: (string | null)[] = [];
      while (reader.position < count) seen.push(...(await reader.read({ recordsMax, waitMs: 0 })).map(valueOf));
      expect(seen).toEqual(expected);
    }
  });
  it("G11 gives large records a few at a time", async () => {
    const log = await open({ tailBytesMax: 0 });
    for (let i = 0; i < 24; i += 1) await log.append(INBOX.name, 0, [record("k", "x".repeat(1_048_576))]);
    const reader = log.reader(INBOX.name, 0, at(0));
    const first = await reader.read({ recordsMax: 1_000, waitMs: 0 });
    expect(first.length).toBeGreaterThanOrEqual(4);
    expect(first.length).toBeLessThanOrEqual(12);
    expect(await readAll(log, INBOX)).toHaveLength(24);
  });
});

describe("embedded log: retention in the background", () => {
  /** Lets time pass, and what it starts come to rest. */
  async function pass(log: EmbeddedLog, ms: number): Promise<void> {
    clock.advance(ms);
    await new Promise((turn) => setImmediate(turn));
    await log.cleaned();
  }
  it("runs every minute", async () => {
    const log = await open();
    await log.append(INBOX.name, 0, records("a"));
    await pass(log, INBOX.retentionMs);
    expect((await log.offsets(INBOX.name, 0)).start).toBe(0);
    await pass(log, 59_999);
    expect((await log.offsets(INBOX.name, 0)).start).toBe(0);
    await pass(log, 1);
    expect((await log.offsets(INBOX.name, 0)).start).toBe(1);
  });
  it("L4 never makes a read that is under way skip records", async () => {
    const log = await open({ tailBytesMax: 0 });
    const count = 1_000;
    for (let i = 0; i < count; i += 1) {
      if (i === count / 2) clock.advance(1_000);
      await log.append(INBOX.name, 0, records(String(i)));
    }
    clock.advance(INBOX.retentionMs);
    const read = log.reader(INBOX.name, 0, at(0)).read({ recordsMax: count, waitMs: 0 });
    const outcome = read.then(
      (found) => found.map((r) => r.offset),
      (error: unknown) => error,
    );
    await log.clean();
    expect((await log.offsets(INBOX.name, 0)).start).toBe(count / 2);
    const found = await outcome;
    if (Array.isArray(found)) expect(found).toEqual(Array.from({ length: found.length }, (_, i) => i));
    else expect(found).toBeInstanceOf(OffsetOutOfRangeError);
  });
});

describe("embedded log: a disk that fails", () => {
  /** Opens a log whose syncs fail from the moment on that the answer's `fail` is called. */
  async function openFailing(): Promise<{ readonly log: EmbeddedLog; fail(): void; heal(): void }> {
    let failing = false;
    const check = (): void => {
      if (failing) throw new Error("no space left on device");
    };
    const log = await open({
      fsync: true,
      openForSync: async (path) => {
        const file = await openForSync(path);
        if (file === null) return null;
        const datasync = async (): Promise<void> => {
          check();
          await file.datasync();
        };
        return { datasync, sync: () => file.sync(), close: () => file.close() };
      },
    });
    return { log, fail: () => void (failing = true), heal: () => void (failing = false) };
  }

  it("L3 refuses everything after a write of unknown outcome, shows none of it, is well once reopened", async () => {
    const { log, fail } = await openFailing();
    await log.append(INBOX.name, 0, records("a"));
    fail();
    const ends = await Promise.allSettled([
      log.append(INBOX.name, 0, records("b")),
      log.append(INBOX.name, 1, records("c")),
    ]);
    for (const end of ends) expect(end).toMatchObject({ status: "rejected", reason: expect.any(TransientError) });
    await expect(log.append(INBOX.name, 0, records("d"))).rejects.toThrow(TransientError);
    await expect(log.openChangelogWriter(CHANGELOG.name, 0)).rejects.toThrow(TransientError);
    expect((await readAll(log, INBOX)).map(valueOf)).toEqual(["a"]);
    await log.close();
    const reopened = await open();
    expect(["a", "a,b"]).toContain((await readAll(reopened, INBOX)).map(valueOf).join());
    const { baseOffset } = await reopened.append(INBOX.name, 0, records("e"));
    expect((await readAll(reopened, INBOX, 0, baseOffset)).map(valueOf)).toEqual(["e"]);
  });
  it("tells the logger why cleaning in the background failed", async () => {
    const { log, fail } = await openFailing();
    const many = Array.from({ length: 1_500 }, (_, i) => record(`k${i % 3}`, String(i)));
    await log.append(CHANGELOG.name, 0, many);
    fail();
    await log.cleaned();
    const cleaning = logged.filter((line) => "error" in line);
    expect(cleaning).toMatchObject([{ directory, error: expect.any(TransientError) }]);
  });
  it("L3 takes writes again once it can, behind all that it acknowledged, for those who were there", async () => {
    const { log, fail, heal } = await openFailing();
    const writer = await log.openChangelogWriter(CHANGELOG.name, 0);
    await log.append(INBOX.name, 0, records("a"));
    const reader = log.reader(INBOX.name, 0, at(1));
    fail();
    for (const value of ["b", "c", "d"]) {
      await expect(log.append(INBOX.name, 0, records(value))).rejects.toThrow(/no space left on device/);
      clock.advance(1_000);
    }
    expect((await readAll(log, INBOX)).map(valueOf)).toEqual(["a"]);
    // Told once, however long it lasts.
    expect(logged).toMatchObject([{ message: expect.stringContaining("no space left on device"), directory }]);
    heal();
    const { baseOffset } = await log.append(INBOX.name, 0, records("e"));
    await writer.commit([record("k", "v")]);
    const all = (await readAll(log, INBOX)).map(valueOf);
    expect(["a,e", "a,b,e"]).toContain(all.join());
    expect(baseOffset).toBe(all.length - 1);
    const seen = await reader.read({ recordsMax: 10, waitMs: 0 });
    expect(seen.at(-1)).toMatchObject({ offset: baseOffset });
    await log.close();
    expect((await readAll(await open(), INBOX)).map(valueOf)).toEqual(all);
  });
  it("is not asked more often than each second whether it takes writes again", async () => {
    const { log, fail, heal } = await openFailing();
    fail();
    await expect(log.append(INBOX.name, 0, records("a"))).rejects.toThrow(TransientError);
    heal();
    clock.advance(999);
    await expect(log.append(INBOX.name, 0, records("b"))).rejects.toThrow(TransientError);
    clock.advance(1);
    await log.append(INBOX.name, 0, records("c"));
    expect((await readAll(log, INBOX)).map(valueOf).at(-1)).toBe("c");
  });
});
