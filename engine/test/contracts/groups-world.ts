/** What the suites of the Groups port share: the world that an adapter provides, and a listener that writes down. */
import { expect } from "vitest";
import type { GroupListener, GroupMember, Groups } from "../../../clients/src/ports/groups.js";
import type { GroupOffset, Log } from "../../../clients/src/ports/log.js";
import { at } from "./log-world.js";

export const GROUP = "g.workers";
export const TOPIC = "t.steps";
export const PARTITIONS = 8;

export interface GroupsWorld {
  /** Has the topic `TOPIC` with `PARTITIONS`. */
  readonly log: Log;
  /** Groups as one more process has them, where the adapter reaches beyond one process. */
  process(): Promise<Groups>;
  /** Lets things happen until `isDone`; fails after a bound of the adapter's own. */
  until(isDone: () => boolean | Promise<boolean>, what: string): Promise<void>;
  dispose(): Promise<void>;
}

type Call = "rebalancing" | readonly number[];

/** Keeps what it was told, and fails where M2 is not kept. */
export class Listener implements GroupListener {
  readonly calls: Call[] = [];
  /** What the member does while it is rebalancing. */
  meanwhile: () => Promise<void> = () => Promise.resolve();
  isRebalancing = false;

  async onRebalancing(): Promise<void> {
    expect(this.calls.at(-1), "onRebalancing comes after an onAssigned").toBeInstanceOf(Array);
    this.calls.push("rebalancing");
    this.isRebalancing = true;
    await this.meanwhile();
    this.isRebalancing = false;
  }

  onAssigned(partitions: readonly number[]): void {
    expect(this.isRebalancing, "onAssigned waits for onRebalancing").toBe(false);
    if (this.calls.length > 0) expect(this.calls.at(-1), "each onAssigned has its onRebalancing").toBe("rebalancing");
    this.calls.push(partitions);
  }

  get assigned(): readonly number[] {
    const last = this.calls.filter((call): call is readonly number[] => call !== "rebalancing").at(-1);
    return last ?? [];
  }
}

/** A member with its listener. */
export interface Joined {
  readonly member: GroupMember;
  readonly listener: Listener;
}

/** A door that stays shut until it is opened. */
export function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open: () => open(), opened };
}

export const position = (n: number, metadata = ""): GroupOffset => ({ offset: at(n), metadata });

/** Do these members, and nobody else, have all partitions, in equal shares? */
export function areSettled(members: readonly Joined[], partitions: number = PARTITIONS): boolean {
  const owned = members.flatMap(({ listener }) => [...listener.assigned]).sort((a, b) => a - b);
  const sizes = members.map(({ listener }) => listener.assigned.length);
  return (
    owned.length === partitions &&
    owned.every((p, index) => p === index) &&
    Math.max(...sizes) - Math.min(...sizes) <= 1 &&
    members.every(({ listener }) => !listener.isRebalancing && listener.calls.at(-1) !== "rebalancing")
  );
}

/** By partition the member that has it. */
export function ownersAmong(
  members: readonly Joined[],
  partitions: number = PARTITIONS,
): readonly (Joined | undefined)[] {
  return Array.from({ length: partitions }, (_, p) => members.find(({ listener }) => listener.assigned.includes(p)));
}
