/** Topics of users as sources, on whatever log: engines that end between the inbox's answer and the source's commit. */
import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { DLQ_PARTITIONS, topicsOf, type Groups, type Log, type UserTopics } from "@eddy/clients";
import { TransientError } from "@eddy/clients/errors";
import { decodeDeadLetter, decodeInbox, offset, type DeadLetter } from "@eddy/schemas";
import { MemoryStoreFactory } from "../../src/adapters/memory/index.js";
import { readKafkaConfig } from "../../src/config/kafka-config.js";
import { startEngine, type Engine } from "../../src/main.js";
import { LinesLogger } from "../gateway/fixtures.js";
import { on } from "../partition/builders.js";
import { eventually, fn, json, ScriptedWorker, type Ops } from "./fixtures.js";

type EventRecord = Extract<ReturnType<typeof decodeInbox>, { readonly kind: "event" }>;

/** What an engine with sources stands on; the log holds the topics of users, too. */
export interface Ground {
  readonly log: Log;
  readonly groups: Groups;
  readonly userTopics: UserTopics;
  /** Makes a topic as users have them. */
  make(topic: string, partitions: number): Promise<void>;
  produce(topic: string, partition: number, values: readonly (string | null)[]): Promise<void>;
}

/** Of the inbox: one, so that what was decided before is known by what was decided after. */
const PARTITIONS = 1;
const SENDER_SETTLE_MS = 300;

export class SourceWorld {
  readonly namespace = `t${randomUUID().slice(0, 8)}`;
  readonly topic = `orders-${this.namespace}`;
  readonly topics = topicsOf(this.namespace);
  readonly ground: Ground;
  readonly #engines: Engine[] = [];
  readonly #workers: ScriptedWorker[] = [];

  constructor(ground: Ground) {
    this.ground = ground;
  }

  async engine(source: object, groups: Groups = this.ground.groups): Promise<Engine> {
    const { log, userTopics } = this.ground;
    const config = readKafkaConfig({
      options: {
        brokers: ["unused:1"],
        namespace: this.namespace,
        dev: true,
        host: "127.0.0.1",
        port: 0,
        partitions: PARTITIONS,
        senderSettle: SENDER_SETTLE_MS,
        sources: [{ topic: this.topic, format: "json", event: "order/placed", ...source }],
      },
      environment: {},
    });
    const stores = new MemoryStoreFactory();
    const engine = await startEngine(config, { log, groups, userTopics, stores, logger: new LinesLogger() });
    this.#engines.push(engine);
    return engine;
  }

  async worker({ url }: Engine): Promise<ScriptedWorker> {
    const place = fn({ id: "place", triggers: [on("order/placed")] });
    const done: Ops = { ops: [], outcome: { kind: "returned", data: json("placed") } };
    const worker = new ScriptedWorker(url, [place], () => done, "w");
    this.#workers.push(worker);
    await eventually("welcome", () => worker.isWelcome);
    return worker;
  }

