/**
 * Where and when an event stands on this partition: where and when its first record came, by whatever value, as far as
 * that is remembered. A repeat or an offer that brings values which the first lacked counts only now, but as if it had
 * come then: only offsets of one log tell what was first.
 */
import { BROKER_SKEW_MS } from "@eddy/schemas";
import type { Moment } from "../inputs.js";
import { idIndexKey, parsePlace, type Place } from "../state/keys.js";
import type { RowView } from "../state/view.js";
import type { EventPlan, EventRecord } from "./event-plan.js";

export interface Arrival extends Place {
  /** It counts later than it stands: what is behind it in the log may be younger than it. */
  readonly isLate: boolean;
  /** What it starts begins behind this offset; -1: the time alone tells. */
  readonly beganOffset: number;
  /** The latest start of a run that counts as older. Infinity: whatever is here. */
  readonly cancelsUpToMs: number;
}

/** @returns null where the id is not known (any more). */
export function rememberedPlace(rows: Pick<RowView, "indexValue">, idKey: string): Place | null {
  const text = rows.indexValue(idIndexKey(idKey));
  return text === null ? null : parsePlace(text);
}

/** Was it here before, by this key, as far as that is remembered? */
export function isRemembered(rows: Pick<RowView, "indexValue">, idKey: string): boolean {
  return rows.indexValue(idIndexKey(idKey)) !== null;
}

/**
 * Is what began there younger than the event? Their places in this log tell, where both are known; else the times do, as
 * far as clocks agree.
 */
export function isYounger(
  began: { readonly beganOffset: number; readonly startedAtMs: number },
  event: Arrival,
): boolean {
  if (began.beganOffset >= 0 && event.beganOffset >= 0) return began.beganOffset > event.beganOffset;
  return began.startedAtMs > event.cancelsUpToMs;
}

export function arrivalOf(
  rows: Pick<RowView, "indexValue">,
  { origin }: Pick<EventRecord, "origin">,
  { knownBy }: Pick<EventPlan, "knownBy">,
  { partition, offset, nowMs }: Moment,
): Arrival {
  // What a sender wrote is new as a whole, or not at all.
  if (origin === null) return { offset, atMs: nowMs, isLate: false, beganOffset: offset, cancelsUpToMs: Infinity };
  const places = knownBy.flatMap((idKey) => rememberedPlace(rows, idKey) ?? []);
  if (origin.as === "offer" && origin.source.partition === partition) {
    places.push({ offset: origin.offset, atMs: origin.atMs });
  }
  const [first] = places.sort((a, b) => a.offset - b.offset);
  // Before its first record here there is nothing to tell of it; its home's time then counts, if it comes late.
  if (first !== undefined) return { ...first, isLate: true, beganOffset: first.offset, cancelsUpToMs: first.atMs };
  if (!origin.isStale) return { offset, atMs: nowMs, isLate: false, beganOffset: offset, cancelsUpToMs: Infinity };
  const { atMs } = origin;
  // What a repeat starts is older than others as far as the clocks of two brokers agree.
  const cancelsUpToMs = origin.as === "repeat" ? atMs + BROKER_SKEW_MS : atMs;
  return { offset, atMs, isLate: true, beganOffset: -1, cancelsUpToMs };
}
