/**
 * Look-ups over the whole namespace: what this process keeps is looked up here, the rest at its owners. An answer is
 * complete or it is none: where one partition cannot be asked, the caller has to try again.
 */
import type { EventView, RunSummary, TimelineLine } from "@eddy/schemas";
import { TransientError } from "@eddy/clients/errors";
import { byStart, HistoryLookup, mergeEvents, partitionOfRun, type HistorySources } from "../history/history-lookup.js";
import { mergePages, type Page, type PageQuery } from "../history/run-pages.js";
import type { Peers } from "./peers.js";

/** Who has which partition. */
export interface Owners {
  readonly partitions: number;
  isOurs(partition: number): boolean;
  /** Address of the process that has it; null: not known. */
  ownerOf(partition: number): string | null;
}

export interface RoutedLookupDeps {
  readonly owners: Owners & HistorySources;
  readonly peers: Peers;
}

export class RoutedLookup {
  /** Of this process alone: what a forwarded request is answered from. */
  readonly here: HistoryLookup;
  readonly #owners: Owners;
  readonly #peers: Peers;

  constructor({ owners, peers }: RoutedLookupDeps) {
    this.here = new HistoryLookup(owners);
    this.#owners = owners;
    this.#peers = peers;
  }

  /** @returns null for an id that no run has. @throws TransientError where its owner cannot answer. */
  runById(runId: string): Promise<RunSummary | null> {
    const address = this.#addressOfRun(runId);
    return address === null ? this.here.runById(runId) : this.#peers.run(address, runId);
  }

  /** What happened to the run, in order; empty for an id that no run has. @throws TransientError as `runById`. */
  timeline(runId: string): Promise<readonly TimelineLine[]> {
    const address = this.#addressOfRun(runId);
    return address === null ? this.here.timeline(runId) : this.#peers.timeline(address, runId);
  }

  /** Runs that the event started, by their start. @throws TransientError where any owner cannot answer. */
  async runsOfEvent(eventId: string): Promise<readonly RunSummary[]> {
    const found = await this.#everywhere(
      (ours) => this.here.runsOfEvent(eventId, ours),
      (address, theirs) => this.#peers.runsOfEvent(address, eventId, theirs),
    );
    return found.flat().sort(byStart);
  }

  /** @returns null for an id that no event has. @throws TransientError where any owner cannot answer. */
  async event(eventId: string): Promise<EventView | null> {
    const found = await this.#everywhere(
      (ours) => this.here.event(eventId, ours),
      (address, theirs) => this.#peers.event(address, eventId, theirs),
    );
    return mergeEvents(
      eventId,
      found.flatMap((view) => view ?? []),
    );
  }

  /** A page of all runs. @throws TransientError where any owner cannot answer. */
  async runs(query: PageQuery): Promise<Page<RunSummary>> {
    const pages = await this.#everywhere(
      (ours) => this.here.runs(query, ours),
      (address, theirs) => this.#peers.runs(address, query, theirs),
    );
    return mergePages(pages, query.limit);
  }

  /** Asks all owners at once, each for its own partitions. */
  #everywhere<T>(
    here: (ours: readonly number[]) => Promise<T>,
    elsewhere: (address: string, theirs: readonly number[]) => Promise<T>,
  ): Promise<readonly T[]> {
    const { ours, others } = splitByOwner(this.#owners);
    return Promise.all([
      ...(ours.length === 0 ? [] : [here(ours)]),
      ...[...others].map(([address, theirs]) => elsewhere(address, theirs)),
    ]);
  }

  /** null: it is answered here. */
  #addressOfRun(runId: string): string | null {
    const partition = partitionOfRun(runId, this.#owners.partitions);
    return partition === null || this.#owners.isOurs(partition) ? null : addressOf(this.#owners, partition);
  }
}

interface Split {
  readonly ours: readonly number[];
  /** By address: all partitions that are not ours. */
  readonly others: ReadonlyMap<string, readonly number[]>;
}

/** @throws TransientError where a partition has no owner that is known */
export function splitByOwner(owners: Owners): Split {
  const ours: number[] = [];
  const others = new Map<string, number[]>();
  for (let partition = 0; partition < owners.partitions; partition += 1) {
    if (owners.isOurs(partition)) {
      ours.push(partition);
      continue;
    }
    const address = addressOf(owners, partition);
    const theirs = others.get(address);
    if (theirs === undefined) others.set(address, [partition]);
    else theirs.push(partition);
  }
  return { ours, others };
}

function addressOf(owners: Owners, partition: number): string {
  const address = owners.ownerOf(partition);
  if (address !== null) return address;
  throw new TransientError(`no engine is known to have partition ${partition} now; try again`, { partition });
}
