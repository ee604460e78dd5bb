/**
 * What a key costs in the store adapters: 200,000 keys of 40 bytes with values of 300. `npm run bench:store`; on Node 20
 * Level's binding takes part too.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemoryStoreFactory } from "../../engine/src/adapters/memory/index.js";
import { RocksDbStoreFactory } from "../../engine/src/adapters/rocksdb/index.js";
import { LevelStoreFactory, levelUnavailable } from "../../engine/src/adapters/rocksdb/level-store.js";
import type { Store, StoreFactory } from "../../engine/src/ports/store.js";
import { measure, print, rounds } from "../figures.js";
import type { Figure } from "../figures.js";

const KEYS = 200_000;
const OPERATIONS = 20_000;
const ROUNDS = 5;

const keyOf = (n: number): string => `r|${String(n).padStart(8, "0")}`.padEnd(40, "k");
/** Every key once, in an order that jumps about. */
const scattered = (n: number): string => keyOf((n * 7_919) % KEYS);
const value = Buffer.alloc(300, 7);

async function fill(store: Store): Promise<void> {
  for (let n = 0; n < KEYS; n += 1_000) {
    const puts = Array.from({ length: 1_000 }, (_, i) => [scattered(n + i), value] as const);
    await store.write({ puts, deletes: [] });
  }
}

/** `units` keys, `batch` at a time. */
const inBatches = (units: number, batch: number, act: (first: number) => Promise<unknown>) => (): Promise<Figure> =>
  measure(units, async () => {
    for (let n = 0; n < units; n += batch) await act(n);
  });

const keysFrom = (n: number, count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => scattered(n + i));

function candidates(name: string, store: Store): readonly (readonly [string, () => Promise<Figure>])[] {
  const put = (n: number, count: number): Promise<void> =>
    store.write({ puts: keysFrom(n, count).map((key) => [key, value] as const), deletes: [] });
  const scan = (n: number): Promise<unknown> => store.scan({ from: scattered(n), to: `${scattered(n)}~`, limit: 3 });
  return [
    [`${name}: get, one by one`, inBatches(OPERATIONS, 1, (n) => store.getMany([scattered(n)]))],
    [`${name}: getMany of 100, per key`, inBatches(OPERATIONS, 100, (n) => store.getMany(keysFrom(n, 100)))],
    [`${name}: scan of up to 3, per scan`, inBatches(OPERATIONS / 4, 1, scan)],
    [`${name}: write of 100, per key`, inBatches(OPERATIONS, 100, (n) => put(n, 100))],
    [`${name}: write of 1,000, per key`, inBatches(OPERATIONS, 1_000, (n) => put(n, 1_000))],
  ];
}

const directory = await mkdtemp(join(tmpdir(), "eddy-bench-"));
const factories: [string, StoreFactory][] = [
  ["rocksdb-native", new RocksDbStoreFactory(join(directory, "native"))],
  ["memory", new MemoryStoreFactory()],
];
const unavailable = levelUnavailable(process.versions.node);
if (unavailable === null) factories.push(["rocksdb 5.2.1", await LevelStoreFactory.load(join(directory, "level"))]);
else console.log(unavailable);

const stores: Store[] = [];
const all = new Map<string, () => Promise<Figure>>();
for (const [name, factory] of factories) {
  const store = await factory.open("bench");
  stores.push(store);
  await fill(store);
  for (const [what, run] of candidates(name, store)) all.set(what, run);
}
print(`${KEYS} keys, Node ${process.versions.node}`, await rounds(ROUNDS, all));
for (const store of stores) await store.close();
await rm(directory, { recursive: true });
