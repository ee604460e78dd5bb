/**
 * Offsets that a member of a group commits. One request is under way at a time; what is asked for meanwhile goes
 * together in the next, of each partition the newest. A commit belongs to the member's hold on its partition: once that
 * is over the commit is fenced, even if the partition comes back before it was sent.
 */
import { FencedError, TransientError } from "../errors/codes.js";
import type { GroupOffset } from "../ports/log.js";
import type { BrokerLink } from "./broker-link.js";
import type { Identity } from "./group-requests.js";
import type { KafkaClient } from "./kafka-client.js";
import { verdictOf } from "./kafka-errors.js";

interface Pending {
  at: GroupOffset;
  /** The member's hold on the partition ended: this is not sent (again). */
  isLost: boolean;
  readonly waiters: { readonly resolve: () => void; readonly reject: (error: unknown) => void }[];
}

export interface GroupCommitsDeps {
  readonly client: KafkaClient;
  readonly group: string;
  readonly topic: string;
  /** Who commits at this moment, one object per generation; null: this member has lost its place. */
  readonly identity: () => Identity | null;
  /** The group has gone on without this member. */
  readonly onFenced: () => void;
}

export class GroupCommits {
  readonly #deps: GroupCommitsDeps;
  #held: ReadonlySet<number> = new Set();
  #waiting = new Map<number, Pending>();
  #sent = new Map<number, Pending>();
  #isPumping = false;

  constructor(deps: GroupCommitsDeps) {
    this.#deps = deps;
  }

  /** The member has these partitions from now on, and has had those that it had before all the time. */
  hold(partitions: readonly number[]): void {
    this.#held = new Set(partitions);
    for (const pendings of [this.#waiting, this.#sent]) {
      for (const [partition, pending] of pendings) if (!this.#held.has(partition)) pending.isLost = true;
    }
    // What is under way may yet be stored: its answer says so.
    this.#dropLost(this.#waiting, (partition) => this.#fenced(partition));
  }

  /** @throws FencedError, TransientError */
  commit(partition: number, at: GroupOffset): Promise<void> {
    if (!this.#held.has(partition)) return Promise.reject(this.#fenced(partition));
    return new Promise((resolve, reject) => {
      const pending = this.#waiting.get(partition);
      if (pending === undefined) this.#waiting.set(partition, { at, isLost: false, waiters: [{ resolve, reject }] });
      else {
        pending.at = at;
        pending.waiters.push({ resolve, reject });
      }
      if (!this.#isPumping) void this.#pump();
    });
  }

  /** Never rejects: what goes wrong is told to those who wait. */
  async #pump(): Promise<void> {
    this.#isPumping = true;
    // Commits of one turn of the event loop go together.
    await Promise.resolve();
    while (this.#waiting.size > 0) {
      this.#sent = this.#waiting;
      this.#waiting = new Map();
      try {
        await this.#send();
        this.#settle(({ resolve }) => resolve());
      } catch (error) {
        this.#settle(({ reject }) => reject(error));
      }
    }
    this.#isPumping = false;
  }

  #settle(settle: (waiter: Pending["waiters"][number]) => void): void {
    for (const { waiters } of this.#sent.values()) waiters.forEach(settle);
    this.#sent = new Map();
  }

  async #send(): Promise<void> {
    const { client, group, topic } = this.#deps;
    const failing = { doing: `commit offsets of group ${group}`, fields: { group, topic } };
    await client.onCoordinator({ kind: "group", id: group }, failing, async (link, attempt) => {
      const isKnown = attempt === 1;
      this.#dropLost(this.#sent, (partition) => (isKnown ? this.#fenced(partition) : this.#unknown(partition)));
      await this.#sendOn(link);
    });
  }

  /** @throws raw errors; FencedError */
  async #sendOn(link: BrokerLink): Promise<void> {
    const { client, group, topic } = this.#deps;
    for (;;) {
      if (this.#sent.size === 0) return;
      const identity = this.#deps.identity();
      if (identity === null)
        throw new FencedError(`this member has lost its place in group ${group}`, { group, topic });
      const partitions = [...this.#sent].map(([partition, { at }]) => {
        return { partition, offset: String(at.offset), metadata: at.metadata };
      });
      const { generation: groupGenerationId, memberId } = identity;
      const request = { groupId: group, groupGenerationId, memberId, topics: [{ topic, partitions }] };
      try {
        await link.ask("OffsetCommit", client.requestMsMax, (broker) => broker.offsetCommit(request));
        return;
      } catch (error) {
        if (verdictOf(error) !== "fenced") throw error;
        const now = this.#deps.identity();
        if (now === identity) this.#deps.onFenced();
        if (now === identity || now === null) throw error;
        // The generation ended while this was on its way: what the member still has goes under the next.
        this.#dropLost(this.#sent, (partition) => this.#fenced(partition));
      }
    }
  }

  #dropLost(pendings: Map<number, Pending>, errorFor: (partition: number) => Error): void {
    for (const [partition, { isLost, waiters }] of pendings) {
      if (!isLost) continue;
      pendings.delete(partition);
      for (const { reject } of waiters) reject(errorFor(partition));
    }
  }

  #unknown(partition: number): TransientError {
    const { group, topic } = this.#deps;
    const fields = { group, topic, partition };
    return new TransientError(`Kafka did not commit an offset of group ${group}, the outcome is unknown`, fields);
  }

  #fenced(partition: number): FencedError {
    const { group, topic } = this.#deps;
    const fields = { group, topic, partition };
    return new FencedError(`this member of ${group} does not have partition ${partition}`, fields);
  }
}
