/** Lists of runs over all partitions and engines: nothing twice, nothing left out, whatever starts and ends meanwhile. */
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { errorReply, LIMITS, runsReply, type RunsReply, type RunSummary } from "@eddy/schemas";
import { MemoryStoreFactory } from "../../src/adapters/memory/memory-store.js";
import { Peers } from "../../src/gateway/peers.js";
import { HistoryTailer } from "../../src/history/history-tailer.js";
import { world, type World } from "./fixtures.js";
import { FakeOwners, TestGateway } from "./gateway-fixtures.js";
import { DAY_MS, histories, HistoryWriter, runIdOf, runOn, tailerDeps } from "./history-fixtures.js";

let w: World;
let tailers: readonly HistoryTailer[];
let write: HistoryWriter;
let open: TestGateway[];

beforeEach(async () => {
  w = await world();
  tailers = await histories(w);
  write = new HistoryWriter(w);
  open = [];
});
afterEach(async () => {
  await Promise.all(open.map(({ gateway }) => gateway.close()));
  await Promise.all(tailers.map((tailer) => tailer.stop()));
  await w.close();
});

async function gateway(): Promise<{ owners: FakeOwners; url: string }> {
  const owners = new FakeOwners();
  owners.histories = tailers;
  const face = new TestGateway(w, { owners, peers: new Peers("test", 2_000) });
  open.push(face);
  return { owners, url: await face.listen() };
}
/** Two engines: partitions 0 and 1 are the first's. */
async function twoGateways(): Promise<readonly [string, string]> {
  const [a, b] = [await gateway(), await gateway()];
  for (const partition of [2, 3]) a.owners.elsewhere.set(partition, b.url);
  for (const partition of [0, 1]) b.owners.elsewhere.set(partition, a.url);
  return [a.url, b.url];
}

async function page(url: string, query: Record<string, string | number> = {}): Promise<RunsReply> {
  const pairs = Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]);
  const reply = await fetch(`${url}/v1/runs?${new URLSearchParams(pairs).toString()}`);
  expect(reply.status).toBe(200);
  return runsReply.parse(await reply.json());
}
/** All pages; `between` them something may happen. */
async function all(
  url: string,
  query: Record<string, string | number> = {},
  between: () => Promise<void> = () => Promise.resolve(),
): Promise<readonly RunSummary[]> {
  const found: RunSummary[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const reply = await page(url, cursor === "" ? query : { ...query, cursor });
    expect(reply.data.length).toBeLessThanOrEqual(Number(query["limit"] ?? LIMITS.runsPerPage));
    found.push(...reply.data);
    cursor = reply.next_cursor;
    await between();
  }
  return found;
}
const idsOf = (runs: readonly RunSummary[]): readonly string[] => runs.map(({ run_id }) => run_id);

