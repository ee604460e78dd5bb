/**
 * Groups whose members live in one process, over any log: for the embedded engine, for users' tests and the simulator.
 * Each `MemoryGroups` has groups of its own; what members commit is in the log.
 *
 * A group settles in rounds, one at a time: all members finish what they do, then each gets its share. Whoever joins or
 * leaves meanwhile is part of the round that is under way, as long as shares are not given yet, else of the next.
 */
import {
  assignSticky,
  type GroupListener,
  type GroupMember,
  type GroupOffset,
  type Groups,
  type GroupSpec,
  type Log,
} from "@eddy/clients";
import { ClosedError, ConfigError, FencedError } from "@eddy/clients/errors";

export class MemoryGroups implements Groups {
  readonly #log: Log;
  readonly #groups = new Map<string, MemoryGroup>();

  constructor(log: Log) {
    this.#log = log;
  }

  async join(spec: GroupSpec, listener: GroupListener): Promise<GroupMember> {
    let group = this.#groups.get(spec.group);
    if (group === undefined) {
      group = new MemoryGroup(spec);
      this.#groups.set(spec.group, group);
    }
    if (group.spec.topic !== spec.topic || group.spec.partitions !== spec.partitions) {
      throw new ConfigError(
        `the members of group ${spec.group} share the ${group.spec.partitions} partitions of ${group.spec.topic}, ` +
          `not the ${spec.partitions} of ${spec.topic}`,
        { group: spec.group, topic: spec.topic },
      );
    }
    const member = new MemoryMember(this.#log, group, spec, listener);
    group.add(member);
    await member.assigned;
    return member;
  }
}

class MemoryGroup {
  readonly spec: GroupSpec;
  /** In the order in which they joined. */
  readonly #members = new Set<MemoryMember>();
  #joined = 0;
  #isSettling = false;
  #changed = false;

  constructor(spec: GroupSpec) {
    this.spec = spec;
  }

  add(member: MemoryMember): void {
    this.#joined += 1;
    member.id = String(this.#joined).padStart(9, "0");
    this.#members.add(member);
    this.#settle();
  }

  remove(member: MemoryMember): void {
    if (this.#members.delete(member)) this.#settle();
  }

  addressOf(partition: number): string | null {
    for (const member of this.#members) if (member.partitions.includes(partition)) return member.address;
    return null;
  }

  #settle(): void {
    this.#changed = true;
    if (!this.#isSettling) void this.#rounds();
  }

  async #rounds(): Promise<void> {
    this.#isSettling = true;
    while (this.#changed) {
      await Promise.all([...this.#members].map((member) => member.rebalancing()));
      this.#changed = false;
      for (const member of this.#members) {
        if (member.leaving) {
          this.#members.delete(member);
          member.have([]);
          member.give([]);
        }
      }
      // Between generations nobody's claims differ: they are all of the round before.
      const claims = [...this.#members].map(({ id, partitions }) => ({ id, owned: partitions, generation: 0 }));
      const shares = assignSticky(this.spec.partitions, claims);
      const given = [...this.#members].map((member) => ({ member, share: shares.get(member.id) ?? [] }));
      for (const { member, share } of given) member.have(share);
      for (const { member, share } of given) member.give(share);
    }
    this.#isSettling = false;
  }
}

class MemoryMember implements GroupMember {
  readonly address: string | null;
  /** Resolves when the member has its first share. */
  readonly assigned: Promise<void>;
  id = "";
  /** Its next share is empty, and the last. */
  leaving = false;
  readonly #log: Log;
  readonly #group: MemoryGroup;
  readonly #spec: GroupSpec;
  readonly #listener: GroupListener;
  #partitions: readonly number[] = [];
  #owners: readonly (string | null)[] = [];
  #isAssigned = false;
  #hasLeft = false;
  #pausing: Promise<void> | null = null;
  #left: Promise<void> | null = null;
  #onFirst: () => void = () => undefined;

  constructor(log: Log, group: MemoryGroup, spec: GroupSpec, listener: GroupListener) {
    this.#log = log;
    this.#group = group;
    this.#spec = spec;
    this.#listener = listener;
    this.address = spec.address;
    this.assigned = new Promise((resolve) => (this.#onFirst = resolve));
  }

  get partitions(): readonly number[] {
    return this.#partitions;
  }

  ownerOf(partition: number): string | null {
    return this.#owners[partition] ?? null;
  }

  async commit(partition: number, at: GroupOffset): Promise<void> {
    const { group, topic } = this.#spec;
    this.#checkOpen();
    if (!this.#partitions.includes(partition)) {
      throw new FencedError(`this member of ${group} does not have partition ${partition}`, {
        group,
        topic,
        partition,
      });
    }
    await this.#log.commitGroupOffset(group, topic, partition, at);
  }

  async committed(partition: number): Promise<GroupOffset | null> {
    this.#checkOpen();
    return this.#log.groupOffset(this.#spec.group, this.#spec.topic, partition);
  }

  leave(): Promise<void> {
    this.#left ??= this.#leave();
    return this.#left;
  }

  /** Resolves when the listener has finished; one call of it until the next `give`. */
  async rebalancing(): Promise<void> {
    if (!this.#isAssigned) return;
    this.#pausing ??= this.#listener.onRebalancing();
    await this.#pausing;
  }

  /** What it may commit from now on. */
  have(partitions: readonly number[]): void {
    this.#partitions = partitions;
  }

  /** Tells the listener; all members have their shares by then. */
  give(partitions: readonly number[]): void {
    this.#partitions = partitions;
    this.#owners = Array.from({ length: this.#spec.partitions }, (_, p) => this.#group.addressOf(p));
    this.#isAssigned = true;
    this.#hasLeft = this.leaving;
    this.#pausing = null;
    this.#listener.onAssigned(partitions);
    this.#onFirst();
  }

  async #leave(): Promise<void> {
    this.leaving = true;
    await this.rebalancing();
    // A round that was under way may have seen to it.
    if (this.#hasLeft) return;
    this.have([]);
    this.give([]);
    this.#group.remove(this);
  }

  #checkOpen(): void {
    if (this.#hasLeft) throw new ClosedError(`this member has left ${this.#spec.group}`);
  }
}
