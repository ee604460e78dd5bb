/** Events as they were received: found in the inbox of their home, whatever came of them. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeInbox, errorReply, eventReply, type EventView } from "@eddy/schemas";
import { MemoryStoreFactory } from "../../src/adapters/memory/memory-store.js";
import { Peers } from "../../src/gateway/peers.js";
import { HistoryTailer } from "../../src/history/history-tailer.js";
import type { StoreBatch, StoreFactory } from "../../src/ports/store.js";
import { TOPICS, until, world, type World } from "./fixtures.js";
import { FakeOwners, TestGateway } from "./gateway-fixtures.js";
import { DAY_MS, HistoryWriter, receive, runOn, tailerDeps } from "./history-fixtures.js";

const ALL = [0, 1, 2, 3];
const event = (id: string, data: object = {}) => ({ id, name: "cart/added", ts: 1_000, data });

describe("an event", () => {
  let w: World;
  let stores: MemoryStoreFactory;
  let tailers: HistoryTailer[];
  let open: TestGateway[];
  let a: string;
  let b: string;

  beforeEach(async () => {
    w = await world();
    stores = new MemoryStoreFactory();
    tailers = ALL.map((partition) => new HistoryTailer(tailerDeps(w, partition, { stores })));
    await Promise.all(tailers.map((tailer) => tailer.start()));
    open = [];
    const [first, second] = [await gateway(), await gateway()];
    for (const partition of [2, 3]) first.owners.elsewhere.set(partition, second.url);
    for (const partition of [0, 1]) second.owners.elsewhere.set(partition, first.url);
    [a, b] = [first.url, second.url];
  });
  afterEach(async () => {
    await Promise.all(open.map(({ gateway: face }) => face.close()));
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
  async function shown(url: string, id: string): Promise<EventView> {
    const reply = await fetch(`${url}/v1/events/${encodeURIComponent(id)}`);
    expect(reply.status).toBe(200);
    return eventReply.parse(await reply.json()).data;
  }
  async function expectMissing(id: string): Promise<void> {
    for (const url of [a, b]) {
      const reply = await fetch(`${url}/v1/events/${encodeURIComponent(id)}`);
      expect(reply.status).toBe(404);
      expect(errorReply.parse(await reply.json()).error).toMatchObject({ code: "EVENT_NOT_FOUND", path: "id" });
    }
  }
  async function restart(partition: number): Promise<void> {
    await tailers[partition]?.stop();
    tailers[partition] = new HistoryTailer(tailerDeps(w, partition, { stores }));
    await tailers[partition].start();
  }

  it("is shown as it was received, whoever is asked, also where it started nothing", async () => {
    const given = { ...event("e 1/ü", { cart: "c1", ü: [1, null] }), user: { id: 7 }, v: "2" };
    await receive(w, 3, given);
    for (const url of [a, b]) {
      expect(await shown(url, "e 1/ü")).toEqual({
        id: "e 1/ü",
        name: "cart/added",
        received_at: new Date(w.clock.nowMs()).toISOString(),
        event: given,
        runs: [],
      });
    }
  });

  it("is found at once after its sender was answered", async () => {
    for (let i = 0; i < 20; i += 1) {
      const headers = { "content-type": "application/json" };
      const sent = await fetch(`${a}/e/dev`, { method: "POST", headers, body: `{"name":"x","data":{"i":${i}}}` });
      const { ids } = (await sent.json()) as { ids: [string] };
      expect((await shown(b, ids[0])).event).toMatchObject({ name: "x", data: { i } });
    }
  });

  it("shows the runs that it started, on all partitions", async () => {
    const write = new HistoryWriter(w);
    await receive(w, 1, event("e"));
    for (const partition of [0, 3]) await write.start(runOn(partition), { atMs: 5_000 - partition });
    await write.complete(runOn(3));
    const { runs } = await shown(a, "e");
    expect(runs).toMatchObject([
      { run_id: runOn(3), status: "Completed" },
      { run_id: runOn(0), status: "Running" },
    ]);
  });

  it("is one event, however many copies and repeats of it there are: the first that was received", async () => {
    await receive(w, 2, event("e", { n: "home" }));
    await receive(w, 3, event("e", { n: "copy" }), { home: 2 });
    const source = { partition: 2, offset: 0, index: 0 };
    const origin = { as: "repeat", isStale: false, atMs: 1, offset: 0, source } as const;
    await receive(w, 3, event("e", { n: "repeat" }), { home: 2, origin });
    w.clock.advance(1);
    await receive(w, 2, event("e", { n: "again" }));
    await receive(w, 0, event("e", { n: "elsewhere" }));
    for (const url of [a, b]) expect((await shown(url, "e")).event?.["data"]).toEqual({ n: "home" });
  });

  it("is not there: 404, also for ids that are too long and for what does not decode", async () => {
    await w.log.append(TOPICS.inbox, 0, [{ key: "e", value: new Uint8Array([1, 0, 9, 9]) }]);
    await w.log.append(TOPICS.inbox, 0, [{ key: "e", value: encodeInbox({ kind: "tick" }) }]);
    for (const id of ["e", "x".repeat(300), "../runs"]) await expectMissing(id);
  });

  it("is found after a restart, also where the store lost its newest batches", async () => {
    await receive(w, 1, event("one"));
    await shown(a, "one");
    await Promise.all(tailers.map((tailer) => tailer.stop()));
    stores.crash(1);
    await receive(w, 1, event("two"));
    await Promise.all(ALL.map((partition) => restart(partition)));
    for (const id of ["one", "two"]) expect((await shown(a, id)).id).toBe(id);
  });

  it("is found after days, across midnight; then only its runs are known, then nothing", async () => {
    const write = new HistoryWriter(w);
    await receive(w, 1, event("e"));
    await write.start(runOn(1));
    await write.complete(runOn(1));
    w.clock.advance(2 * DAY_MS);
    expect((await shown(a, "e")).event).not.toBeNull();
    w.clock.advance(2 * DAY_MS);
    w.log.inner.clean();
    expect(await shown(a, "e")).toMatchObject({ name: "cart/added", received_at: null, event: null, runs: [{}] });
    w.clock.advance(6 * DAY_MS);
    await write.start(runOn(1, "shop/other", "f"), { functionId: "shop/other", eventId: "f" });
    await receive(w, 1, event("f"));
    await shown(a, "f");
    await expectMissing("e");
  });

  it("leaves no key behind once the inbox has dropped it", async () => {
    await receive(w, 1, event("e"));
    await shown(a, "e");
    await tailers[1]?.stop();
    const keys = async (): Promise<number> => {
      const store = await stores.open("history-1");
      const rows = await store.scan({ from: "e|", to: "e}", limit: 10 });
      await store.close();
      return rows.length;
    };
    expect(await keys()).toBe(1);
    w.clock.advance(5 * DAY_MS);
    await receive(w, 1, { ...event("f"), name: "other" });
    await restart(1);
    await shown(a, "f");
    await tailers[1]?.stop();
    expect(await keys()).toBe(1);
  });

  it("is read anew where the inbox is another one", async () => {
    await receive(w, 1, event("e"));
    await shown(a, "e");
    await tailers[1]?.stop();
    w.log.inner.deleteTopic(TOPICS.inbox);
    await w.log.ensureTopics([{ name: TOPICS.inbox, partitions: 4, policy: "delete", retentionMs: DAY_MS }]);
    await receive(w, 1, event("f"));
    await restart(1);
    await until("it is read", async () => (await tailers[1]?.event("f").catch(() => null)) ?? null);
    expect(await tailers[1]?.event("e")).toBeNull();
  });

  it("is found again after trouble of its own: runs are looked up meanwhile, events are not", async () => {
    await tailers[1]?.stop();
    let isBroken = true;
    const broken: StoreFactory = {
      open: async (name) => {
        const store = await stores.open(name);
        const write = (batch: StoreBatch): Promise<void> => {
          const isEvents = batch.puts.some(([key]) => key === "n");
          return isBroken && isEvents ? Promise.reject(new Error("a bug")) : store.write(batch);
        };
        return {
          getMany: (keys) => store.getMany(keys),
          scan: (range) => store.scan(range),
          close: () => store.close(),
          write,
        };
      },
      destroy: (name) => stores.destroy(name),
    };
    tailers[1] = new HistoryTailer(tailerDeps(w, 1, { stores: broken }));
    await receive(w, 1, event("e"));
    await tailers[1].start();
    await until("it is told", () => w.logger.lines.some(({ message }) => message.startsWith("events cannot be")));
    expect((await fetch(`${b}/v1/events/e`)).status).toBe(503);
    expect((await fetch(`${b}/v1/runs`)).status).toBe(200);
    isBroken = false;
    w.clock.advance(1_000);
    await until("it is found", async () => (await fetch(`${b}/v1/events/e`)).status === 200);
  });

  it("answers 503 with Retry-After, never a part, while a partition cannot answer", async () => {
    await receive(w, 0, event("e"));
    await tailers[3]?.stop();
    for (const url of [a, b]) {
      const reply = await fetch(`${url}/v1/events/e`);
      expect(reply.status).toBe(503);
      expect(reply.headers.get("retry-after")).toBe("1");
    }
  });
});
