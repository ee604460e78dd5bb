/** Members of groups on a real broker whose connections break, whose answers get lost, and who pause (M3, M4, M7). */
import { AssignerProtocol, Kafka, logLevel } from "kafkajs";
import type { Consumer, PartitionAssigner } from "kafkajs";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import {
  GROUP,
  Listener,
  PARTITIONS,
  TOPIC,
  areSettled,
  gate,
  ownersAmong,
  position,
} from "../../../engine/test/contracts/groups-world.js";
import type { Joined } from "../../../engine/test/contracts/groups-world.js";
import { ConfigError, FencedError, TransientError } from "../../src/errors/codes.js";
import { GROUP_PROTOCOL } from "../../src/kafka/group-protocol.js";
import type { KafkaLog, KafkaLogOptions } from "../../src/kafka/index.js";
import { FaultySockets, REQUEST } from "./faulty-sockets.js";
import { LASTING, QUICK, STEPS, kafkaGroupsWorld } from "./groups-world.js";
import type { KafkaGroupsWorld } from "./groups-world.js";
import { kafkaLog } from "./kafka-world.js";

const SPEC = { group: GROUP, topic: TOPIC, partitions: PARTITIONS };
const WIDE = { ...STEPS, name: "t.wide", partitions: 64 };

interface Process extends Joined {
  readonly log: KafkaLog;
  readonly faults: FaultySockets;
}

