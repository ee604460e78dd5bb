/** What all that draws functions has in common: names of events, the state of a drawing. */
import type { DeclaredWait } from "@eddy/schemas";
import { drawListen, NUMBER_MAX, NUMBER_PATH, PATHS, type ListenDrawing } from "./draw-listen.js";
import { waitsOf, type DataDraft, type Draft, type Node, type Scalar } from "./script.js";

/** `t/three` is a trigger by a wildcard alone; only steps send `s/child`, and its functions do not. */
export const TRIGGERS = ["t/one", "t/two", "t/three"] as const;
export const CHILD = "s/child";
export const REPLIES = ["w/one", "w/two"] as const;
export const CANCELS = ["c/one"] as const;
/** No function declares a wait for them: nobody routes by them before a run asks. */
export const UNDECLARED = ["u/one", "u/two"] as const;
export const WILDCARD = "t/*";

/** What a scenario's functions have in common. */
export interface Style {
  readonly parallel: boolean;
  /** How much goes by other keys than the function's own, 0 to 1. */
  readonly mixed: number;
  readonly keys: readonly Scalar[];
  /** Chance that a wait is declared. */
  readonly declared: number;
  /** Chance that a function has later code. */
  readonly versions: number;
}

export interface Drawing extends ListenDrawing, Style {
  /** May its steps send what starts others? */
  readonly mayStart: boolean;
  steps: number;
}

/** Waits that a function says it may make: some of those that it makes, and now and then one that it does not. */
export function declarable(drawing: Drawing, nodes: readonly Node[]): Iterable<DeclaredWait> {
  const { rng } = drawing;
  const undeclared: readonly string[] = UNDECLARED;
  const declared = new Map<string, DeclaredWait>();
  for (const { event, match, if: condition, since } of waitsOf(nodes)) {
    const isFixed = condition?.includes("{") !== true;
    if (!isFixed || undeclared.includes(event) || !rng.chance(drawing.declared)) continue;
    declared.set(JSON.stringify([event, match, condition, since]), { event, match, if: condition, since });
  }
  if (rng.chance(0.1)) declared.set("", { event: rng.pick(REPLIES), ...drawListen(drawing, false), since: "mark" });
  return declared.values();
}

/** Data of an event that a step sends: mostly the keys of its own run, sometimes in other places, sometimes others. */
export function drawData({ rng, keys }: Drawing): DataDraft {
  const entries = [...PATHS, NUMBER_PATH].map((path): [string, Draft] => {
    const field = path.slice("data.".length);
    if (path === NUMBER_PATH) return [field, { const: rng.between(0, NUMBER_MAX) }];
    const from = rng.weighted([
      [8, "own"],
      [2, "other"],
      [1, "constant"],
    ] as const);
    if (from === "constant") return [field, { const: rng.pick(keys) }];
    return [field, { path: from === "own" ? path : rng.pick(PATHS) }];
  });
  return Object.fromEntries(entries);
}

/** What a step may send. */
export function drawSentEvent({ rng, mayStart }: Drawing): string {
  return rng.weighted([
    [10, rng.pick(REPLIES)],
    [2, rng.pick(UNDECLARED)],
    [0.5, rng.pick(CANCELS)],
    [mayStart ? 0.7 : 0, CHILD],
  ]);
}

/** Unique within a function, but where one step is waited for twice. */
export function stepId(drawing: { steps: number }, name: string): string {
  drawing.steps += 1;
  return `${name}${drawing.steps}`;
}