  /** All that lies in a topic of the namespace, partition by partition. */
  async #read<T>(topic: string, partitions: number, decode: (value: Uint8Array) => T): Promise<readonly T[]> {
    const { log } = this.ground;
    const all: T[] = [];
    for (let partition = 0; partition < partitions; partition += 1) {
      const { start, end } = await log.offsets(topic, partition);
      const reader = log.reader(topic, partition, offset(start));
      while (reader.position < end) {
        for (const { value } of await reader.read({ recordsMax: 500, waitMs: 1_000 })) {
          if (value !== null) all.push(decode(value));
        }
      }
      await reader.close();
    }
    return all;
  }

  async events(): Promise<readonly EventRecord[]> {
    const all = await this.#read(this.topics.inbox, PARTITIONS, decodeInbox);
    return all.filter((record): record is EventRecord => record.kind === "event");
  }

  letters(): Promise<readonly DeadLetter[]> {
    return this.#read(this.topics.dlq, DLQ_PARTITIONS, decodeDeadLetter);
  }

  /** Resolves once the source's group has committed that offset. */
  committed(partition: number, at: number): Promise<true> {
    const { log } = this.ground;
    return eventually(`${at} is committed`, async () => {
      const found = await log.groupOffset(this.topics.sourceGroup(this.topic), this.topic, partition);
      return found?.offset === at;
    });
  }

  async close(): Promise<void> {
    for (const worker of this.#workers) worker.close();
    await Promise.all(this.#engines.map((engine) => engine.close()));
  }
}

/** Commits of sources never arrive, as where a process ends before each. */
export function withoutCommits(groups: Groups): Groups {
  return {
    join: async (spec, listener) => {
      const member = await groups.join(spec, listener);
      if (!spec.group.includes(".source.")) return member;
      return {
        get partitions() {
          return member.partitions;
        },
        ownerOf: (partition) => member.ownerOf(partition),
        committed: (partition) => member.committed(partition),
        leave: () => member.leave(),
        commit: () => Promise.reject(new TransientError("the process has ended")),
      };
    },
  };
}

const order = (n: number): string => JSON.stringify({ order: `o${n}`, n });

/** @param open a ground, closed by whoever made it */
export function sourceFlows(open: () => Promise<Ground>): void {
  const inWorld = (flow: (world: SourceWorld) => Promise<void>) => async (): Promise<void> => {
    const world = new SourceWorld(await open());
    try {
      await flow(world);
    } finally {
      await world.close();
    }
  };
  it(
    "takes each record exactly once, though the engine ended after the inbox had it and before the commit",
    inWorld(exactlyOnce),
  );
  it("keeps the order of a partition, tells what is no event with its place, and goes on", inWorld(ordered));
  it("begins at the end where it is told so, and does not skip what comes before its first commit", inWorld(latest));
}

async function exactlyOnce(world: SourceWorld): Promise<void> {
  await world.ground.make(world.topic, 1);
  await world.ground.produce(world.topic, 0, [1, 2, 3].map(order));
  const first = await world.engine({}, withoutCommits(world.ground.groups));
  const before = await world.worker(first);
  // Functions are registered now; what came before has started nothing, what comes now starts a run each.
  await world.ground.produce(world.topic, 0, [4, 5, 6].map(order));
  await eventually("the inbox has all", async () => new Set((await world.events()).map(({ id }) => id)).size === 6);
  await eventually("three runs", () => before.requests.length >= 3);
  await first.close();

  const second = await world.engine({});
  const after = await world.worker(second);
  await world.committed(0, 6);
  const events = await world.events();
  const times = (n: number) => events.filter(({ id }) => id.startsWith(`${world.topic}/0/${n - 1}/`)).length;
  expect(
    [4, 5, 6].every((n) => times(n) >= 2),
    "it was sent again",
  ).toBe(true);
  // A record behind all of them: once its run is there, the repeats were decided.
  await world.ground.produce(world.topic, 0, [order(7)]);
  await eventually("the last run", () => after.requests.some(({ event }) => hasOrder(event, "o7")));
  for (const n of [4, 5, 6]) {
    const all = [...before.requests, ...after.requests].filter(({ event }) => hasOrder(event, `o${n}`));
    expect(new Set(all.map(({ runId }) => runId)).size, `runs of o${n}`).toBe(1);
  }
}

async function ordered(world: SourceWorld): Promise<void> {
  const { ground, topic } = world;
  await ground.make(topic, 2);
  const many = Array.from({ length: 1_200 }, (_, n) => JSON.stringify({ order: "same", n }));
  await ground.produce(topic, 1, [...many.slice(0, 600), "no json", "[1]", ...many.slice(600)]);
  await world.engine({ id: "value.n" });
  await world.committed(1, many.length + 2);
  expect((await world.events()).map(({ id }) => Number(id))).toEqual(many.map((_, n) => n));
  const letters = await world.letters();
  expect(letters.map(({ topic: from, partition, offset: at }) => [from, partition, at])).toEqual([
    [topic, 1, 600],
    [topic, 1, 601],
  ]);
  expect(letters[0]?.reason).toContain("not JSON");
  expect(letters[1]?.reason).toBe("no id at value.n: expected text or a number, got nothing");
}

async function latest(world: SourceWorld): Promise<void> {
  const { ground, topic } = world;
  await ground.make(topic, 1);
  await ground.produce(topic, 0, [order(1)]);
  const first = await world.engine({ from: "latest" });
  await world.committed(0, 1);
  await first.close();
  await ground.produce(topic, 0, [order(2)]);
  await world.engine({ from: "latest" });
  await world.committed(0, 2);
  expect((await world.events()).map(({ id }) => id.split("/")[2])).toEqual(["1"]);
}

function hasOrder(event: Uint8Array | null, name: string): boolean {
  return event !== null && new TextDecoder().decode(event).includes(`"${name}"`);
}
