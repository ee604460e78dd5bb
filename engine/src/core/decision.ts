import type { Change } from "./changes.js";
import type { Effect, Rejection } from "./effects.js";

export interface Decision {
  /** Facts, for `evolve`, in order. */
  readonly changes: readonly Change[];
  /** In order; effect i has the cause (moment.offset, moment.effectIndex + i). */
  readonly effects: readonly Effect[];
  readonly rejections: readonly Rejection[];
}
