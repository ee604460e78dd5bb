/** Three brokers, of which some fall: killed, stopped, all of them away. Always brokers of our own. */
import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka,
  ResourcePatternTypes,
  logLevel,
} from "kafkajs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { USERS, startKafka } from "../../../scripts/kafka/cluster.js";
import type { KafkaCluster, KafkaNode } from "../../../scripts/kafka/cluster.js";
import { ConfigError, TransientError } from "../../src/errors/codes.js";
import type { Log, TopicSpec } from "../../src/ports/log.js";
import { Listener } from "../../../engine/test/contracts/groups-world.js";
import { CHANGELOG, INBOX, at, readAll, record, records, valueOf } from "../../../engine/test/contracts/log-world.js";
import { kafkaLog, prefixed, uniquePrefix } from "./kafka-world.js";
import { Committer, Sender, follow } from "./traffic.js";

const PARTITIONS = 6;
const WIDE: TopicSpec = { ...INBOX, name: "wide", partitions: PARTITIONS };
const all = Array.from({ length: PARTITIONS }, (_, p) => p);

describe("three brokers", () => {
  let cluster: KafkaCluster;
  let prefix: string;
  let opened: Log[];
  beforeAll(async () => {
    cluster = await startKafka({ nodes: 3, ownNodes: true });
  });
  afterAll(() => cluster.stop());
  beforeEach(() => {
    prefix = uniquePrefix();
    opened = [];
  });
  afterEach(async () => {
    for (const log of opened) await log.close();
  });
  const open = async (options: Parameters<typeof kafkaLog>[1] = {}): Promise<Log> => {
    const log = prefixed(await kafkaLog(cluster.brokers, { dev: false, ...options }), prefix);
    opened.push(log);
    return log;
  };
  /** The topics can be written and read again, whatever happened before. */
  const settled = (log: Log): Promise<unknown> =>
    vi.waitFor(() => Promise.all(all.map((p) => log.append(WIDE.name, p, records("settled")))), {
      timeout: 90_000,
      interval: 500,
    });

  it("keep what is acknowledged, once, while one after the other is killed in the middle of it (1, 2)", async () => {
    const log = await open();
    const changelog = { ...CHANGELOG, partitions: PARTITIONS };
    await log.ensureTopics([WIDE, changelog]);
    let isDone = false;
    const done = (): boolean => isDone;
    const senders = all.flatMap((p) =>
      ["a", "b"].map((name) => new Sender(`${name}${p}`, (k, v) => log.append(WIDE.name, p, [record(k, v)]))),
    );
    const committers = [0, 1, 2].map((p) => new Committer(log, changelog, p));
    const following = all.map((p) => follow(log, WIDE.name, p, done));
    const working = [...senders, ...committers].map((each) => each.run(done));
    const workers = [...senders, ...committers];
    /** Everybody gets ahead by some more. */
    const progress = async (): Promise<void> => {
      const goals = workers.map(({ acknowledged }) => acknowledged.length + 20);
      const isThere = (): void =>
        workers.forEach(({ acknowledged }, i) => expect(acknowledged.length).toBeGreaterThanOrEqual(goals[i] ?? 0));
      await vi.waitFor(isThere, { timeout: 60_000, interval: 50 });
    };
    try {
      await progress();
      for (const node of cluster.nodes) {
        await node.kill();
        await progress();
        await node.start();
        await progress();
      }
    } finally {
      isDone = true;
      await Promise.allSettled(working);
    }
    await Promise.all(working);
    const live = await Promise.all(following);
    const found = await Promise.all(all.map((p) => readAll(log, WIDE, p)));
    expect(senders.flatMap((sender) => sender.problems(found.flat()))).toEqual([]);
    expect((await Promise.all(committers.map((committer) => committer.problems()))).flat()).toEqual([]);
    // Readers that were there all the time saw the log as it is, up to where they were stopped.
    for (const [p, seen] of live.entries()) {
      expect(seen.map((r) => `${r.offset} ${valueOf(r)}`)).toEqual(
        found[p]?.slice(0, seen.length).map((r) => `${r.offset} ${valueOf(r)}`),
      );
    }
  }, 180_000);

  it("go on when one stops without a word", async () => {
    const log = await open();
    await log.ensureTopics([WIDE]);
    const readers = all.map((p) => log.reader(WIDE.name, p, at(0)));
    const stopped = cluster.nodes[1] as KafkaNode;
    await stopped.pause();
    try {
      // One append gives up after 10 s, which is enough for a failover unless the machine is busy with others.
      const append = (p: number): Promise<unknown> => log.append(WIDE.name, p, records("while it is stopped"));
      await Promise.all(all.map((p) => vi.waitFor(() => append(p), { timeout: 60_000, interval: 100 })));
      for (const reader of readers) expect(await readSome(reader)).toContain("while it is stopped");
    } finally {
      await stopped.resume();
    }
    await settled(log);
  });

  it("that are all away are a TransientError soon, and when they are back all goes on", async () => {
    const patient = await open();
    await patient.ensureTopics([WIDE, CHANGELOG]);
    // The first transaction of a cluster takes the patience to make a topic for its state.
    await (await patient.openChangelogWriter(CHANGELOG.name, 0)).close();
    const log = await open({ requestMsMax: 400, patienceMs: 1_000 });
    await log.ensureTopics([WIDE, CHANGELOG]);
    const reader = log.reader(WIDE.name, 0, at(0));
    const writer = await log.openChangelogWriter(CHANGELOG.name, 0);
    await log.append(WIDE.name, 0, records("before"));
    expect((await reader.read({ recordsMax: 10, waitMs: 5_000 })).map(valueOf)).toEqual(["before"]);
    for (const node of cluster.nodes) await node.pause();
    const since = Date.now();
    const calls: readonly (() => Promise<unknown>)[] = [
      () => log.append(WIDE.name, 1, records("lost")),
      () => log.offsets(WIDE.name, 0),
      () => log.topicId(WIDE.name),
      () => log.ensureTopics([WIDE]),
      () => log.commitGroupOffset("g", WIDE.name, 0, { offset: at(1), metadata: "" }),
      () => log.groupOffset("g", WIDE.name, 0),
      () => log.openChangelogWriter(CHANGELOG.name, 1),
      () => writer.commit([record("meta", "1")]),
      () => reader.read({ recordsMax: 10, waitMs: 0 }),
    ];
    const outcomes = await Promise.allSettled(calls.map((call) => call()));
    for (const outcome of outcomes) {
      expect(outcome.status === "rejected" ? outcome.reason : outcome).toBeInstanceOf(TransientError);
    }
    await expect(reader.read({ recordsMax: 10, waitMs: 500 })).rejects.toThrow(TransientError);
    expect(Date.now() - since).toBeLessThan(15_000);
    for (const node of cluster.nodes) await node.resume();
    await settled(patient);
    const { baseOffset } = await vi.waitFor(() => log.append(WIDE.name, 0, records("after")), { timeout: 60_000 });
    const seen: (string | null)[] = [];
    while (!seen.includes("after")) seen.push(...(await readSome(reader)));
    expect(seen).toEqual(["settled", "after"]);
    expect(reader.position).toBe(baseOffset + 1);
    const next = await log.openChangelogWriter(CHANGELOG.name, 0);
    await next.commit([record("meta", "2")]);
    const metas = (await readAll(log, CHANGELOG)).map(valueOf);
    expect(metas.at(-1)).toBe("2");
  });

  describe("that ask for a login", () => {
    const login = (username: string, password: string) => ({
      brokers: cluster.secureBrokers,
      sasl: { mechanism: "plain", username, password } as const,
      patienceMs: 5_000,
    });
    const as = (username: string, password: string) =>
      kafkaLog(cluster.secureBrokers, { dev: false, ...login(username, password) });
    it("let in who knows the password", async () => {
      const log = prefixed(await as("eddy", USERS.eddy), prefix);
      opened.push(log);
      await log.ensureTopics([INBOX]);
      await log.append(INBOX.name, 0, records("a"));
      expect((await readAll(log, INBOX)).map(valueOf)).toEqual(["a"]);
    });
    it("refuse a wrong password with ConfigError", async () => {
      await expect(as("eddy", "guessed")).rejects.toThrow(ConfigError);
    });
    it("refuse who may not do it with ConfigError", async () => {
      const owner = await open();
      await owner.ensureTopics([INBOX, CHANGELOG]);
      const guest = prefixed(await as("guest", USERS.guest), prefix);
      opened.push(guest);
      await expect(guest.ensureTopics([{ ...INBOX, name: "mine" }])).rejects.toThrow(ConfigError);
      await expect(guest.append(INBOX.name, 0, records("a"))).rejects.toThrow(ConfigError);
      await expect(guest.groupOffset("g", INBOX.name, 0)).rejects.toThrow(ConfigError);
    });
    it("refuse who may read a topic but not join a group with ConfigError", async () => {
      const owner = await open();
      await owner.ensureTopics([INBOX]);
      const topic = `${prefix}${INBOX.name}`;
      const admin = new Kafka({ brokers: [...cluster.brokers], logLevel: logLevel.NOTHING }).admin();
      await admin.connect();
      const everything = { operation: AclOperationTypes.ALL, permissionType: AclPermissionTypes.ALLOW };
      const resource = { resourceType: AclResourceTypes.TOPIC, resourceName: topic, host: "*" };
      const pattern = ResourcePatternTypes.LITERAL;
      const rule = { ...everything, ...resource, principal: "User:guest", resourcePatternType: pattern };
      await admin.createAcls({ acl: [rule] });
      await admin.disconnect();
      const guest = await as("guest", USERS.guest);
      opened.push(guest);
      await vi.waitFor(() => guest.offsets(topic, 0), { timeout: 10_000 });
      const spec = { group: `${prefix}g`, topic, partitions: INBOX.partitions, address: null };
      await expect(guest.join(spec, new Listener())).rejects.toThrow(/GROUP_AUTHORIZATION_FAILED|Group authorization/);
      await expect(guest.join(spec, new Listener())).rejects.toThrow(ConfigError);
    });
  });
});

async function readSome(reader: ReturnType<Log["reader"]>): Promise<readonly (string | null)[]> {
  return (await vi.waitFor(() => reader.read({ recordsMax: 10, waitMs: 1_000 }), { timeout: 60_000 })).map(valueOf);
}
