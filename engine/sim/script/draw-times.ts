/** Draws lengths and points of virtual time. */
import type { Timeout } from "@eddy/schemas";
import type { Prng } from "../prng.js";
import { EPOCH_MS } from "../trace.js";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Timeouts and sleeps: mostly within what a scenario lasts, sometimes far beyond, where only an advance leads. */
export function drawTimeout(rng: Prng): Timeout {
  return rng.chance(0.1) ? { atMs: EPOCH_MS + rng.between(0, 400) * SECOND } : { ms: drawLength(rng) };
}

export function drawLength(rng: Prng): number {
  return rng.weighted([
    [2, rng.between(1, 900)],
    [6, rng.between(1, 40) * SECOND],
    [3, rng.between(1, 10) * MINUTE],
    [1, rng.between(1, 30) * HOUR],
  ]);
}

/** How long user code of a step runs, in ms. */
export function drawWork(rng: Prng): number {
  return rng.weighted([
    [5, 0],
    [5, rng.between(1, 300)],
    [3, rng.between(1, 30) * SECOND],
    [1, rng.between(60, 150) * SECOND],
  ]);
}
