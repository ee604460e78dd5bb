/**
 * A consumer group as the broker keeps it: who owns which partition, sticky and balanced. A member that is silent for
 * longer than its session loses its partitions without being asked; it learns of it when it can.
 */
import type { Prng } from "../prng.js";
import type { SimProcess } from "../process.js";
import type { Scheduler } from "../scheduler.js";

export interface Member {
  readonly process: SimProcess;
  /** `generation` proves membership when offsets are committed. */
  assigned(partition: number, generation: number): void;
  revoked(partition: number): void;
}

export const SESSION_MS = 10_000;
/** How long a member may take to learn that it lost a partition. */
const LINGER_MS_MAX = 20_000;

export class Group {
  readonly #scheduler: Scheduler;
  readonly #partitions: number;
  #members: Member[] = [];
  readonly #owners = new Map<number, Member>();
  /** Of each partition: how often it has moved. */
  readonly #generations = new Map<number, number>();
  /** What members have not been told yet, in order. */
  readonly #letters = new Map<Member, (() => void)[]>();
  readonly #rng: Prng;

  constructor(scheduler: Scheduler, rng: Prng, partitions: number) {
    this.#scheduler = scheduler;
    this.#rng = rng;
    this.#partitions = partitions;
  }

  generationOf(partition: number): number {
    return this.#generations.get(partition) ?? 0;
  }
  get members(): readonly Member[] {
    return this.#members;
  }

  join(member: Member): void {
    this.#members.push(member);
    this.rebalance();
  }

  leave(member: Member): void {
    if (!this.#members.includes(member)) return;
    this.#members = this.#members.filter((m) => m !== member);
    this.rebalance();
  }

  /** Moves as little as balance allows. */
  rebalance(): void {
    const share = Math.ceil(this.#partitions / Math.max(1, this.#members.length));
    const held = new Map<Member, number>(this.#members.map((m) => [m, 0]));
    const free: number[] = [];
    for (let p = 0; p < this.#partitions; p++) {
      const owner = this.#owners.get(p);
      const holds = owner === undefined ? undefined : held.get(owner);
      if (owner !== undefined && holds !== undefined && holds < share) held.set(owner, holds + 1);
      else free.push(p);
    }
    for (const p of free) this.#move(p, this.#leastBusy(held));
  }

  /** Hands one partition to another member: what an operator or another assignor would do. */
  moveAway(partition: number): void {
    const owner = this.#owners.get(partition);
    const others = this.#members.filter((m) => m !== owner);
    const next = others[partition % Math.max(1, others.length)];
    if (next !== undefined) this.#move(partition, next);
  }

  #leastBusy(held: Map<Member, number>): Member | null {
    let best: Member | null = null;
    for (const [member, count] of held) if (best === null || count < (held.get(best) ?? 0)) best = member;
    if (best !== null) held.set(best, (held.get(best) ?? 0) + 1);
    return best;
  }

  #move(partition: number, to: Member | null): void {
    const from = this.#owners.get(partition);
    if (from === to) return;
    const generation = this.generationOf(partition) + 1;
    this.#generations.set(partition, generation);
    if (to === null) this.#owners.delete(partition);
    else this.#owners.set(partition, to);
    if (from !== undefined) this.#tell(from, `revoked ${partition}`, LINGER_MS_MAX, () => from.revoked(partition));
    if (to !== null) this.#tell(to, `assigned ${partition}`, 0, () => to.assigned(partition, generation));
  }

  /** Members learn of changes in order, but some of them late: until then they are zombies. */
  #tell(member: Member, what: string, lingerMsMax: number, act: () => void): void {
    const letters = this.#letters.get(member) ?? [];
    this.#letters.set(member, letters);
    letters.push(act);
    const lingers = lingerMsMax > 0 && this.#rng.chance(0.5) ? this.#rng.between(0, lingerMsMax) : 0;
    const delayMs = member.process.delayMs("ask") + lingers;
    const deliver = (): void => letters.shift()?.();
    void this.#scheduler.suspend(member.process, { kind: "world", what, delayMs, act: deliver });
  }
}
