/**
 * Which partitions this process works on: a member of the group that shares the inbox among engines. What it is given
 * is taken over behind the group's back, never inside its callbacks (DESIGN.md section 5).
 */
import { ClosedError, FencedError, TransientError } from "@eddy/clients/errors";
import type { GroupMember, Groups, Topics } from "@eddy/clients";
import type { HistorySource, HistorySources } from "../history/history-lookup.js";
import { offset } from "@eddy/schemas";
import { Seat, type OwnedTask, type PartitionReading, type SeatDeps, type SeatFigures } from "./seat.js";
import { Turns } from "./turns.js";

export interface OwnershipDeps extends Omit<
  SeatDeps,
  "partition" | "inbox" | "takeovers" | "rebuilds" | "isStillOurs"
> {
  readonly groups: Groups;
  readonly topics: Topics;
  /** Partitions of the inbox. */
  readonly partitions: number;
}

/** Restores at once, of states and of histories. */
const AT_ONCE = 4;
const LOOK_AGAIN_MS = 5;
/** How often the group is told how far the inbox was applied, in ms: for tools that show lag, nothing goes by it. */
const TELL_PERIOD_MS = 10_000;

export class Ownership implements HistorySources {
  readonly partitions: number;
  readonly #deps: OwnershipDeps;
  readonly #seats: readonly Seat[];
  readonly #closing = new AbortController();
  #member: GroupMember | null = null;
  #telling: Promise<void> = Promise.resolve();

  constructor(deps: OwnershipDeps) {
    this.#deps = deps;
    this.partitions = deps.partitions;
    const shared = {
      ...deps,
      inbox: deps.topics.inbox,
      takeovers: new Turns(AT_ONCE),
      rebuilds: new Turns(AT_ONCE),
      isStillOurs: (partition: number) => this.#isStillOurs(partition),
    };
    this.#seats = Array.from({ length: deps.partitions }, (_, partition) => new Seat({ ...shared, partition }));
  }

  /**
   * Resolves when the group has given this process its share, and takeovers have begun. May be called again where it
   * threw. @param address where other engines reach this one. @throws as `Groups.join`
   */
  async join(address: string | null): Promise<void> {
    const { groups, topics, partitions } = this.#deps;
    const member = await groups.join(
      { group: topics.engineGroup, topic: topics.inbox, partitions, address },
      { onRebalancing: () => Promise.resolve(), onAssigned: (given) => this.#assigned(given) },
    );
    if (this.#closing.signal.aborted) {
      await member.leave();
      throw new ClosedError("the engine was closed while it joined the group");
    }
    this.#member = member;
    this.#telling = this.#tellPositions();
  }

  /** Resolves when each partition that this process has now is taken over, or has said why not, or `signal` aborts. */
  async settled(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#closing.signal.aborted && this.#seats.some((seat) => !seat.isSettled)) {
      await this.#deps.clock.sleep(LOOK_AGAIN_MS);
    }
  }

  isOurs(partition: number): boolean {
    return this.#seats[partition]?.isOurs ?? false;
  }
  /** null: the partition is another's, or between two takeovers. */
  taskOf(partition: number): OwnedTask | null {
    return this.#seats[partition]?.task ?? null;
  }
  /** As of the seat; false where the partition is not ours. @throws TransientError while it is being taken over */
  hasSettled(partition: number, before: number): boolean {
    return this.#seats[partition]?.hasSettled(before) ?? false;
  }
  /** Its `store` throws TransientError while look-ups cannot be answered. */
  historyOf(partition: number): HistorySource | null {
    return this.#seats[partition]?.history ?? null;
  }
  /** Address of the process that has the partition, as of this member's last assignment; null: not known. */
  ownerOf(partition: number): string | null {
    return this.#member?.ownerOf(partition) ?? null;
  }
  /** Of the partitions that are ours, ascending. */
  readings(): readonly PartitionReading[] {
    return this.#seats.filter(({ isOurs }) => isOurs).map((seat) => seat.reading());
  }
  /** The same for operators. */
  figures(): readonly SeatFigures[] {
    return this.#seats.filter(({ isOurs }) => isOurs).map((seat) => seat.figures());
  }
  /** For readiness; empty: all is well. */
  get problems(): readonly string[] {
    if (this.#member === null) return ["joining the group of engines"];
    return this.#seats.flatMap(({ problems }) => problems);
  }

  /** Saves and closes every partition, then leaves the group: whoever gets them has nothing to repeat. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const seat of this.#seats) seat.lose();
    await Promise.all(this.#seats.map((seat) => seat.empty()));
    await this.#telling;
    await this.#member?.leave();
  }

  #assigned(given: readonly number[]): void {
    if (this.#closing.signal.aborted) return;
    const ours = new Set(given);
    for (const [partition, seat] of this.#seats.entries()) {
      if (ours.has(partition)) seat.assign();
      else seat.lose();
    }
  }

  /** Only a member of the current generation may commit. */
  async #isStillOurs(partition: number): Promise<boolean> {
    const member = this.#member;
    if (member === null) return true; // Still joining, with an assignment of this very moment.
    try {
      await member.commit(partition, (await member.committed(partition)) ?? { offset: offset(0), metadata: "" });
      return true;
    } catch (err) {
      this.#deps.logger.debug({ err, partition }, "the group does not confirm that the partition is ours");
      return false;
    }
  }

  async #tellPositions(): Promise<void> {
    const { clock, logger } = this.#deps;
    const told = new Map<number, number>();
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await clock.sleep(TELL_PERIOD_MS, signal);
      for (const { partition, status, processedOffset } of this.readings()) {
        if (status !== "running" || told.get(partition) === processedOffset || signal.aborted) continue;
        try {
          await this.#member?.commit(partition, { offset: offset(processedOffset + 1), metadata: "" });
          told.set(partition, processedOffset);
        } catch (err) {
          if (!(err instanceof TransientError || err instanceof FencedError || err instanceof ClosedError)) {
            logger.warn({ err, partition }, "the position in the inbox could not be told");
          }
        }
      }
    }
  }
}
