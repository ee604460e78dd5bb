/** Two gateways: each answers for its partitions, and asks the other for the rest. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeHistory, errorReply, offset, type RunSummary } from "@eddy/schemas";
import { MemoryStoreFactory } from "../../src/adapters/memory/memory-store.js";
import { FORWARDED_HEADER, PARTITIONS_HEADER, Peers } from "../../src/gateway/peers.js";
import { HistoryTailer } from "../../src/history/history-tailer.js";
import { inboxOf, PARTITIONS, settle, TOPICS, until, world, type World } from "./fixtures.js";
import { FakeOwners, TestGateway } from "./gateway-fixtures.js";
import { runIdOf, runOn, tailerDeps } from "./history-fixtures.js";

const ALL = [0, 1, 2, 3];

describe("engines that share a namespace", () => {
  let w: World;
  let tailers: HistoryTailer[];
  let owners: readonly [FakeOwners, FakeOwners];
  let faces: readonly [TestGateway, TestGateway];
  let a: string;
  let b: string;

  beforeEach(async () => {
    w = await world();
    const stores = new MemoryStoreFactory();
    tailers = ALL.map((partition) => new HistoryTailer(tailerDeps(w, partition, { stores })));
    for (const [partition, tailer] of tailers.entries()) {
      await tailer.start();
      await record(partition);
    }
    owners = [new FakeOwners(), new FakeOwners()];
    faces = owners.map((each) => new TestGateway(w, { owners: each, peers: new Peers("test", 300) })) as never;
    [a, b] = [await faces[0].listen(), await faces[1].listen()];
    for (const each of owners) each.histories = tailers;
    share(b, a);
  });
  afterEach(async () => {
    await Promise.all(faces.map(({ gateway }) => gateway.close()));
    await Promise.all(tailers.map((tailer) => tailer.stop()));
    await w.close();
  });

  /** The first engine has partitions 0 and 1; what each believes of the other. */
  function share(second: string | null, first: string | null): void {
    for (const partition of [2, 3]) owners[0].elsewhere.set(partition, second);
    for (const partition of [0, 1]) owners[1].elsewhere.set(partition, first);
  }
  async function record(partition: number): Promise<void> {
    const runId = runOn(partition);
    const entry = { runId, functionId: "shop/cart", eventId: "e", eventName: "cart/added", dueAtMs: 0 };
    const atMs = 1_000 * (PARTITIONS - partition);
    const value = encodeHistory({ offset: offset(1), index: 0 }, { kind: "runStarted", ...entry, atMs });
    const { baseOffset } = await w.log.append(TOPICS.history, partition, [{ key: runId, value }]);
    await tailers[partition]?.reached(offset(baseOffset + 1));
  }
  async function dataOf<T>(reply: Response): Promise<T> {
    expect(reply.status).toBe(200);
    return ((await reply.json()) as { data: T }).data;
  }
  async function expectUnavailable(reply: Response): Promise<void> {
    expect(reply.status).toBe(503);
    expect(reply.headers.get("retry-after")).toBe("1");
    expect(errorReply.parse(await reply.json()).error.code).toBe("UNAVAILABLE");
  }

  it("answers for every run, whoever is asked", async () => {
    for (const url of [a, b]) {
      for (const partition of ALL) {
        const runId = runOn(partition);
        expect(await dataOf<RunSummary>(await fetch(`${url}/v1/runs/${runId}`))).toMatchObject({ run_id: runId });
        expect(await dataOf(await fetch(`${url}/v1/runs/${runId}/timeline`))).toMatchObject([{ kind: "runStarted" }]);
      }
    }
  });

  it("shows all runs of an event, by their start, whoever is asked", async () => {
    for (const url of [a, b]) {
      const runs = await dataOf<RunSummary[]>(await fetch(`${url}/v1/events/e/runs`));
      expect(runs.map(({ run_id }) => run_id)).toEqual([3, 2, 1, 0].map((p) => runOn(p)));
    }
  });

  it("answers 404 for a run that its owner does not have", async () => {
    const unknown = runIdOf("shop/other", "x", "s:1");
    for (const url of [a, b]) {
      for (const path of [`/v1/runs/${unknown}`, `/v1/runs/${unknown}/timeline`, "/v1/runs/nope"]) {
        const reply = await fetch(url + path);
        expect(reply.status).toBe(404);
        expect(errorReply.parse(await reply.json()).error.code).toBe("RUN_NOT_FOUND");
      }
    }
  });

  it("never forwards what was forwarded: two that believe each other to be the owner both say so", async () => {
    for (const partition of ALL) {
      owners[0].elsewhere.set(partition, b);
      owners[1].elsewhere.set(partition, a);
    }
    for (const path of [`/v1/runs/${runOn(0)}`, `/v1/runs/${runOn(0)}/timeline`, "/v1/events/e/runs"]) {
      await expectUnavailable(await fetch(a + path));
    }
  });

  it("answers a forwarded look-up of an event from the partitions that are meant, or not at all", async () => {
    const ask = (partitions: string): Promise<Response> =>
      fetch(`${a}/v1/events/e/runs`, { headers: { [FORWARDED_HEADER]: "test", [PARTITIONS_HEADER]: partitions } });
    expect(await dataOf<RunSummary[]>(await ask("1"))).toMatchObject([{ run_id: runOn(1) }]);
    await expectUnavailable(await ask("1,2"));
    await expectUnavailable(await ask("1,4"));
    for (const wrong of ["", "1,", "x"]) expect((await ask(wrong)).status).toBe(400);
  });

  it.each<[string, () => unknown]>([
    ["no owner is known", () => share(null, null)],
    ["the owner does not serve yet", () => (faces[1].isStarting = true)],
    ["the owner is gone", () => faces[1].gateway.close()],
    ["the owner is of another namespace", () => moveTo("other")],
  ])("answers 503 with Retry-After, never a part, where %s", async (_, happens) => {
    await happens();
    for (const path of [`/v1/runs/${runOn(2)}`, `/v1/runs/${runOn(2)}/timeline`, "/v1/events/e/runs"]) {
      await expectUnavailable(await fetch(a + path));
    }
    await expectUnavailable(await fetch(`${a}/dev/clock`));
    expect((await fetch(`${a}/v1/runs/${runOn(1)}`)).status).toBe(200);
  });

  /** The address of the second engine went to one of another namespace. */
  async function moveTo(namespace: string): Promise<void> {
    const port = Number(new URL(b).port);
    await faces[1].gateway.close();
    faces = [faces[0], new TestGateway(w, { owners: owners[1], namespace })];
    await faces[1].listen(port);
  }

  it.each([
    ["hangs", () => undefined],
    ["is no engine", (answer: (status: number, body: string) => void) => answer(200, "<html>")],
    ["answers something else", (answer: (status: number, body: string) => void) => answer(200, '{"data":7}')],
    ["knows no such path", (answer: (status: number, body: string) => void) => answer(404, "{}")],
  ])("answers 503 where what has the owner's address %s", async (_, behave) => {
    const stranger: Server = createServer((__, response) => {
      behave((status, body) => response.writeHead(status, { "content-type": "application/json" }).end(body));
    });
    await new Promise<void>((resolve) => stranger.listen(0, "127.0.0.1", resolve));
    share(`http://127.0.0.1:${(stranger.address() as AddressInfo).port}`, null);
    for (const path of [`/v1/runs/${runOn(2)}`, "/v1/events/e/runs", "/dev/clock"]) {
      await expectUnavailable(await fetch(a + path));
    }
    stranger.closeAllConnections();
    await new Promise((resolve) => stranger.close(resolve));
  });

  it("tells other engines how far its partitions are, and nobody else", async () => {
    owners[0].fakes[1]!.advanceMs = 5;
    const reply = await fetch(`${a}/internal/partitions`, { headers: { [FORWARDED_HEADER]: "test" } });
    expect(await dataOf(reply)).toEqual([
      { partition: 0, status: "running", advanceMs: 0, processedOffset: -1 },
      { partition: 1, status: "running", advanceMs: 5, processedOffset: -1 },
    ]);
    expect((await fetch(`${a}/internal/partitions`)).status).toBe(404);
  });

  it("moves the clock of all partitions, and answers when all owners have applied it", async () => {
    const headers = { "content-type": "application/json" };
    const asked = fetch(`${a}/dev/clock/advance`, { method: "POST", headers, body: '{"by":1000}' });
    let isAnswered = false;
    void asked.then(() => (isAnswered = true));
    await until("advances in every inbox", async () => {
      const counts = await Promise.all(ALL.map(async (p) => (await inboxOf(w.log, p)).length));
      return counts.every((count) => count === 1);
    });
    for (const each of owners) Object.assign(each.fakes[0]!, { processedOffset: 0, advanceMs: 1_000 });
    for (const each of owners) Object.assign(each.fakes[1]!, { processedOffset: 0, advanceMs: 1_000 });
    Object.assign(owners[1].fakes[2]!, { processedOffset: 0, advanceMs: 1_000 });
    w.clock.advance(100);
    await settle();
    expect(isAnswered).toBe(false);
    Object.assign(owners[1].fakes[3]!, { processedOffset: 0, advanceMs: 1_000 });
    await until("the answer", () => {
      w.clock.advance(25);
      return isAnswered;
    });
    expect(await (await asked).json()).toMatchObject({ advancedMs: 1_000 });
    expect(await (await fetch(`${b}/dev/clock`)).json()).toMatchObject({ advancedMs: 1_000 });
  });

  it("does not believe an engine that tells of partitions which others have", async () => {
    const stale = faces[1].devClock;
    owners[1].elsewhere.clear();
    for (const fake of owners[1].fakes) fake.advanceMs = 1_000;
    for (const fake of owners[0].fakes.slice(0, 2)) fake.advanceMs = 3_000;
    for (const fake of owners[1].fakes.slice(2)) fake.advanceMs = 3_000;
    expect(await (await fetch(`${a}/dev/clock`)).json()).toMatchObject({ advancedMs: 3_000 });
    expect(stale.advanceMs).toBe(1_000);
  });

  it("knows the clock where it has no partition, by asking", async () => {
    for (const partition of ALL) owners[0].elsewhere.set(partition, b);
    owners[1].elsewhere.clear();
    for (const fake of owners[1].fakes) fake.advanceMs = 9_000;
    expect(faces[0].devClock.advanceMs).toBe(0);
    await until("it knows", () => faces[0].devClock.advanceMs === 9_000);
    for (const fake of owners[1].fakes) fake.advanceMs = 10_000;
    await until("it asks again, and not more often than it has to", () => {
      w.clock.advance(100);
      return faces[0].devClock.advanceMs === 10_000;
    });
  });
});

describe("a namespace that was not made for trying things", () => {
  it("has no clock that could be moved", async () => {
    const w = await world();
    const face = new TestGateway(w, { owners: new FakeOwners(), dev: false });
    const url = await face.listen();
    const headers = { "content-type": "application/json" };
    for (const asked of [
      fetch(`${url}/dev/clock`),
      fetch(`${url}/dev/clock/advance`, { method: "POST", headers, body: '{"by":"1h"}' }),
    ]) {
      const reply = await asked;
      expect(reply.status).toBe(403);
      expect(errorReply.parse(await reply.json()).error.code).toBe("NOT_A_DEV_NAMESPACE");
    }
    expect(await inboxOf(w.log, 0)).toEqual([]);
    expect(face.devClock.advanceMs).toBe(0);
    await face.gateway.close();
    await w.close();
  });
});
