/** Engines that share a namespace on a real Kafka: whoever is asked answers, and work goes on where one leaves. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { canon } from "@eddy/schemas";
import { ConfigError } from "../../../clients/src/errors/codes.js";
import { lineOf, makeToken } from "../../src/access/index.js";
import type { Engine } from "../../src/main.js";
import { on, waitFor, waitOp } from "../partition/builders.js";
import { eventually, fn, json, parse, ScriptedWorker, type Ops, type Script } from "../e2e/fixtures.js";
import { advance, Engines, PARTITIONS, partitionsOf, post, run, runsOf, send } from "./engines.js";

const cart = fn({
  id: "cart",
  triggers: [on("cart/added")],
  waits: [waitFor("cart/purchased", "data.cart")],
});

/** Waits a day for a purchase, then reminds or not. */
const carter: Script = ({ event, memo }) => {
  const settled = memo.find(({ stepId }) => stepId === "wait");
  const returned = (value: string): Ops => ({ ops: [], outcome: { kind: "returned", data: json(value) } });
  if (settled !== undefined) return returned(settled.data === null ? "reminded" : "bought");
  const value = canon((parse(event) as { data: { cart: string } }).data.cart);
  const wait = { event: "cart/purchased", match: "data.cart", value, timeout: { ms: 86_400_000 } };
  return { ops: [waitOp("wait", wait)], outcome: { kind: "suspended" } };
};