describe("a list of runs", () => {
  it("has the newest start first, over all partitions, and says when there is no more", async () => {
    const { url } = await gateway();
    for (const [i, partition] of [2, 0, 3, 1].entries()) await write.start(runOn(partition), { atMs: 1_000 + i });
    expect(await page(url)).toMatchObject({ next_cursor: null });
    expect(idsOf((await page(url)).data)).toEqual([1, 3, 0, 2].map((partition) => runOn(partition)));
  });

  it("is empty where there is nothing", async () => {
    expect(await page((await gateway()).url)).toEqual({ data: [], next_cursor: null });
  });

  it("takes every filter, and all of them together", async () => {
    const { url } = await gateway();
    const [cart, mail, late] = [runOn(0), runOn(1, "shop/mail", "f"), runOn(2, "shop/cart", "g")];
    await write.start(cart, { atMs: 1_000 });
    await write.start(mail, { functionId: "shop/mail", eventName: "mail/due", atMs: 2_000 });
    await write.start(late, { eventName: "cart/opened", atMs: 3_000 });
    await write.complete(cart);
    await write.cancel(mail, "shop/mail");
    const found = async (query: Record<string, string>): Promise<readonly string[]> => idsOf(await all(url, query));
    expect(await found({ function: "shop/cart" })).toEqual([late, cart]);
    expect(await found({ function: "shop/nothing" })).toEqual([]);
    expect(await found({ event: "mail/due" })).toEqual([mail]);
    expect(await found({ status: "Running" })).toEqual([late]);
    expect(await found({ status: "Completed" })).toEqual([cart]);
    expect(await found({ status: "Cancelled" })).toEqual([mail]);
    expect(await found({ status: "Failed" })).toEqual([]);
    expect(await found({ from: "2000" })).toEqual([late, mail]);
    expect(await found({ until: "2000" })).toEqual([cart]);
    expect(await found({ from: "1970-01-01T00:00:01.001Z", until: "1970-01-01T01:00:03.001+01:00" })).toEqual([
      late,
      mail,
    ]);
    expect(await found({ function: "shop/cart", event: "cart/opened", status: "Running", from: "3000" })).toEqual([
      late,
    ]);
    expect(await found({ function: "shop/cart", event: "cart/opened", status: "Completed" })).toEqual([]);
  });

  it("gives runs that started in the same ms once each, however small the pages", async () => {
    const [a, b] = await twoGateways();
    const runs = Array.from({ length: 23 }, (_, i) => runIdOf("shop/cart", `e${i}`, `s:${i}`));
    for (const runId of runs) await write.start(runId);
    for (const limit of [1, 2, 7, 23, 100]) {
      for (const url of [a, b]) expect(idsOf(await all(url, { limit }))).toEqual([...runs].sort());
    }
  });

  it("merges partitions of which each has much more than a page, newest first", async () => {
    const [a, b] = await twoGateways();
    const made: { runId: string; atMs: number }[] = [];
    for (let i = 0; i < 160; i += 1) {
      const atMs = 1_000 + ((i * 7_919) % 1_009);
      // Half of them by age: the newest all on one partition. The others anywhere.
      const partition = i % 2 === 0 ? Math.floor((atMs - 1_000) / 253) : i % 4;
      made.push({ runId: runOn(partition, `shop/f${i}`), atMs });
    }
    for (const { runId, atMs } of made) await write.start(runId, { atMs });
    const expected = [...made].sort((x, y) => y.atMs - x.atMs || (x.runId < y.runId ? -1 : 1)).map((run) => run.runId);
    for (const url of [a, b]) {
      for (const limit of [5, 33, 100]) expect(idsOf(await all(url, { limit }))).toEqual(expected);
    }
    const { owners, url } = await gateway();
    owners.elsewhere.clear();
    for (const limit of [5, 33, 100]) expect(idsOf(await all(url, { limit }))).toEqual(expected);
  });

  it("neither repeats nor leaves out a run while others start and end between the pages", async () => {
    const scripts = fc.array(
      fc.record({
        atMs: fc.integer({ min: 1, max: 40 }),
        what: fc.constantFrom("start", "end"),
        which: fc.nat(60),
      }),
      { maxLength: 60 },
    );
    const [a, b] = await twoGateways();
    let made = 0;
    await fc.assert(
      fc.asyncProperty(scripts, fc.integer({ min: 1, max: 9 }), async (script, limit) => {
        const round = `shop/f${++made}`;
        const runs = new Map<string, "Running" | "Completed">();
        const start = async (atMs: number): Promise<void> => {
          const runId = runIdOf(round, `e${runs.size}`, `s:${runs.size}`);
          await write.start(runId, { functionId: round, atMs });
          runs.set(runId, "Running");
        };
        for (let i = 0; i < 20; i += 1) await start(10 + (i % 5));
        const first = new Set(runs.keys());
        let step = 0;
        const between = async (): Promise<void> => {
          for (const { atMs, what, which } of script.slice(step, (step += 6))) {
            const runId = [...runs.keys()][which % runs.size] ?? "";
            if (what === "start") await start(atMs);
            else if (runs.get(runId) === "Running") {
              await write.complete(runId, "done", round);
              runs.set(runId, "Completed");
            }
          }
        };
        const found = await all(made % 2 === 0 ? a : b, { function: round, limit }, between);
        const ids = idsOf(found);
        expect(new Set(ids).size).toBe(ids.length);
        for (const runId of first) expect(ids).toContain(runId);
        const places = found.map(({ run_started_at: at, run_id }) => `${8e15 - Date.parse(at)}|${run_id}`);
        expect([...places].sort()).toEqual(places);
      }),
      { numRuns: 25, seed: 7 },
    );
  });

  it("ends a page after so many runs that it looked at, and goes on there, in the order of all engines", async () => {
    const [a, b] = await twoGateways();
    const [older, old] = [runOn(0, "shop/cart", "older"), runOn(2, "shop/cart", "old")];
    await write.start(older, { atMs: 400 });
    await write.start(old, { atMs: 500 });
    for (const runId of [older, old]) await write.complete(runId);
    for (let i = 0; i <= LIMITS.runsExaminedMax; i += 1) {
      await write.start(runOn(2, `shop/f${i % 50}`, `e${i}`), { atMs: 1_000 + i });
    }
    for (const url of [a, b]) {
      const first = await page(url, { status: "Completed" });
      expect(first.data).toEqual([]);
      expect(first.next_cursor).not.toBeNull();
      expect(idsOf(await all(url, { status: "Completed" }))).toEqual([old, older]);
    }
  });

  it("shows a run that has ended as nothing but ended from then on, in every list", async () => {
    const [a, b] = await twoGateways();
    const runId = runOn(2);
    await write.start(runId);
    expect(idsOf(await all(a, { status: "Running" }))).toEqual([runId]);
    await write.complete(runId);
    for (const url of [a, b]) {
      expect(await all(url, { status: "Running" })).toEqual([]);
      expect(await all(url)).toMatchObject([{ run_id: runId, status: "Completed", output: "done" }]);
    }
    await write.again(); // As a takeover does.
    for (const url of [a, b]) {
      expect(await all(url, { status: "Running" })).toEqual([]);
      expect(idsOf(await all(url, { status: "Completed" }))).toEqual([runId]);
    }
  });

  it("forgets what retention drops, in every list", async () => {
    const { url } = await gateway();
    const old = runOn(1, "shop/old");
    await write.start(old, { functionId: "shop/old" });
    await write.cancel(old, "shop/old");
    await all(url); // It is read, and with it that it ended now.
    w.clock.advance(7 * DAY_MS + 1);
    await write.start(runOn(1, "shop/new"), { functionId: "shop/new" });
    for (const query of [{}, { function: "shop/old" }, { status: "Cancelled" }, { event: "cart/added" }]) {
      expect(idsOf(await all(url, query))).not.toContain(old);
    }
    const rows = await tailers[1]?.store.places("i|", "i}", 100);
    expect(rows?.map(({ runId }) => runId)).not.toContain(old);
  });

  it.each([
    ["nonsense", "1"],
    ["limit", "0"],
    ["limit", "101"],
    ["limit", "x"],
    ["limit", "1.5"],
    ["status", "running"],
    ["from", "yesterday"],
    ["until", "-1"],
    ["cursor", "nonsense"],
    ["cursor", Buffer.from("1|../../x").toString("base64url")],
    ["function", ""],
    ["event", "x".repeat(257)],
  ])("refuses ?%s=%s and names it", async (name, value) => {
    const { url } = await gateway();
    const reply = await fetch(`${url}/v1/runs?${new URLSearchParams([[name, value]]).toString()}`);
    expect(reply.status).toBe(400);
    expect(errorReply.parse(await reply.json()).error).toMatchObject({ code: "INVALID_QUERY", path: name });
  });

  it("answers 503 with Retry-After, never a part, while one partition cannot answer", async () => {
    const { owners, url } = await gateway();
    await write.start(runOn(0));
    owners.elsewhere.set(3, null);
    const reply = await fetch(`${url}/v1/runs`);
    expect(reply.status).toBe(503);
    expect(reply.headers.get("retry-after")).toBe("1");
  });
});

describe("a history store of an earlier layout", () => {
  it("is made anew from the topic", async () => {
    const { url } = await gateway();
    await write.start(runOn(1));
    expect(await all(url)).toHaveLength(1);
    const stores = new MemoryStoreFactory();
    const former = await stores.open("history-1");
    const position = { topicId: await w.log.topicId("eddy.test.history"), nextOffset: 1 };
    await former.write({ puts: [["m", new TextEncoder().encode(JSON.stringify(position))]], deletes: [] });
    await former.close();
    const tailer = new HistoryTailer(tailerDeps(w, 1, { stores }));
    await tailer.start();
    expect(await (await tailer.upToDate()).run(runOn(1))).not.toBeNull();
    await tailer.stop();
  });
});
