/** What reaches `decide`: a record of the inbox, or a timer that has come due. */
import {
  isRunBase,
  partitionOfShard,
  shardOfRun,
  type InboxRecord,
  type Offset,
  type RawTimeMs,
  type Source,
  type StreamTimeMs,
} from "@eddy/schemas";
import type { Timer } from "./state/keys.js";

export type Input = InboxRecord | { readonly kind: "timerDue"; readonly timer: Timer };

/** Where and when an input is decided: all that `decide` may know beside rows and input. */
export interface Moment {
  readonly partition: number;
  readonly partitions: number;
  /** The inbox record being applied; for timers, the record before which they fire. */
  readonly offset: Offset;
  /** Effects that this record has caused so far (its timers', then its own). */
  readonly effectIndex: number;
  /** Stream time: `rawMs` plus all advances. */
  readonly nowMs: StreamTimeMs;
  /** Highest append time up to this record. */
  readonly rawMs: RawTimeMs;
}

/** Records that a partition's effects wrote tell which one. */
export function sourceOf(input: Input): Source | null {
  if (input.kind === "event") return input.origin?.source ?? null;
  return "source" in input ? input.source : null;
}

/**
 * Does it come from no partition of this namespace, or is it about a run that cannot live where it says? Whatever is
 * answered would go nowhere.
 */
export function isMisdirected(input: Input, { partition, partitions }: Moment): boolean {
  const source = sourceOf(input);
  if (source !== null && source.partition >= partitions) return true;
  if (!("base" in input)) return false;
  if (!isRunBase(input.base)) return true;
  const isOwn = partitionOfShard(shardOfRun(input.base), partitions) === partition;
  switch (input.kind) {
    case "listen":
    case "unlisten":
      return isOwn;
    case "answer":
    case "announced":
      return !isOwn;
    case "learn":
      return false;
  }
}
