/**
 * Timers of both domains in firing order: by effective time (due for `v`, due plus all advances for `w`), then domain,
 * then key text. Only a window of the next ones is in memory; reading starts behind the last one fired, because a scan
 * from the start of the index walks the tombstones of all that fired before.
 */
import { parseTimerKey, timerPrefix, timerScanEnd, type Timer, type TimerDomain } from "../core/index.js";
import { invariant } from "@eddy/clients/errors";
import { IndexWindow } from "./index-window.js";
import type { Overlay } from "./overlay.js";

/** Timers of one domain kept in memory. */
const WINDOW_TIMERS_MAX = 4_096;
const DUE_START = timerPrefix("v").length;
const DUE_END = DUE_START + 16;

/** Where the clocks stand, in ms. */
export interface Instant {
  readonly rawMs: number;
  readonly advanceMs: number;
}

/** A timer and its place in the firing order. */
export interface DueTimer {
  readonly key: string;
  readonly timer: Timer;
  readonly effectiveMs: number;
}

interface Domain {
  readonly name: TimerDomain;
  readonly window: IndexWindow;
  /** Version of the window that `lowestMs` was read from. */
  readVersion: number;
  /** In the time of the domain: no timer is due earlier. Infinity: there is none. */
  lowestMs: number;
}

export class TimerQueue {
  readonly #overlay: Overlay;
  readonly #v: Domain;
  readonly #w: Domain;
  /** Everything due by it has fired, or, with `#lastTimer`, everything up to that one. */
  #position: Instant = { rawMs: -1, advanceMs: 0 };
  #lastTimer: DueTimer | null = null;

  constructor(overlay: Overlay) {
    this.#overlay = overlay;
    this.#v = domainOf("v", () => this.#floor("v"));
    this.#w = domainOf("w", () => this.#floor("w"));
    overlay.watch(this.#v.window);
    overlay.watch(this.#w.window);
  }

  /** All timers due by `at` have fired: reading goes on behind them, and none may appear there any more. */
  passed(at: Instant): void {
    this.#position = at;
    this.#lastTimer = null;
  }

  /** All timers up to this one in firing order have fired. */
  passedTimer(timer: DueTimer, at: Instant): void {
    this.#position = at;
    this.#lastTimer = timer;
  }

  /** False: surely nothing is due. */
  mayBeDue(at: Instant): boolean {
    return this.#lowest(this.#v) <= at.rawMs + at.advanceMs || this.#lowest(this.#w) <= at.rawMs;
  }

  /** Must `fill` be called before `head` can tell what is due by `at`? */
  needsFill(at: Instant): boolean {
    return this.#isBlind(this.#v, at.rawMs + at.advanceMs) || this.#isBlind(this.#w, at.rawMs);
  }

  /** Reads on where the next timer that may be due by `at` is not known; afterwards at least `timersMin` are, or all. */
  async fill(at: Instant, timersMin: number): Promise<void> {
    if (this.#isBlind(this.#v, at.rawMs + at.advanceMs)) await this.#overlay.extend(this.#v.window, timersMin);
    if (this.#isBlind(this.#w, at.rawMs)) await this.#overlay.extend(this.#w.window, timersMin);
  }

  /** @returns the next timer due by `at`; null if there is none, or none is known: see `needsFill`. */
  head(at: Instant): DueTimer | null {
    if (this.needsFill(at)) return null;
    const v = this.#lowest(this.#v);
    const w = this.#lowest(this.#w) + at.advanceMs;
    const [next, effectiveMs] = v <= w ? [this.#v, v] : [this.#w, w];
    if (effectiveMs > at.rawMs + at.advanceMs) return null;
    const key = next.window.firstKey;
    invariant(key !== undefined, "a timer that is due is known");
    return { key, timer: parseTimerKey(key), effectiveMs };
  }

  /** Timers known to be due by `at`, in no particular order: what a prefetch may look at. */
  upcoming(at: Instant, timersMax: number): readonly Timer[] {
    const found: Timer[] = [];
    for (const [domain, limitMs] of [
      [this.#v, at.rawMs + at.advanceMs],
      [this.#w, at.rawMs],
    ] as const) {
      if (this.#lowest(domain) > limitMs) continue;
      for (const [key] of domain.window.first(timersMax)) {
        const timer = parseTimerKey(key);
        if (timer.dueAtMs > limitMs) break;
        found.push(timer);
      }
    }
    return found;
  }

  has(key: string): boolean {
    return this.#v.window.has(key) || this.#w.window.has(key);
  }

  /** The append time at which the next timer is due, a lower bound where it is not known; null: there is none. */
  nextLogTimeMs(advanceMs: number): number | null {
    const next = Math.min(this.#lowest(this.#v) - advanceMs, this.#lowest(this.#w));
    return next === Infinity ? null : next;
  }

  /** Keeps the windows within bounds. */
  trim(): void {
    this.#v.window.trim(WINDOW_TIMERS_MAX);
    this.#w.window.trim(WINDOW_TIMERS_MAX);
  }

  /** First key that a timer of this domain may still have. At the same effective time `v` comes before `w`. */
  #floor(name: TimerDomain): string {
    const { rawMs, advanceMs } = this.#position;
    const last = this.#lastTimer;
    if (last === null) return timerScanEnd(name, name === "v" ? rawMs + advanceMs : rawMs);
    if (last.timer.domain === name) return `${last.key}\0`;
    if (name === "v") return timerScanEnd("v", last.effectiveMs);
    return timerScanEnd("w", Math.max(0, last.effectiveMs - advanceMs) - 1);
  }

  /** The first timer is not known, and one due by `limitMs` may be where nothing was read yet. */
  #isBlind(domain: Domain, limitMs: number): boolean {
    const { window } = domain;
    return window.size === 0 && !window.complete && this.#lowest(domain) <= limitMs;
  }

  #lowest(domain: Domain): number {
    const { window } = domain;
    if (domain.readVersion !== window.version) {
      domain.readVersion = window.version;
      const key = window.lowest;
      domain.lowestMs = key === undefined ? Infinity : Number(key.slice(DUE_START, DUE_END));
    }
    return domain.lowestMs;
  }
}

function domainOf(name: TimerDomain, floor: () => string): Domain {
  const from = timerPrefix(name);
  const window = new IndexWindow({ from, to: `${from.slice(0, -1)}}` }, floor);
  return { name, window, readVersion: -1, lowestMs: 0 };
}
