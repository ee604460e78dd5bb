/**
 * What a run and an event cost in the history store of a partition, and how long look-ups take: RocksDB, a log in memory.
 * `npx tsx --tsconfig tsconfig.check.json bench/history.bench.ts`
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { MemoryLog } from "../engine/src/adapters/memory/memory-log.js";
import { RocksDbStoreFactory } from "../engine/src/adapters/rocksdb/rocksdb-store.js";
import { HistoryLookup } from "../engine/src/history/history-lookup.js";
import { HistoryTailer } from "../engine/src/history/history-tailer.js";
import type { Store, StoreFactory } from "../engine/src/ports/store.js";
import { coreTopicSpecs, topicsOf } from "../clients/src/topics.js";
import { SystemClock } from "../clients/src/system-clock.js";
import { encodeHistory, encodeInbox, offset, runBaseOf, runIdAt, type HistoryEntry } from "../schemas/src/index.js";

const RUNS = 50_000;
const EVENTS = 200_000;
const utf8 = new TextEncoder();
const topics = topicsOf("bench");
const clock = new SystemClock();
const silent = { debug: () => undefined, info: () => undefined, warn: console.error, error: console.error };

/** Bytes of keys and values, by the first letter of the key. */
const written = new Map<string, number>();
function counted(inner: StoreFactory): StoreFactory {
  const count = (store: Store): Store => ({
    getMany: (keys) => store.getMany(keys),
    scan: (range) => store.scan(range),
    close: () => store.close(),
    write: (batch) => {
      for (const [key, value] of batch.puts) {
        const kind = key.charAt(0);
        written.set(kind, (written.get(kind) ?? 0) + key.length + value.length);
      }
      return store.write(batch);
    },
  });
  return { open: async (name) => count(await inner.open(name)), destroy: (name) => inner.destroy(name) };
}

/** The cart flow: started, dispatched, waits, resolved, dispatched, done. */
function entriesOf(n: number): readonly HistoryEntry[] {
  const base = { functionId: "shop/cart-abandonment-flow", eventName: "cart/product.added", eventId: `01J0000000${n}` };
  const runId = runIdAt(runBaseOf({ ...base, anchorValue: `s:cart-${n}` }), n);
  const of = { runId, functionId: base.functionId, atMs: 1_700_000_000_000 + n };
  const step = { ...of, stepId: "wait-for-purchase" };
  return [
    { kind: "runStarted", ...of, eventId: base.eventId, eventName: base.eventName, dueAtMs: of.atMs },
    { kind: "runDispatched", ...of, invocation: 1, reason: "start" },
    { kind: "waitStarted", ...step, eventName: "cart/purchased", untilMs: of.atMs + 86_400_000 },
    { kind: "waitResolved", ...step, eventId: `01J1111111${n}`, fromLookback: false },
    { kind: "runDispatched", ...of, invocation: 2, reason: "resume" },
    { kind: "runCompleted", ...of, data: utf8.encode('{"outcome":"bought"}') },
  ];
}

async function fill(log: MemoryLog): Promise<void> {
  for (let n = 0; n < RUNS; n += 500) {
    const records = Array.from({ length: 500 }, (_, i) => entriesOf(n + i)).flatMap((entries, i) =>
      entries.map((entry, index) => {
        return { key: entry.runId, value: encodeHistory({ offset: offset(2 * (n + i)), index }, entry) };
      }),
    );
    await log.append(topics.history, 0, records);
  }
  const payload = utf8.encode(JSON.stringify({ name: "cart/product.added", data: { x: "y".repeat(400) } }));
  for (let n = 0; n < EVENTS; n += 1_000) {
    const records = Array.from({ length: 1_000 }, (_, i) => {
      const event = { id: `01J0000000${n + i}`, idFrom: "user" as const, name: "cart/product.added", tsMs: 0 };
      const more = { values: [], payload, version: 1, home: 0, origin: null };
      return { key: null, value: encodeInbox({ kind: "event", ...event, ...more }) };
    });
    await log.append(topics.inbox, 0, records);
  }
}

async function timed(what: string, times: number, action: (i: number) => Promise<unknown>): Promise<void> {
  const cpu = process.cpuUsage();
  const begin = performance.now();
  for (let i = 0; i < times; i += 1) await action(i);
  const { user, system } = process.cpuUsage(cpu);
  const [wallMicros, cpuMicros] = [((performance.now() - begin) * 1_000) / times, (user + system) / times];
  console.log(JSON.stringify({ what, times, wallMicros: Math.round(wallMicros), cpuMicros: Math.round(cpuMicros) }));
}

const folder = mkdtempSync(join(tmpdir(), "eddy-bench-history-"));
const log = new MemoryLog(clock);
await log.ensureTopics(coreTopicSpecs(topics, 1));
await fill(log);
const inbox = { topic: topics.inbox, retentionMs: 3 * 86_400_000 };
const stores = counted(new RocksDbStoreFactory(folder));
const own = { topic: topics.history, inbox, partition: 0, retentionMs: 7 * 86_400_000 };
const deps = { log, stores, clock, logger: silent, ...own };
const tailer = new HistoryTailer(deps);
const lookup = new HistoryLookup({ partitions: 1, historyOf: () => tailer });
await timed(`read ${RUNS} runs of 6 entries (events beside them)`, 1, () => tailer.start());
await timed(`read the rest of ${EVENTS} events`, 1, async () => {
  for (let isRead = false; !isRead;) {
    isRead = await tailer.event("none").then(
      () => true,
      () => false,
    );
  }
});
for (const [kind, bytes] of [...written].sort()) {
  const per = kind === "e" || kind === "n" ? EVENTS : RUNS;
  console.log(JSON.stringify({ rows: kind, bytesPerItem: Math.round(bytes / per), items: per }));
}
const none = { functionId: null, status: null, eventName: null, fromMs: null, untilMs: null };
const runId = (i: number): string => entriesOf((i * 7_919) % RUNS)[0]?.runId ?? "";
await timed("GET one run", 1_000, (i) => lookup.runById(runId(i)));
await timed("GET one event", 1_000, (i) => lookup.event(`01J0000000${(i * 7_919) % EVENTS}`, [0]));
await timed("GET 20 newest runs", 500, () => lookup.runs({ filter: none, after: null, limit: 20 }, [0]));
await timed("GET 100 runs in the middle", 200, (i) =>
  lookup.runs({ filter: { ...none, untilMs: 1_700_000_000_000 + i * 100 + 200 }, after: null, limit: 100 }, [0]),
);
await timed("GET runs, none of 2,000 fits", 20, () =>
  lookup.runs(
    { filter: { ...none, eventName: "x", functionId: "shop/cart-abandonment-flow" }, after: null, limit: 20 },
    [0],
  ),
);
await tailer.stop();
rmSync(folder, { recursive: true });
