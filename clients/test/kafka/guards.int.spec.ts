/** What KAFKA.md says to guard against, on one broker; kafkajs's public clients play the others in the cluster. */
import { Kafka, logLevel } from "kafkajs";
import type { Admin } from "kafkajs";
import { afterEach, beforeEach, describe, expect, inject, it, vi } from "vitest";
import { KAFKA_RECORD_BYTES_MAX, KafkaLog } from "../../src/kafka/index.js";
import { SystemClock } from "../../../engine/src/adapters/memory/index.js";
import {
  BadRecordError,
  ConfigError,
  FencedError,
  OffsetOutOfRangeError,
  TransientError,
} from "../../src/errors/codes.js";
import type { Log, TopicSpec } from "../../src/ports/log.js";
import {
  CHANGELOG,
  INBOX,
  at,
  entryOf,
  readAll,
  readToEnd,
  record,
  records,
  valueOf,
} from "../../../engine/test/contracts/log-world.js";
import { SILENT, kafkaLog, prefixed, uniquePrefix } from "./kafka-world.js";

const READ_NOW = { recordsMax: 100, waitMs: 0 };
const MIB = 1_048_576;

describe("Kafka log", () => {
  let brokers: readonly string[];
  let prefix: string;
  let kafka: Kafka;
  let admin: Admin;
  let log: Log;
  const opened: Log[] = [];
  beforeEach(async () => {
    brokers = inject("kafkaBrokers");
    prefix = uniquePrefix();
    kafka = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING });
    admin = kafka.admin();
    await admin.connect();
    log = await process();
    await log.ensureTopics([INBOX, CHANGELOG]);
  });
  afterEach(async () => {
    for (const each of opened.splice(0)) await each.close();
    await admin.disconnect();
  });
  /** A log as another process has it. */
  const process = async (options: Parameters<typeof kafkaLog>[1] = {}): Promise<Log> => {
    const another = prefixed(await kafkaLog(brokers, options), prefix);
    opened.push(another);
    return another;
  };
  const name = (spec: TopicSpec): string => `${prefix}${spec.name}`;
  /** Until kafkajs's admin client has found the leader. */
  const deleteBefore = (offset: number): Promise<void> =>
    vi.waitFor(async () => {
      await admin.fetchTopicOffsets(name(INBOX));
      await admin.deleteTopicRecords({ topic: name(INBOX), partitions: [{ partition: 0, offset: String(offset) }] });
    });
  const start = async (spec: TopicSpec) => (await log.offsets(spec.name, 0)).start;

  describe("zombies", () => {
    it("in another process are fenced, and publish nothing more (5)", async () => {
      const zombie = await log.openChangelogWriter(CHANGELOG.name, 0);
      await zombie.commit([record("a", "before")]);
      const owner = await (await process()).openChangelogWriter(CHANGELOG.name, 0);
      await expect(zombie.commit([record("a", "zombie")])).rejects.toThrow(FencedError);
      await owner.commit([record("b", "owner")]);
      await expect(zombie.commit([])).rejects.toThrow(FencedError);
      expect((await readAll(log, CHANGELOG)).map(entryOf)).toEqual(["a=before", "b=owner"]);
    });
    it("that stopped in the middle of a transaction leave nothing, and hold nobody up", async () => {
      const producer = kafka.producer({
        transactionalId: `${name(CHANGELOG)}-0`,
        idempotent: true,
        maxInFlightRequests: 1,
      });
      await producer.connect();
      const transaction = await producer.transaction();
      await transaction.send({ topic: name(CHANGELOG), messages: [{ key: "a", value: "zombie", partition: 0 }] });
      const writer = await log.openChangelogWriter(CHANGELOG.name, 0);
      expect(await readAll(log, CHANGELOG)).toEqual([]);
      await expect(transaction.commit()).rejects.toThrow();
      await writer.commit([record("b", "owner")]);
      expect((await readAll(log, CHANGELOG)).map(entryOf)).toEqual(["b=owner"]);
      await producer.disconnect();
    });
  });

  describe("commits", () => {
    it("one after the other do not wait for each other by kafkajs's 300 ms (3)", async () => {
      const writer = await log.openChangelogWriter(CHANGELOG.name, 0);
      const since = Date.now();
      for (let i = 0; i < 30; i += 1) await writer.commit([record("meta", String(i))]);
      expect(Date.now() - since).toBeLessThan(30 * 200);
    });
    it("of many rows are split into batches that the broker takes, and are seen at once (6)", async () => {
      const writer = await log.openChangelogWriter(CHANGELOG.name, 0);
      const rows = Array.from({ length: 200 }, (_, i) => record(`k${i}`, "x".repeat(100 * 1_024)));
      const end = await writer.commit(rows);
      expect((await log.offsets(CHANGELOG.name, 0)).end).toBe(end);
      expect((await readAll(log, CHANGELOG)).map(({ key }) => key)).toEqual(rows.map(({ key }) => key));
    });
    it("can be read when they resolve, although the coordinator answers before", async () => {
      const writer = await log.openChangelogWriter(CHANGELOG.name, 0);
      const reader = log.reader(CHANGELOG.name, 0, at(0));
      for (let i = 0; i < 60; i += 1) {
        const end = await writer.commit([record("meta", String(i))]);
        expect((await reader.read(READ_NOW)).map(entryOf)).toEqual([`meta=${i}`]);
        expect(reader.position).toBe(end);
      }
    });
  });

  describe("appends", () => {
    it("are one batch: too much for one is refused, and nothing is stored (6)", async () => {
      const rows = Array.from({ length: 7 }, (_, i) => record(`k${i}`, "x".repeat(MIB)));
      await expect(log.append(INBOX.name, 0, rows)).rejects.toThrow(BadRecordError);
      expect(await log.offsets(INBOX.name, 0)).toEqual({ start: 0, end: 0 });
      await log.append(INBOX.name, 0, rows.slice(0, 5));
      expect((await readAll(log, INBOX)).map(({ key }) => key)).toEqual(["k0", "k1", "k2", "k3", "k4"]);
    });
    it("of the largest record are read as they were written", async () => {
      const value = new Uint8Array(KAFKA_RECORD_BYTES_MAX - 1).map((_, i) => i);
      await log.append(INBOX.name, 0, [{ key: "k", value }]);
      const [found] = await readAll(log, INBOX);
      expect(Buffer.compare(found?.value ?? new Uint8Array(), value)).toBe(0);
    });
  });

  describe("topics", () => {
    it("can be used at once, however many are made (8)", async () => {
      const specs = Array.from({ length: 10 }, (_, i): TopicSpec => ({ ...INBOX, name: `many.${i}`, partitions: 4 }));
      await log.ensureTopics(specs);
      const appends = specs.flatMap((spec) => [0, 1, 2, 3].map((p) => log.append(spec.name, p, records("a"))));
      expect(await Promise.all(appends)).toHaveLength(40);
    });
    it("may be made by several processes at the same time", async () => {
      const specs = [
        { ...INBOX, name: "race.a" },
        { ...CHANGELOG, name: "race.b" },
      ];
      const logs = await Promise.all([process(), process(), process()]);
      await Promise.all(logs.map((each) => each.ensureTopics(specs)));
      expect(new Set(await Promise.all(logs.map((each) => each.topicId("race.a")))).size).toBe(1);
    });
    it("that go by the clocks of senders are refused, with what to do", async () => {
      await admin.createTopics({ waitForLeaders: false, topics: [{ topic: `${prefix}theirs`, numPartitions: 3 }] });
      const failure = await log.ensureTopics([{ ...INBOX, name: "theirs" }]).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(ConfigError);
      expect(String(failure)).toMatch(/message\.timestamp\.type=CreateTime, not LogAppendTime .*kafka-configs --alter/);
      expect(String(failure)).toMatch(/max\.message\.bytes/);
      await expect((await process()).append("theirs", 0, records("a"))).rejects.toThrow(ConfigError);
    });
    it("that are kept once are refused outside dev, with what to do", async () => {
      const production = await process({ dev: false });
      const failure = await production.ensureTopics([INBOX]).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(ConfigError);
      expect(String(failure)).toMatch(/has 1 replicas, not 3: .*dev: true/);
      expect(String(failure)).toMatch(/min\.insync\.replicas=1, not 2/);
    });
    it("cannot have more copies than there are brokers, and the error says so", async () => {
      const production = await process({ dev: false, replicationFactor: 99 });
      await expect(production.ensureTopics([{ ...INBOX, name: "fresh" }])).rejects.toThrow(/fewer than 99 brokers/);
      await expect(production.ensureTopics([{ ...INBOX, name: "fresh" }])).rejects.toThrow(ConfigError);
    });
    it("take over another retention, and keep what an operator set", async () => {
      const resource = { type: 2, name: name(INBOX) };
      const settings = async () => {
        const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] });
        return new Map(resources[0]?.configEntries.map((entry) => [entry.configName, entry.configValue]));
      };
      const wanted = { "segment.ms": "3600000", "retention.ms": "60000", "message.timestamp.type": "LogAppendTime" };
      const theirs = { ...wanted, "max.message.bytes": String(6 * MIB), "compression.type": "uncompressed" };
      const configEntries = Object.entries(theirs).map(([key, value]) => ({ name: key, value }));
      await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] });
      await (await process()).ensureTopics([{ ...INBOX, retentionMs: 120_000 }]);
      await vi.waitFor(async () => expect((await settings()).get("retention.ms")).toBe("120000"), { timeout: 5_000 });
      expect((await settings()).get("segment.ms")).toBe("3600000");
    });
  });

  describe("readers", () => {
    it("whose position was deleted say so, and do not jump (13)", async () => {
      for (const value of ["a", "b", "c", "d"]) await log.append(INBOX.name, 0, records(value));
      const reader = log.reader(INBOX.name, 0, at(0));
      expect(await reader.read({ recordsMax: 1, waitMs: 0 })).toHaveLength(1);
      const fresh = log.reader(INBOX.name, 0, at(1));
      await deleteBefore(3);
      expect(await log.offsets(INBOX.name, 0)).toEqual({ start: 3, end: 4 });
      await expect(fresh.read(READ_NOW)).rejects.toThrow(OffsetOutOfRangeError);
      await expect(fresh.read({ recordsMax: 1, waitMs: 1_000 })).rejects.toThrow(/offset 1 is not in 3\.\.4/);
      expect(fresh.position).toBe(1);
      expect((await readToEnd(log, log.reader(INBOX.name, 0, await start(INBOX)), INBOX, 0)).map(valueOf)).toEqual([
        "d",
      ]);
    });
    it("of a topic that is made again say so, and do not read the new one's records", async () => {
      await log.append(INBOX.name, 0, records("old"));
      const reader = log.reader(INBOX.name, 0, at(1));
      const reading = expect(reader.read({ recordsMax: 10, waitMs: 60_000 })).rejects.toThrow(OffsetOutOfRangeError);
      const id = await log.topicId(INBOX.name);
      await admin.deleteTopics({ topics: [name(INBOX)] });
      const again = await process();
      const isGone = async (): Promise<void> => expect(await admin.listTopics()).not.toContain(name(INBOX));
      await vi.waitFor(isGone, { timeout: 20_000 });
      await again.ensureTopics([INBOX]);
      await again.append(INBOX.name, 0, records("new 0", "new 1", "new 2"));
      await reading;
      expect(await log.topicId(INBOX.name)).not.toBe(id);
    });
    it("understand what other producers pack (11)", async () => {
      const producer = kafka.producer();
      await producer.connect();
      await producer.send({
        topic: name(INBOX),
        compression: 1,
        messages: ["a", "b", "c"].map((value) => ({
          key: "k",
          value: value.repeat(1_000),
          partition: 0,
          headers: { h: "1" },
        })),
      });
      await producer.disconnect();
      const found = await readAll(log, INBOX);
      expect(found.map((r) => valueOf(r)?.[0])).toEqual(["a", "b", "c"]);
      expect(new Set(found.map((r) => r.appendTimeMs)).size).toBe(1);
    });
    it("of one partition at different offsets all get on", async () => {
      const readers = [0, 1, 2, 3].map((n) => log.reader(INBOX.name, 0, at(n)));
      await log.append(INBOX.name, 0, records("a", "b", "c"));
      const reads = readers.map((reader) => reader.read({ recordsMax: 10, waitMs: 10_000 }));
      await expect(Promise.all(reads.slice(0, 3)).then((all) => all.map((found) => found.length))).resolves.toEqual([
        3, 2, 1,
      ]);
      await log.append(INBOX.name, 0, records("d"));
      expect((await reads[3])?.map(valueOf)).toEqual(["d"]);
    });
    it("all get on, although one answer does not hold what they lack", async () => {
      const wide: TopicSpec = { ...INBOX, name: "wide", partitions: 12 };
      await log.ensureTopics([wide]);
      const partitions = Array.from({ length: wide.partitions }, (_, p) => p);
      for (const p of partitions)
        for (const n of [1, 2, 3]) await log.append(wide.name, p, [record(`${n}`, "x".repeat(MIB))]);
      const found = await Promise.all(partitions.map((p) => readAll(log, wide, p)));
      expect(found.map((each) => each.map(({ key }) => key).join())).toEqual(partitions.map(() => "1,2,3"));
    });
    it("see what was appended a moment ago, even when they do not wait", async () => {
      const reader = log.reader(INBOX.name, 0, at(0));
      const waiting = log.reader(INBOX.name, 1, at(0)).read({ recordsMax: 1, waitMs: 2_000 });
      for (let i = 0; i < 50; i += 1) {
        await log.append(INBOX.name, 0, records(String(i)));
        expect((await reader.read(READ_NOW)).map(valueOf)).toEqual([String(i)]);
      }
      expect(await waiting).toEqual([]);
    });
  });

  it("group offsets are Kafka's own, with their text", async () => {
    await log.commitGroupOffset("g", INBOX.name, 2, { offset: at(17), metadata: '{"offset":3,"index":1}' });
    const [topic] = await admin.fetchOffsets({ groupId: `${prefix}g`, topics: [name(INBOX)] });
    expect(topic?.partitions.find(({ partition }) => partition === 2)).toMatchObject({
      offset: "17",
      metadata: '{"offset":3,"index":1}',
    });
  });

  it("an idle connection sets no timers by itself (14)", async () => {
    await log.append(INBOX.name, 0, records("a"));
    await admin.disconnect();
    const timers = vi.spyOn(globalThis, "setTimeout");
    await new SystemClock().sleep(300);
    const set = timers.mock.calls.length;
    timers.mockRestore();
    expect(set).toBeLessThan(10);
  });

  describe("connections", () => {
    const open = (changes: Partial<Parameters<typeof KafkaLog.open>[0]>): Promise<KafkaLog> =>
      KafkaLog.open({ brokers, clientId: "t", dev: true, clock: new SystemClock(), logger: SILENT, ...changes });
    it("to nobody end in TransientError, after a bounded time", async () => {
      await expect(open({ brokers: ["127.0.0.1:1"], patienceMs: 300 })).rejects.toThrow(TransientError);
    });
    it("are made by the next address when one is dead", async () => {
      const found = await open({ brokers: ["127.0.0.1:1", ...brokers] });
      await found.close();
    });
    it.each([[[]], [["localhost"]], [["a:1", ""]]])("to %j are refused with ConfigError", async (wrong) => {
      await expect(open({ brokers: wrong })).rejects.toThrow(ConfigError);
    });
    it("get the TLS options that were given", async () => {
      const ssl = { ca: "our own", servername: "kafka.example" };
      const seen: unknown[] = [];
      const refusing = open({
        ssl,
        patienceMs: 100,
        socketFactory: (options) => {
          seen.push(options.ssl);
          throw new Error("seen enough");
        },
      });
      await expect(refusing).rejects.toThrow(TransientError);
      expect(seen[0]).toBe(ssl);
    });
  });
});