describe("members of groups", () => {
  let world: KafkaGroupsWorld;
  beforeEach(async () => {
    world = await kafkaGroupsWorld(inject("kafkaBrokers"), [STEPS, WIDE]);
  });
  afterEach(() => world.dispose());

  const join = async (spec: Partial<typeof SPEC> = {}, options: Partial<KafkaLogOptions> = {}): Promise<Process> => {
    const faults = new FaultySockets();
    const groups = await world.process({ requestMsMax: 1_000, socketFactory: faults.factory, ...options });
    const listener = new Listener();
    const member = await groups.join({ ...SPEC, address: null, ...spec }, listener);
    return { member, listener, faults, log: groups.log };
  };
  const settled = (members: readonly Joined[], partitions = PARTITIONS): Promise<void> =>
    world.until(() => areSettled(members, partitions), "all partitions are shared");
  const pair = async (groupTimes = QUICK): Promise<readonly [Process, Process]> => {
    const both = [await join({}, { groupTimes }), await join({}, { groupTimes })] as const;
    await settled(both);
    return both;
  };

  describe("M4 one that", () => {
    it("is gone without a word loses its partitions when its session ends, not before", async () => {
      const [gone, left] = await pair();
      const since = Date.now();
      gone.faults.kill();
      await settled([left]);
      expect(Date.now() - since).toBeGreaterThan(QUICK.sessionMs - 10 * QUICK.heartbeatMs);
    });
    it("was paused for longer than its session commits nothing, hears of its loss, and takes part again", async () => {
      const [paused, other] = await pair();
      const [lost = -1] = paused.member.partitions;
      paused.faults.pause();
      await settled([other]);
      await other.member.commit(lost, position(9, "owner"));
      const commit = paused.member.commit(lost, position(1, "zombie"));
      const told = paused.listener.calls.length;
      paused.faults.heal();
      await expect(commit).rejects.toThrow(FencedError);
      await settled([paused, other]);
      expect(paused.listener.calls.slice(told, told + 2)).toEqual(["rebalancing", []]);
      expect(await other.member.committed(lost)).toEqual(position(9, "owner"));
    });
    it("was paused for less goes on as if nothing had been", async () => {
      const [paused, other] = await pair(LASTING);
      const told = paused.listener.calls.length;
      paused.faults.pause();
      await new Promise((resolve) => setTimeout(resolve, LASTING.sessionMs / 10));
      paused.faults.heal();
      for (const p of paused.member.partitions) await paused.member.commit(p, position(2));
      expect(paused.listener.calls).toHaveLength(told);
      expect(areSettled([paused, other])).toBe(true);
    });
    it("takes longer to finish than its session keeps its place by heartbeats", async () => {
      const [slow] = await pair();
      const door = gate();
      const [kept = -1] = slow.member.partitions;
      slow.listener.meanwhile = async () => {
        await door.opened;
        await slow.member.commit(kept, position(5, "late"));
      };
      const joining = join();
      await world.until(() => slow.listener.isRebalancing, "the member is asked to finish");
      await new Promise((resolve) => setTimeout(resolve, QUICK.sessionMs * 1.5));
      door.open();
      const third = await joining;
      expect(await third.member.committed(kept)).toEqual(position(5, "late"));
    });
  });

  describe("M7 a membership", () => {
    it("stays where it is when its connections break", async () => {
      const [one, other] = await pair();
      const told = [one, other].map(({ listener }) => listener.calls.length);
      for (let times = 0; times < 5; times += 1) {
        one.faults.cutAll();
        for (const p of one.member.partitions) await one.member.commit(p, position(times));
      }
      expect([one, other].map(({ listener }) => listener.calls.length)).toEqual(told);
    });
    it.each([
      ["JoinGroup", REQUEST.join],
      ["SyncGroup", REQUEST.sync],
      ["Heartbeat", REQUEST.heartbeat],
    ])("settles though answers to %s get lost", async (_, request) => {
      const [one, other] = await pair();
      for (const { faults } of [one, other]) faults.loseAnswers(request, 2);
      const third = await join();
      await settled([one, other, third]);
      await world.until(() => one.faults.lost + other.faults.lost === 4, "answers are lost");
      await settled([one, other, third]);
    });
    it("of a newcomer whose admission got lost holds nobody up", async () => {
      const [one, other] = await pair(LASTING);
      const faults = new FaultySockets();
      faults.loseSecondAnswer(REQUEST.join);
      const since = Date.now();
      const third = await join({}, { socketFactory: faults.factory, groupTimes: LASTING });
      await settled([one, other, third]);
      expect(faults.lost).toBe(1);
      expect(Date.now() - since).toBeLessThan(LASTING.sessionMs - 1_000);
    });
    it("ends with its log, and the others need not wait for the session", async () => {
      const [one, other] = await pair(LASTING);
      const since = Date.now();
      const told = one.listener.calls.length;
      await one.log.close();
      await settled([other]);
      expect(Date.now() - since).toBeLessThan(LASTING.sessionMs - 1_000);
      expect(one.listener.calls).toHaveLength(told);
    });
    it("does not hold up what else its process asks of the broker while it waits for others to finish", async () => {
      const first = await join();
      const door = gate();
      first.listener.meanwhile = () => door.opened;
      const groups = await world.process();
      const joining = groups.join({ ...SPEC, address: null }, new Listener());
      await world.until(() => first.listener.isRebalancing, "the member is asked to finish");
      const since = Date.now();
      await groups.log.offsets(`${world.prefix}${TOPIC}`, 0);
      await groups.log.groupOffset(`${world.prefix}g.other`, `${world.prefix}${TOPIC}`, 0);
      // Behind a JoinGroup they would wait for the rebalance, or until the connection is given up.
      expect(Date.now() - since).toBeLessThan(4_500);
      door.open();
      await joining;
    });
    it("can be left while it waits in line", async () => {
      const [one, other] = await pair();
      const door = gate();
      one.listener.meanwhile = () => door.opened;
      const joining = join();
      await world.until(() => one.listener.isRebalancing && !other.listener.isRebalancing, "one waits for the other");
      const since = Date.now();
      await other.member.leave();
      expect(Date.now() - since).toBeLessThan(QUICK.rebalanceMs / 2);
      door.open();
      await settled([one, await joining]);
    });
  });

  it("10 of them with 64 partitions move few when one comes or goes", async () => {
    const spec = { topic: WIDE.name, partitions: WIDE.partitions };
    const members = await Promise.all(Array.from({ length: 10 }, () => join(spec)));
    await settled(members, WIDE.partitions);
    for (const change of ["leave", "join", "leave", "join"]) {
      const before = ownersAmong(members, WIDE.partitions);
      if (change === "leave") await members.shift()?.member.leave();
      else members.push(await join(spec));
      await settled(members, WIDE.partitions);
      const moved = ownersAmong(members, WIDE.partitions).filter((owner, p) => owner !== before[p]);
      expect(moved.length, change).toBeLessThanOrEqual(7);
    }
  });

  describe("beside strangers", () => {
    /** A consumer of kafkajs in our group; resolves when it is in. */
    const stranger = async (assigners?: PartitionAssigner[]): Promise<Consumer> => {
      const kafka = new Kafka({ brokers: [...inject("kafkaBrokers")], logLevel: logLevel.NOTHING });
      const group = { groupId: `${world.prefix}${GROUP}`, sessionTimeout: 6_000, rebalanceTimeout: 6_000 };
      const consumer = kafka.consumer(assigners === undefined ? group : { ...group, partitionAssigners: assigners });
      await consumer.connect();
      await consumer.subscribe({ topic: `${world.prefix}${TOPIC}` });
      const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
      await consumer.run({ eachMessage: () => Promise.resolve() });
      await joined;
      return consumer;
    };
    it("of another version of ours: they get their share", async () => {
      const one = await join();
      const topics = [`${world.prefix}${TOPIC}`];
      const metadata = AssignerProtocol.MemberMetadata.encode({
        version: 1,
        topics,
        userData: Buffer.from([99, 1, 2]),
      });
      const consumer = await stranger([
        () => ({
          name: GROUP_PROTOCOL,
          version: 1,
          protocol: () => ({ name: GROUP_PROTOCOL, metadata }),
          assign: () => Promise.reject(new Error("the stranger does not lead")),
        }),
      ]);
      await world.until(() => one.member.partitions.length === PARTITIONS / 2, "the stranger has half");
      await consumer.disconnect();
      await settled([one]);
    });
    it("of another kind: ConfigError", async () => {
      const consumer = await stranger();
      await expect(join()).rejects.toThrow(ConfigError);
      await consumer.disconnect();
    });
  });

  it("that reach no broker are a TransientError", async () => {
    const faults = new FaultySockets();
    const log = await kafkaLog(inject("kafkaBrokers"), {
      requestMsMax: 300,
      patienceMs: 800,
      socketFactory: faults.factory,
    });
    const topic = `${world.prefix}${TOPIC}`;
    // A topic that is new may have no leader for a moment.
    await world.until(() => log.offsets(topic, 0).then(Boolean, () => false), "the topic can be read");
    faults.kill();
    const joining = log.join({ ...SPEC, topic, address: null }, new Listener());
    await expect(joining).rejects.toThrow(TransientError);
    faults.heal();
    await log.close();
  });
});
