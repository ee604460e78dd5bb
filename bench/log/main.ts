/**
 * What a record costs in the embedded log: appended in batches of 1, 10 and 500, by one caller or by many at once, and
 * read back. Records of a 36-byte key and a 300-byte value, on 4 partitions. `npm run bench:log`.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EmbeddedLog } from "../../engine/src/adapters/embedded/index.js";
import { recordsKey } from "../../engine/src/adapters/embedded/keys.js";
import { SystemClock } from "../../engine/src/adapters/memory/index.js";
import { NativeDb } from "../../engine/src/adapters/rocksdb/native-db.js";
import type { NewRecord } from "../../clients/src/ports/log.js";
import { measure, print, rounds } from "../figures.js";
import type { Figure } from "../figures.js";

const PARTITIONS = 4;
const TOPIC = { name: "bench", partitions: PARTITIONS, policy: "delete", retentionMs: 86_400_000 } as const;
const ROUNDS = 5;

const records = (count: number): readonly NewRecord[] =>
  Array.from({ length: count }, (_, i) => ({ key: `key-${i}`.padEnd(36, "k"), value: Buffer.alloc(300, i) }));

async function withLog<T>(
  options: { readonly fsync: boolean; readonly tailBytesMax?: number },
  use: (log: EmbeddedLog) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "eddy-bench-"));
  const log = await EmbeddedLog.open(directory, { clock: new SystemClock(), logger: console, ...options });
  await log.ensureTopics([TOPIC]);
  try {
    return await use(log);
  } finally {
    await log.close();
    await rm(directory, { recursive: true });
  }
}

/** `callers` at once, each of which waits for its acknowledgement before it appends again. */
async function append(log: EmbeddedLog, callers: number, batch: number, total: number): Promise<void> {
  const each = records(batch);
  let left = total;
  const caller = async (n: number): Promise<void> => {
    for (; left > 0; left -= batch) await log.append(TOPIC.name, n % PARTITIONS, each);
  };
  await Promise.all(Array.from({ length: callers }, (_, n) => caller(n)));
}

async function read(log: EmbeddedLog, recordsMax: number): Promise<void> {
  for (let p = 0; p < PARTITIONS; p += 1) {
    const { start, end } = await log.offsets(TOPIC.name, p);
    const reader = log.reader(TOPIC.name, p, start);
    while (reader.position < end) await reader.read({ recordsMax, waitMs: 0 });
  }
}

const appends =
  (callers: number, batch: number, total: number, fsync = false) =>
  (): Promise<Figure> =>
    withLog({ fsync }, (log) => measure(total, () => append(log, callers, batch, total)));

const reads = (batch: number, total: number, tailBytesMax: number) => (): Promise<Figure> =>
  withLog({ fsync: false, tailBytesMax }, async (log) => {
    await append(log, PARTITIONS, batch, total);
    return measure(total, () => read(log, 500));
  });

/** The other layout, for comparison: one row of the database per record. */
const rowPerRecord = (batch: number, total: number) => async (): Promise<Figure> => {
  const directory = await mkdtemp(join(tmpdir(), "eddy-bench-"));
  const db = await NativeDb.open(directory, { writeBufferBytes: 32 * 1_048_576 });
  const value = Buffer.alloc(340);
  const figure = await measure(total, async () => {
    for (let at = 0; at < total; at += batch) {
      await db.write((to) => {
        for (let i = 0; i < batch; i += 1) to.put(recordsKey(1, 0, at + i), value);
      });
    }
  });
  await db.close();
  await rm(directory, { recursive: true });
  return figure;
};

print(
  "append, acknowledged = in the write-ahead log",
  await rounds(
    ROUNDS,
    new Map([
      ["1 caller, batches of 1", appends(1, 1, 5_000)],
      ["1 caller, batches of 10", appends(1, 10, 50_000)],
      ["1 caller, batches of 500", appends(1, 500, 500_000)],
      ["64 callers, batches of 1", appends(64, 1, 100_000)],
      ["64 callers, batches of 10", appends(64, 10, 300_000)],
      ["one row per record: 1 caller, batches of 1", rowPerRecord(1, 5_000)],
      ["one row per record: 1 caller, batches of 10", rowPerRecord(10, 50_000)],
      ["one row per record: 1 caller, batches of 500", rowPerRecord(500, 500_000)],
    ]),
  ),
);
print(
  "append with fsync",
  await rounds(
    ROUNDS,
    new Map([
      ["1 caller, batches of 1", appends(1, 1, 500, true)],
      ["64 callers, batches of 1", appends(64, 1, 10_000, true)],
      ["64 callers, batches of 10", appends(64, 10, 50_000, true)],
    ]),
  ),
);
print(
  "read, 500 at a time",
  await rounds(
    ROUNDS,
    new Map([
      ["from memory, written in batches of 10", reads(10, 50_000, 64 * 1_048_576)],
      ["from the disk, written in batches of 1", reads(1, 20_000, 0)],
      ["from the disk, written in batches of 10", reads(10, 100_000, 0)],
      ["from the disk, written in batches of 500", reads(500, 500_000, 0)],
    ]),
  ),
);