describe("two engines on Kafka", () => {
  let engines: Engines;
  const workers: ScriptedWorker[] = [];
  beforeEach(() => {
    engines = new Engines(inject("kafkaBrokers"));
  });
  afterEach(async () => {
    for (const worker of workers.splice(0)) worker.close();
    await engines.close();
  });

  async function work(engine: Engine, workerId: string): Promise<ScriptedWorker> {
    const worker = new ScriptedWorker(engine.url, [cart], carter, workerId);
    workers.push(worker);
    await eventually("welcome", () => worker.isWelcome);
    return worker;
  }
  async function shared(a: Engine, b: Engine): Promise<void> {
    await eventually("each has two partitions", async () => {
      const [ours, theirs] = await Promise.all([a, b].map((each) => partitionsOf(each, engines.namespace)));
      return ours?.length === 2 && theirs?.length === 2;
    });
  }
  /** Runs on all partitions that wait for a purchase. */
  async function waiting(from: Engine, asked: Engine, count = 8): Promise<readonly string[]> {
    const ids = await Promise.all(Array.from({ length: count }, (_, n) => send(from, "cart/added", { cart: `c${n}` })));
    for (const id of ids) {
      const { run_id } = await run(asked, id, "Running");
      await eventually(`${id} waits`, async () => {
        const reply = await fetch(`${asked.url}/v1/runs/${run_id}/timeline`);
        if (reply.status !== 200) return false;
        const { data } = (await reply.json()) as { data: { kind: string }[] };
        return data.some(({ kind }) => kind === "waitStarted");
      });
    }
    return ids;
  }

  it("G1: share the partitions; events through one, look-ups, purchases and the clock through the other", async () => {
    const { engine: a } = await engines.start();
    const { engine: b } = await engines.start();
    await shared(a, b);
    await work(a, "one");
    await work(b, "two");
    const ids = await waiting(a, b);
    await send(b, "cart/purchased", { cart: "c0" });
    expect((await run(a, ids[0] as string, "Completed")).output).toBe("bought");
    expect(await advance(b, "24h")).toBe(86_400_000);
    for (const id of ids.slice(1)) expect((await run(a, id, "Completed")).output).toBe("reminded");
    for (const each of [a, b]) {
      expect(await (await fetch(`${each.url}/dev/clock`)).json()).toMatchObject({ advancedMs: 86_400_000 });
      expect(await (await fetch(`${each.url}/health/ready`)).json()).toEqual({ status: "ready", reasons: [] });
    }
  });

  it("go from one to two to one: what waited still waits, each move is told with its stall", async () => {
    const { engine: a, logger: ofA } = await engines.start();
    await work(a, "one");
    const ids = await waiting(a, a);
    const { engine: b, logger: ofB } = await engines.start();
    await shared(a, b);
    expect((await runsOf(b, ids[0] as string))?.map(({ status }) => status)).toEqual(["Running"]);
    await a.close();
    await eventually("all partitions are the other's", async () => {
      return (await partitionsOf(b, engines.namespace)).length === PARTITIONS;
    });
    await work(b, "two");
    expect(await advance(b, "24h")).toBe(86_400_000);
    for (const id of ids) expect((await run(b, id, "Completed")).output).toBe("reminded");
    const moves = ofB.lines.filter(({ message }) => message === "partition taken over");
    expect(moves.map(({ fields }) => (fields as { partition: number }).partition).sort()).toEqual([0, 1, 2, 3]);
    expect(moves.every(({ fields }) => (fields as { stalledMs: number }).stalledMs < 30_000)).toBe(true);
    for (const { lines } of [ofA, ofB]) expect(lines.filter(({ level }) => level === "error")).toEqual([]);
  });

  it("keep a namespace as it was made: an engine with other settings is refused, and says what to do", async () => {
    await engines.start();
    const other = async (more: Record<string, unknown>): Promise<Error> => {
      const { engine } = await engines.open(more);
      return engine.started.then(
        () => new Error("it started"),
        (error: unknown) => error as Error,
      );
    };
    const partitions = await other({ partitions: 8 });
    expect(partitions).toBeInstanceOf(ConfigError);
    expect(partitions.message).toMatch(/partitions 4, not 8; start with the former value/);
    const production = await other({ dev: false, replicationFactor: 1, minInsyncReplicas: 1 });
    expect(production).toBeInstanceOf(ConfigError);
    expect(production.message).toMatch(/made with partitions: 4 and dev: true, .*neither can be changed/);
    const replicated = await other({ dev: false });
    expect(replicated.message).toMatch(/has 1 replicas, not 3/);
  });

  it("ask each other by their own token, where they ask everybody for one", async () => {
    const folder = await engines.folder();
    const token = { peer: makeToken(), read: makeToken() };
    const lines = (["peer", "read"] as const).map((scope) =>
      lineOf(token[scope], { name: scope, scopes: [scope], apps: [] }),
    );
    const [tokensFile, peerTokenFile] = [join(folder, "tokens.yaml"), join(folder, "peer-token")];
    await writeFile(tokensFile, lines.join("\n"));
    await writeFile(peerTokenFile, token.peer);
    const both = await Promise.all([1, 2].map(() => engines.start({ tokensFile, peerTokenFile })));
    const ask = async (engine: Engine, by: string): Promise<number> =>
      (await fetch(`${engine.url}/v1/events/e1/runs`, { headers: { authorization: `Bearer ${by}` } })).status;
    await eventually("each has two partitions", async () => {
      const parts = both.map(({ engine }) => partitionsOf(engine, engines.namespace, token.peer));
      return (await Promise.all(parts)).every(({ length }) => length === PARTITIONS / 2);
    });
    for (const { engine } of both) {
      // 503 while partitions move: then an owner is not known, or not there yet.
      await eventually("an answer of all partitions", async () => (await ask(engine, token.read)) === 200);
      expect(await ask(engine, "nobody")).toBe(401);
    }
  });

  it("move no clock in a namespace that was not made for that", async () => {
    const { engine } = await engines.start({ dev: false, replicationFactor: 1, minInsyncReplicas: 1 });
    const reply = await post(engine, "/dev/clock/advance", { by: "1h" });
    expect(reply.status).toBe(403);
    expect((await fetch(`${engine.url}/dev/clock`)).status).toBe(403);
  });

  it("leave nothing open where the start fails: port and folder can be used again", async () => {
    const first = await engines.start();
    const dataDir = await engines.folder();
    const { engine: refused } = await engines.open({ partitions: 7, dataDir });
    await expect(refused.started).rejects.toThrow(ConfigError);
    const { engine } = await engines.start({ dataDir, port: Number(new URL(refused.url).port) });
    expect(engine.url).toBe(refused.url);
    expect(first.engine.readiness().ready).toBe(true);
  });
});
