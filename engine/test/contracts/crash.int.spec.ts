/**
 * kill -9, for real: a process writes, is killed at a random moment, and what it was told is durable must be there. The
 * seed is in the test's name; `EDDY_CRASH_SEED=<seed> npx vitest run engine/test/contracts/crash` replays its choices.
 */
import { randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Prng } from "../../sim/prng.js";
import { EmbeddedLog } from "../../src/adapters/embedded/index.js";
import { SystemClock } from "../../src/adapters/memory/index.js";
import { RocksDbStoreFactory } from "../../src/adapters/rocksdb/index.js";
import { losePower } from "./crash/disk.js";
import { killedAfter } from "./crash/killed-process.js";
import { GROUP, ROWS, STREAMS, batchSize } from "./crash/plan.js";
import { CHANGELOG, INBOX, readAll, valueOf } from "./log-world.js";

const seed = Number(process.env["EDDY_CRASH_SEED"] ?? randomInt(1_000_000));
const KILLS = 4;
const ACKS_MAX = 800;
const TEST_MS_MAX = 120_000;

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "eddy-crash-"));
});
afterEach(() => rm(directory, { recursive: true }));

/** What the acknowledgements of all rounds promise. */
class Promises {
  /** Per stream and batch: the partition's offset of its first record. */
  readonly batches = new Map<string, number>();
  /** Streams and batches that were seen in the log. */
  readonly found = new Set<string>();
  version = 0;
  groupVersion = 0;

  take(acks: readonly Record<string, number>[]): void {
    for (const { stream, batch, baseOffset, version, groupVersion } of acks) {
      if (baseOffset !== undefined) this.batches.set(`${stream}.${batch}`, baseOffset);
      this.version = Math.max(this.version, version ?? 0);
      this.groupVersion = Math.max(this.groupVersion, groupVersion ?? 0);
    }
  }
}

/** Batch of which stream a record's value tells, "<stream>.<batch>.<index>/<size>". */
function batchOf(value: string | null | undefined): readonly [stream: number, batch: number] {
  const [stream = NaN, batch = NaN] = (value ?? "").split(".").map(Number);
  return [stream, batch];
}

/** Checks one partition of the inbox. @returns the next batch of each of its streams. */
async function checkInbox(log: EmbeddedLog, partition: number, promises: Promises): Promise<Map<number, number>> {
  const records = await readAll(log, INBOX, partition);
  expect(records.map((r) => r.offset)).toEqual(records.map((_, i) => i));
  const values = records.map(valueOf);
  const next = new Map(STREAMS.filter((s) => s % INBOX.partitions === partition).map((s) => [s, 0]));
  for (let at = 0; at < values.length;) {
    const [stream, batch] = batchOf(values[at]);
    const size = batchSize(stream, batch);
    // Whole, in order, and each batch of a stream exactly once, after the one before it.
    expect(values.slice(at, at + size)).toEqual(
      Array.from({ length: size }, (_, i) => `${stream}.${batch}.${i}/${size}`),
    );
    expect(batch).toBe(next.get(stream));
    next.set(stream, batch + 1);
    // Where it was promised to be.
    expect(promises.batches.get(`${stream}.${batch}`) ?? at).toBe(at);
    promises.found.add(`${stream}.${batch}`);
    at += size;
  }
  return next;
}

/** @returns the version of all rows, which must be one and the same; 0 before the first. */
async function checkChangelog(log: EmbeddedLog): Promise<number> {
  const newest = new Map((await readAll(log, CHANGELOG)).map((r) => [r.key, valueOf(r)]));
  if (newest.size === 0) return 0;
  expect([...newest.keys()].sort()).toEqual([...ROWS].sort());
  expect(new Set(newest.values()).size).toBe(1);
  return Number(newest.get("meta"));
}

async function openLog(): Promise<EmbeddedLog> {
  const logger = { error: (fields: object, message: string) => expect.fail(`${message}: ${JSON.stringify(fields)}`) };
  const log = await EmbeddedLog.open(directory, { clock: new SystemClock(), fsync: false, logger });
  await log.ensureTopics([INBOX, CHANGELOG]);
  return log;
}

/** One life of the process, which ends with kill -9 or, with `fsync`, with a power loss, and what its successor finds. @returns how the next life goes on. */
async function liveAndDie(acksBeforeKill: number, fsync: boolean, goOn: readonly number[], promises: Promises) {
  const args = [directory, fsync ? "1" : "0", ...goOn.map(String)];
  const acks = await killedAfter(acksBeforeKill, "log-child.ts", args);
  promises.take(acks);
  if (fsync) await losePower(directory, acks);
  const log = await openLog();
  const next = new Map<number, number>();
  for (let p = 0; p < INBOX.partitions; p += 1) {
    for (const [stream, batch] of await checkInbox(log, p, promises)) next.set(stream, batch);
  }
  expect([...promises.batches.keys()].filter((batch) => !promises.found.has(batch))).toEqual([]);
  const version = await checkChangelog(log);
  expect(version).toBeGreaterThanOrEqual(promises.version);
  const group = await log.groupOffset(GROUP, CHANGELOG.name, 0);
  expect(Number(group?.metadata ?? 0)).toBeGreaterThanOrEqual(promises.groupVersion);
  expect(Number(group?.metadata ?? 0)).toBeLessThanOrEqual(version);
  await log.close();
  return [...STREAMS.map((s) => next.get(s) ?? 0), version + 1];
}

describe("kill -9", () => {
  it.each([
    ["kill -9", false],
    ["power loss, with fsync", true],
  ])(
    `G6, L1, L5, L8 after %s an embedded log holds all that was acknowledged, in order, whole, once (seed ${seed})`,
    async (_, fsync) => {
      const chance = new Prng(seed + (fsync ? 1 : 0));
      const promises = new Promises();
      let goOn: readonly number[] = [...STREAMS.map(() => 0), 1];
      for (let kill = 0; kill < KILLS; kill += 1) {
        goOn = await liveAndDie(1 + (chance.uint32() % ACKS_MAX), fsync, goOn, promises);
      }
      expect(promises.batches.size).toBeGreaterThan(KILLS);
    },
    TEST_MS_MAX,
  );

  it(
    `S1 a RocksDB store holds a whole batch, no older than the acknowledged one (seed ${seed})`,
    async () => {
      const chance = new Prng(seed);
      let version = 0;
      for (let kill = 0; kill < KILLS; kill += 1) {
        const args = [directory, String(version + 1)];
        const acks = await killedAfter(1 + (chance.uint32() % ACKS_MAX), "store-child.ts", args);
        const acknowledged = Math.max(...acks.map((ack) => ack["version"] ?? 0));
        const store = await new RocksDbStoreFactory(directory).open("state-0");
        const values = (await store.getMany(ROWS)).map((value) => Number(Buffer.from(value ?? []).toString()));
        expect(new Set(values).size).toBe(1);
        version = values[0] ?? NaN;
        expect(version).toBeGreaterThanOrEqual(acknowledged);
        const only = await store.scan({ from: "only-", to: "only-~", limit: 10 });
        expect(only.map(([key]) => key)).toEqual([`only-${version}`]);
        await store.close();
      }
    },
    TEST_MS_MAX,
  );
});
