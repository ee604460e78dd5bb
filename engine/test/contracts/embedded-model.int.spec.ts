/** Random appends, cleaning, restarts and moves of time on an embedded log, against a list that keeps everything. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { EmbeddedLog } from "../../src/adapters/embedded/index.js";
import { ManualClock } from "../../src/adapters/memory/index.js";
import type { LogRecord, TopicSpec } from "../../../clients/src/ports/log.js";
import { CHANGELOG, INBOX, at, readAll, record, tombstone, valueOf } from "./log-world.js";

const ACTIONS_MAX = 40;
/** Without shrinking: a failure must be told before the test runs out of time. */
const OF_RUNS = { numRuns: 15, endOnFailure: true };

type Action =
  | { readonly kind: "append"; readonly keys: readonly number[]; readonly deletes: boolean; readonly size: number }
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "clean" }
  | { readonly kind: "reopen" };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      keys: fc.array(fc.nat(40), { minLength: 1, maxLength: 20 }),
      deletes: fc.boolean(),
      // Some batches are so large that few fit a page, or one is cut in several.
      size: fc.constantFrom(1, 1, 1, 8_000),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.integer({ min: -5_000, max: 20_000 }) }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: "clean" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "reopen" as const }) },
);

type Held = Pick<LogRecord, "offset" | "key" | "appendTimeMs"> & { readonly text: string | null };
/** Values are told apart by how they begin and how long they are. */
function held(r: LogRecord): Held {
  const text = valueOf(r);
  return {
    offset: r.offset,
    key: r.key,
    appendTimeMs: r.appendTimeMs,
    text: text && `${text.slice(0, 8)} ${text.length}`,
  };
}

/** A log, and beside it a list of every record that it was ever given. */
class Pair {
  readonly given: Held[] = [];
  /** Records older than this may be gone. */
  expiredMs = 0;
  /** Records older than this must be gone. */
  cleanedMs = 0;
  readonly spec: TopicSpec;
  readonly #directory: string;
  readonly #clock = new ManualClock();
  #log: EmbeddedLog | null = null;

  constructor(directory: string, spec: TopicSpec) {
    this.#directory = directory;
    this.spec = spec;
  }

  get log(): EmbeddedLog {
    return this.#log ?? expect.fail("the log is not open");
  }

  async open(): Promise<void> {
    const logger = { error: (_: object, message: string) => expect.fail(message) };
    const bounds = { tailBytesMax: 20_000, notedKeysMax: 30, writeBufferBytes: 65_536 };
    this.#log = await EmbeddedLog.open(this.#directory, { clock: this.#clock, fsync: false, logger, ...bounds });
    await this.log.ensureTopics([this.spec]);
  }

  async act(action: Action): Promise<void> {
    switch (action.kind) {
      case "append":
        return this.#append(action);
      case "pass":
        this.#clock.advance(action.ms);
        this.expiredMs = Math.max(this.expiredMs, this.#clock.nowMs() - this.spec.retentionMs);
        // Time may have started retention in the background: reads of this test must not race with it.
        await new Promise((turn) => setImmediate(turn));
        return this.log.cleaned();
      case "clean":
        this.cleanedMs = Math.max(this.cleanedMs, this.#clock.nowMs() - this.spec.retentionMs);
        return this.log.clean();
      case "reopen":
        await this.log.close();
        return this.open();
    }
  }

  async held(): Promise<readonly Held[]> {
    return (await readAll(this.log, this.spec)).map(held);
  }

  async #append({ keys, deletes, size }: Extract<Action, { kind: "append" }>): Promise<void> {
    const base = this.given.length;
    const records = keys.map((key, i) => {
      const mayDelete = deletes && this.spec.policy === "compact" && key % 3 === 0;
      return mayDelete ? tombstone(`k${key}`) : record(`k${key}`, String(base + i).padEnd(size, "."));
    });
    const { baseOffset, appendTimeMs } = await this.log.append(this.spec.name, 0, records);
    expect(baseOffset).toBe(base);
    expect(appendTimeMs).toBe(Math.max(this.given.at(-1)?.appendTimeMs ?? 0, this.#clock.nowMs()));
    for (const [i, each] of records.entries()) this.given.push(held({ ...each, offset: at(base + i), appendTimeMs }));
  }
}

async function play(spec: TopicSpec, actions: readonly Action[], check: (pair: Pair) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "eddy-model-"));
  const pair = new Pair(directory, spec);
  await pair.open();
  try {
    for (const each of [...actions, { kind: "clean" as const }]) {
      await pair.act(each);
      if (each.kind !== "append") await check(pair);
    }
  } finally {
    await pair.log.close();
    await rm(directory, { recursive: true });
  }
}

/** What a reader of the whole topic ends up with. */
function stateOf(records: readonly Held[]): Map<string | null, string> {
  const state = new Map<string | null, string>();
  for (const { key, text } of records) {
    if (text === null) state.delete(key);
    else state.set(key, text);
  }
  return state;
}

const scripts = fc.array(action, { minLength: 5, maxLength: ACTIONS_MAX, size: "max" });

it("L4 retention drops a front of the log and nothing else: what is too old, and no younger record", async () => {
  const check = async (pair: Pair): Promise<void> => {
    const { start, end } = await pair.log.offsets(pair.spec.name, 0);
    const firstSince = (ms: number): number => pair.given.filter((r) => r.appendTimeMs < ms).length;
    expect(end).toBe(pair.given.length);
    expect(start).toBeGreaterThanOrEqual(firstSince(pair.cleanedMs));
    expect(start).toBeLessThanOrEqual(firstSince(pair.expiredMs));
    expect(await pair.held()).toEqual(pair.given.slice(start));
  };
  await fc.assert(
    fc.asyncProperty(scripts, (actions) => play(INBOX, actions, check)),
    OF_RUNS,
  );
});

it("L7 compaction keeps what a reader of the topic ends up with, and every record as it was", async () => {
  const check = async (pair: Pair): Promise<void> => {
    const records = await pair.held();
    expect(records).toEqual(records.map((r) => pair.given[r.offset]));
    expect(stateOf(records)).toEqual(stateOf(pair.given));
    const offsets = records.map((r) => r.offset);
    expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b));
    // Tombstones too, until they are old.
    const newest = new Map(pair.given.map((r) => [r.key, r]));
    for (const r of newest.values()) if (r.appendTimeMs >= pair.expiredMs) expect(records).toContainEqual(r);
  };
  await fc.assert(
    fc.asyncProperty(scripts, (actions) => play(CHANGELOG, actions, check)),
    OF_RUNS,
  );
});

it("L7 a whole compaction leaves one record per key, and no tombstone that is too old", async () => {
  const check = async (pair: Pair): Promise<void> => {
    await pair.act({ kind: "clean" });
    const records = await pair.held();
    expect(new Set(records.map((r) => r.key)).size).toBe(records.length);
    expect(records.filter((r) => r.text === null && r.appendTimeMs < pair.cleanedMs)).toEqual([]);
  };
  await fc.assert(
    fc.asyncProperty(scripts, (actions) => play(CHANGELOG, actions, check)),
    OF_RUNS,
  );
});
