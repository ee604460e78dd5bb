/**
 * Numbers that must not be mixed up. The brands exist at compile time only.
 */
declare const brand: unique symbol;
type Branded<B extends string> = number & { readonly [brand]: B };

/** Position of a record in one partition of a topic, >= 0. A safe integer: 2^53 records outlast any log. */
export type Offset = Branded<"Offset">;
/** A point in stream time: log append time in ms since 1970 plus the namespace's clock advances. Drives timers. */
export type StreamTimeMs = Branded<"StreamTimeMs">;
/** A point in log append time alone, in ms since 1970. Drives leases, which an advance must not expire. */
export type RawTimeMs = Branded<"RawTimeMs">;

export const offset = (n: number): Offset => n as Offset;
export const streamTime = (n: number): StreamTimeMs => n as StreamTimeMs;
export const rawTime = (n: number): RawTimeMs => n as RawTimeMs;

/** Which record of which partition caused an effect; `index` counts the effects of that record from 0. */
export interface Cause {
  readonly offset: Offset;
  readonly index: number;
}

/** Order of causes of one partition. @returns < 0, 0 or > 0, as Array.prototype.sort wants. */
export function compareCauses(a: Cause, b: Cause): number {
  return a.offset - b.offset || a.index - b.index;
}
