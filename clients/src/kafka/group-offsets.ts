/**
 * Offsets of groups, with the text that goes along: written and read as a client without membership, which Kafka allows
 * while the group has no members. One commit per group and partition is under way at a time; of those that wait, the
 * newest stands for all.
 */
import { offset } from "@eddy/schemas";
import type { GroupOffset } from "../ports/log.js";
import type { KafkaClient } from "./kafka-client.js";
import type { Destination } from "./produce.js";

/** Of a commit outside any generation. */
const NO_GENERATION = -1;
const NO_MEMBER = "";

interface Pending {
  at: GroupOffset;
  readonly waiters: { readonly resolve: () => void; readonly reject: (error: unknown) => void }[];
}

interface Lane {
  next: Pending | null;
}

export class GroupOffsets {
  readonly #client: KafkaClient;
  readonly #lanes = new Map<string, Lane>();

  constructor(client: KafkaClient) {
    this.#client = client;
  }

  commit(group: string, of: Destination, at: GroupOffset): Promise<void> {
    const key = JSON.stringify([group, of.topic, of.partition]);
    return new Promise((resolve, reject) => {
      const lane = this.#lanes.get(key);
      if (lane === undefined) {
        const fresh: Lane = { next: { at, waiters: [{ resolve, reject }] } };
        this.#lanes.set(key, fresh);
        void this.#pump(key, fresh, group, of);
      } else if (lane.next === null) {
        lane.next = { at, waiters: [{ resolve, reject }] };
      } else {
        lane.next.at = at;
        lane.next.waiters.push({ resolve, reject });
      }
    });
  }

  async read(group: string, of: Destination): Promise<GroupOffset | null> {
    const { topic, partition } = of;
    const failing = { doing: `read the offset of group ${group}`, fields: { group, ...of } };
    const answer = await this.#client.onCoordinator({ kind: "group", id: group }, failing, (link) =>
      link.ask("OffsetFetch", this.#client.requestMsMax, (broker) =>
        broker.offsetFetch({ groupId: group, topics: [{ topic, partitions: [{ partition }] }] }),
      ),
    );
    const found = answer.responses[0]?.partitions[0];
    if (found === undefined || Number(found.offset) < 0) return null;
    return { offset: offset(Number(found.offset)), metadata: found.metadata ?? "" };
  }

  /** Never rejects: what goes wrong is told to those who wait. */
  async #pump(key: string, lane: Lane, group: string, of: Destination): Promise<void> {
    for (let pending = lane.next; pending !== null; pending = lane.next) {
      lane.next = null;
      try {
        await this.#commitNow(group, of, pending.at);
        for (const { resolve } of pending.waiters) resolve();
      } catch (error) {
        for (const { reject } of pending.waiters) reject(error);
      }
    }
    this.#lanes.delete(key);
  }

  async #commitNow(group: string, { topic, partition }: Destination, at: GroupOffset): Promise<void> {
    const failing = { doing: `commit the offset of group ${group}`, fields: { group, topic, partition } };
    const partitions = [{ partition, offset: String(at.offset), metadata: at.metadata }];
    await this.#client.onCoordinator({ kind: "group", id: group }, failing, (link) =>
      link.ask("OffsetCommit", this.#client.requestMsMax, (broker) =>
        broker.offsetCommit({
          groupId: group,
          groupGenerationId: NO_GENERATION,
          memberId: NO_MEMBER,
          topics: [{ topic, partitions }],
        }),
      ),
    );
  }
}
