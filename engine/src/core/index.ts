/** The core's face to the partition task. */
import type { Decision } from "./decision.js";
import type { Input, Moment } from "./inputs.js";
import type { ReadRequest, RowView, RowWriter } from "./state/view.js";
import type { Change } from "./changes.js";

export type { Change } from "./changes.js";
export type { Decision } from "./decision.js";
export type { Effect, Rejection } from "./effects.js";
export type { Input, Moment } from "./inputs.js";
export { eventIn } from "./foreign/host.js";
export * from "./state/derive.js";
export * from "./state/keys.js";
export { refOf, withData } from "./state/results.js";
export type * from "./state/view.js";

/** The core as a value: the task gets it from outside, so that a simulator can plant a bug in it. */
export interface Core {
  readonly logicVersion: number;
  /**
   * What `decide` will read, as far as the rows loaded so far tell. Repeated until it names nothing that is not loaded,
   * at most READ_ROUNDS_MAX times.
   */
  readPlan(view: RowView, input: Input, moment: Moment): readonly ReadRequest[];
  /** Total: throws only on a broken invariant. */
  decide(view: RowView, input: Input, moment: Moment): Decision;
  evolve(rows: RowWriter, change: Change): void;
}
export const READ_ROUNDS_MAX = 8;
