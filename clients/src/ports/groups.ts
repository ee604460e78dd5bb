/**
 * Port: who works on which partition. The members of a group share the partitions of one topic; each partition has at
 * most one member in the group's current generation.
 *
 * Contract (engine/test/contracts/groups-contract.ts; every adapter runs it):
 *  M1  Each rebalance ends with every partition given to exactly one of the members that are alive, in numbers that
 *      differ by at most one, and moves no more partitions than that takes.
 *  M2  `onRebalancing` is awaited before the member gives up its place in the old generation: what it commits in there
 *      is accepted. `onAssigned` follows, also when the same partitions stay. The two take turns and never overlap; the
 *      first call is an `onAssigned`.
 *  M3  A commit by a member whose generation is over, or of a partition that it does not have, throws `FencedError` and
 *      stores nothing.
 *  M4  A member that is paused for longer than the session loses its partitions to others. When it goes on, it learns
 *      that by `onAssigned([])` or by its next assignment, and by M3 whatever it does before.
 *  M5  `leave` gives its partitions to the others without waiting for a session to end.
 *  M6  Every member knows the address of each partition's owner, as of its own last assignment.
 *  M7  A membership outlives lost connections and brokers: the member joins again by itself until it leaves.
 * Two members may believe to have a partition at the same time (M4): whoever writes state is fenced elsewhere (the
 * changelog's writer), whoever hands out work commits first (M3).
 */
import type { GroupOffset } from "./log.js";

export interface GroupListener {
  /** Finish and commit what is under way, begin nothing until `onAssigned`. Must settle within seconds; never rejects. */
  onRebalancing(): Promise<void>;
  /** What this member has from now on. Must not throw nor block: taking over and giving up go on behind it. */
  onAssigned(partitions: readonly number[]): void;
}

export interface GroupSpec {
  readonly group: string;
  readonly topic: string;
  /** Of the topic. */
  readonly partitions: number;
  /** Where the other members reach this one, `http://10.0.0.7:8288`; null: it cannot be asked anything. */
  readonly address: string | null;
}

export interface GroupMember {
  /** Ascending; empty while it has none. */
  readonly partitions: readonly number[];
  /** null: nobody has the partition, as far as this member knows, or its owner has no address. */
  ownerOf(partition: number): string | null;
  /**
   * Durable once resolved.
   * @throws FencedError (M3), TransientError (outcome unknown), ClosedError after `leave`
   */
  commit(partition: number, at: GroupOffset): Promise<void>;
  /** The newest commit of any member; null: there is none. @throws TransientError */
  committed(partition: number): Promise<GroupOffset | null>;
  /**
   * `onRebalancing`, then `onAssigned([])`, then the group hears of it. Idempotent; never rejects. Whoever waits for it
   * inside `onRebalancing` waits for ever.
   */
  leave(): Promise<void>;
}

export interface Groups {
  /**
   * Resolves when the member has its first assignment, after `onAssigned`.
   * @throws ConfigError where it will never be let in, as with another partition count than the topic's; TransientError
   * when brokers do not answer
   */
  join(spec: GroupSpec, listener: GroupListener): Promise<GroupMember>;
}
