/**
 * This process's place among those that hand out an app's steps: taken when there is a worker to hand them to, given up
 * when there is none any more, or at once when it ends. Work on a partition goes on exactly while the group gives it.
 *
 *   out --wanted--> joining --> member --not wanted for LINGER_MS--> leaving --> out
 *                                  \___ stop: at once ___/   (from every state, for good)
 */
import { ClosedError, TransientError } from "../errors/codes.js";
import type { Clock } from "../ports/clock.js";
import type { GroupListener, GroupMember, Groups, GroupSpec } from "../ports/groups.js";
import type { Logger } from "../ports/logger.js";

/** Work on one partition. No method throws. */
export interface PartitionWork {
  /** The partition is this process's, for the first time or still. */
  resume(): void;
  /** As `GroupListener.onRebalancing`. */
  quiesce(): Promise<void>;
  /** The partition is no longer this process's; resolves when nothing of the work is under way. */
  stop(): Promise<void>;
  readonly failure: Error | null;
}

export interface GroupMembershipDeps {
  readonly groups: Groups;
  readonly spec: GroupSpec;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly workOn: (partition: number, member: GroupMember) => PartitionWork;
}

/** How long a member stays that is not wanted any more, in ms: a worker that comes back costs no rebalance. */
export const LINGER_MS = 5_000;
/** Between tries to join, in ms. */
const PAUSE_MS = { min: 100, max: 5_000 } as const;

export class GroupMembership {
  readonly #deps: GroupMembershipDeps;
  readonly #stopping = new AbortController();
  readonly #works = new Map<number, PartitionWork>();
  /** Ends of works whose partitions were given up. */
  readonly #ending = new Set<Promise<void>>();
  #member: GroupMember | null = null;
  /** What was assigned before `join` resolved waits for it: work needs the member. */
  #assigned: readonly number[] = [];
  #isWanted = false;
  #wake: () => void = () => undefined;
  #running: Promise<void> | null = null;
  #failure: Error | null = null;

  constructor(deps: GroupMembershipDeps) {
    this.#deps = deps;
  }

  /** Is there somebody to hand out to? */
  want(isWanted: boolean): void {
    if (this.#stopping.signal.aborted) return;
    this.#isWanted = isWanted;
    if (isWanted) this.#running ??= this.#run();
    this.#wake();
  }

  /** Ascending; empty while this process is no member. */
  get partitions(): readonly number[] {
    return this.#member?.partitions ?? [];
  }

  /** Why this process cannot join, or why one of its partitions stands still; null while all is well. */
  get failure(): Error | null {
    if (this.#failure !== null) return this.#failure;
    for (const { failure } of this.#works.values()) if (failure !== null) return failure;
    return null;
  }

  /** Leaves at once; resolves when nothing of the work is under way. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#running;
    await Promise.all(this.#ending);
  }

  readonly #listener: GroupListener = {
    onRebalancing: async () => {
      this.#assigned = [];
      await Promise.all([...this.#works.values()].map((work) => work.quiesce()));
    },
    onAssigned: (partitions) => {
      this.#assigned = partitions;
      if (this.#member !== null) this.#assign(partitions);
    },
  };

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const member = this.#isWanted ? await this.#join() : null;
      if (member === null) {
        if (!this.#isWanted) await this.#changed();
        continue;
      }
      await this.#untilUnwanted();
      await member.leave();
      this.#member = null;
      this.#assign([]);
    }
  }

  /** @returns null where it did not succeed; then a pause has passed. */
  async #join(): Promise<GroupMember | null> {
    const { groups, spec, clock, logger } = this.#deps;
    const { signal } = this.#stopping;
    let pauseMs: number = PAUSE_MS.min;
    for (; this.#isWanted && !signal.aborted; pauseMs = Math.min(2 * pauseMs, PAUSE_MS.max)) {
      try {
        this.#assigned = [];
        this.#member = await groups.join(spec, this.#listener);
        this.#failure = null;
        this.#assign(this.#assigned);
        return this.#member;
      } catch (err) {
        if (signal.aborted) return null;
        const fields = { err, group: spec.group, pauseMs };
        if (err instanceof TransientError) {
          logger.warn(fields, "the group cannot be joined yet, trying again");
        } else {
          this.#failure = err instanceof Error ? err : new Error(String(err));
          logger.error(fields, "the group cannot be joined");
          if (err instanceof ClosedError) return this.#giveUp();
        }
        await clock.sleep(pauseMs, signal);
      }
    }
    return null;
  }

  /** The log of this process is closed: there is nothing to come back to. */
  #giveUp(): null {
    this.#stopping.abort();
    return null;
  }

  #assign(partitions: readonly number[]): void {
    for (const [partition, work] of this.#works) {
      if (partitions.includes(partition)) continue;
      this.#works.delete(partition);
      const ending = work.stop().finally(() => this.#ending.delete(ending));
      this.#ending.add(ending);
    }
    for (const partition of partitions) {
      let work = this.#works.get(partition);
      if (work === undefined) {
        work = this.#deps.workOn(partition, this.#member as GroupMember);
        this.#works.set(partition, work);
      }
      work.resume();
    }
  }

  /** Resolves when nobody wanted it for LINGER_MS, or it has to stop. */
  async #untilUnwanted(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      if (this.#isWanted) {
        await this.#changed();
        continue;
      }
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      await this.#deps.clock.sleep(LINGER_MS, woken.signal);
      if (!woken.signal.aborted) return;
    }
  }

  #changed(): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => (this.#wake = resolve));
  }
}
