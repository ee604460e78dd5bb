/**
 * A record that a flood of timers has cut in two: where it stands between two of its timers. Written into the
 * checkpoint's `lastTimer` as text; "" between records.
 */
import { parseTimerKey } from "../core/index.js";
import type { DueTimer } from "./timer-queue.js";

export interface Midway {
  /** `before`: the record itself is not decided yet. `after`: it is; it has moved the clock, and these are due by that. */
  readonly phase: "before" | "after";
  /** The last timer fired. */
  readonly last: DueTimer;
}

const PHASE_LETTERS = { before: "b", after: "a" } as const;
const EFFECTIVE_WIDTH = 16;
const KEY_START = 2 + EFFECTIVE_WIDTH + 1;

export function formatMidway(midway: Midway | null): string {
  if (midway === null) return "";
  const effective = String(midway.last.effectiveMs).padStart(EFFECTIVE_WIDTH, "0");
  return `${PHASE_LETTERS[midway.phase]}|${effective}|${midway.last.key}`;
}

/** Inverse of `formatMidway`. @throws Error on anything else. */
export function parseMidway(text: string): Midway | null {
  if (text === "") return null;
  const phase = text.charAt(0) === PHASE_LETTERS.after ? "after" : "before";
  const effectiveMs = Number(text.slice(2, KEY_START - 1));
  const key = text.slice(KEY_START);
  return { phase, last: { key, timer: parseTimerKey(key), effectiveMs } };
}
