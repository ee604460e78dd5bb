/** M7: groups on three brokers of which one after the other is killed, or stands still. Always brokers of our own. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { startKafka } from "../../../scripts/kafka/cluster.js";
import type { KafkaCluster, KafkaNode } from "../../../scripts/kafka/cluster.js";
import {
  GROUP,
  Listener,
  PARTITIONS,
  TOPIC,
  areSettled,
  position,
} from "../../../engine/test/contracts/groups-world.js";
import type { Joined } from "../../../engine/test/contracts/groups-world.js";
import { FencedError, TransientError } from "../../src/errors/codes.js";
import { kafkaGroupsWorld } from "./groups-world.js";
import type { KafkaGroupsWorld } from "./groups-world.js";

const TIMES = { sessionMs: 6_000, heartbeatMs: 300, rebalanceMs: 10_000 };
const SPEC = { group: GROUP, topic: TOPIC, partitions: PARTITIONS };
const ALL = Array.from({ length: PARTITIONS }, (_, p) => p);

/**
 * Commits ever larger offsets for what its member has, until the test says so.
 * @param acknowledged by partition the largest offset that any member's commit was acknowledged for
 */
async function commitOn({ member }: Joined, acknowledged: Map<number, number>, isDone: () => boolean): Promise<void> {
  const commit = async (p: number): Promise<void> => {
    const next = (acknowledged.get(p) ?? 0) + 1;
    try {
      await member.commit(p, position(next, String(next)));
      acknowledged.set(p, Math.max(next, acknowledged.get(p) ?? 0));
    } catch (error) {
      if (!(error instanceof FencedError) && !(error instanceof TransientError)) throw error;
    }
  };
  while (!isDone()) {
    await Promise.all(member.partitions.map(commit));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe("a group on three brokers", () => {
  let cluster: KafkaCluster;
  let world: KafkaGroupsWorld;
  beforeAll(async () => {
    cluster = await startKafka({ nodes: 3, ownNodes: true });
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    world = await kafkaGroupsWorld(cluster.brokers);
  });
  afterEach(() => world.dispose());

  const outages: Readonly<Record<string, (node: KafkaNode, meanwhile: () => Promise<void>) => Promise<void>>> = {
    killed: async (node, meanwhile) => {
      await node.kill();
      await meanwhile();
      await node.start();
    },
    stopped: async (node, meanwhile) => {
      await node.pause();
      try {
        await meanwhile();
      } finally {
        await node.resume();
      }
    },
  };

  it.each(Object.entries(outages))(
    "goes on while one after the other is %s, and forgets no commit",
    async (_, outage) => {
      const members: Joined[] = [];
      for (let i = 0; i < 3; i += 1) {
        const groups = await world.process({ groupTimes: TIMES, requestMsMax: 2_000, dev: false });
        const listener = new Listener();
        members.push({ listener, member: await groups.join({ ...SPEC, address: `http://m${i}` }, listener) });
      }
      const acknowledged = new Map<number, number>();
      let isDone = false;
      const working = members.map((member) => commitOn(member, acknowledged, () => isDone));
      const progress = async (): Promise<void> => {
        const goals = ALL.map((p) => (acknowledged.get(p) ?? 0) + 5);
        const isThere = (): void => {
          expect(areSettled(members)).toBe(true);
          for (const p of ALL) expect(acknowledged.get(p) ?? 0).toBeGreaterThanOrEqual(goals[p] ?? 0);
        };
        await vi.waitFor(isThere, { timeout: 45_000, interval: 50 });
      };
      try {
        await progress();
        for (const node of cluster.nodes) {
          await outage(node, progress);
          await progress();
        }
      } finally {
        isDone = true;
        await Promise.allSettled(working);
      }
      await Promise.all(working);
      for (const p of ALL) {
        const [{ member }] = members as [Joined];
        expect((await member.committed(p))?.offset, `partition ${p}`).toBeGreaterThanOrEqual(acknowledged.get(p) ?? 0);
      }
    },
    180_000,
  );
});
