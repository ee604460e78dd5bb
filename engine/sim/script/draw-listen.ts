/** Draws what waits and cancel rules listen to: paths, conditions, lanes. */
import type { Prng } from "../prng.js";
import { conditionOf, type Term } from "./condition.js";
import type { Scalar } from "./values.js";

/** Values of these often lie on different partitions. */
export const PATHS = ["data.k", "data.j", "data.u"] as const;
/** A small whole number, for what is left of a condition. */
export const NUMBER_PATH = "data.n";
export const NUMBER_MAX = 6;

export interface Listened {
  readonly match: string | null;
  readonly if: string | null;
}

export interface ListenDrawing {
  readonly rng: Prng;
  /** The path that most of the function goes by. */
  readonly path: string;
  /** How much of it goes by other paths, 0 to 1. */
  readonly mixed: number;
  /** Values that events have. */
  readonly keys: readonly Scalar[];
}

function pathOf({ rng, path, mixed }: ListenDrawing): string {
  return rng.chance(mixed) ? rng.pick(PATHS) : path;
}

/** @param mayCompute may the text hold what the handler computes? Of waits that are not declared. */
export function drawListen(drawing: ListenDrawing, mayCompute: boolean): Listened {
  const { rng, mixed, keys } = drawing;
  const kind = rng.weighted([
    [12, "match"],
    [5 * mixed, "equality"],
    [3 * mixed, "crossed"],
    [1.5 * mixed, "constant"],
    [1 * mixed, "rest alone"],
    [0.8 * mixed, "lane"],
    [mayCompute ? 3 * mixed : 0, "computed"],
  ] as const);
  if (kind === "match") return { match: pathOf(drawing), if: null };
  if (kind === "lane") return { match: null, if: null };
  const terms: Term[] = [];
  const left = { of: "async", path: pathOf(drawing) } as const;
  switch (kind) {
    case "equality":
      terms.push({ left, op: "==", right: { of: "event", path: left.path } });
      break;
    case "crossed":
      terms.push({ left: { of: "event", path: rng.pick(PATHS) }, op: "==", right: left });
      break;
    case "constant":
      terms.push({ left, op: "==", right: { const: rng.pick(keys) } });
      break;
    case "computed":
      terms.push({ left, op: "==", right: { computed: rng.pick(PATHS) } });
      break;
    case "rest alone":
      terms.push(drawRest(drawing));
      break;
  }
  while (rng.chance(0.35)) terms.splice(rng.between(0, terms.length), 0, drawRest(drawing));
  return { match: null, if: conditionOf(terms).text };
}

/** What no route can say; now and then a second equality that could have been one. */
function drawRest({ rng, keys }: ListenDrawing): Term {
  const kind = rng.weighted([
    [4, "number"],
    [2, "numbers"],
    [2, "other"],
    [1, "equality"],
  ] as const);
  switch (kind) {
    case "number":
      return { left: { of: "async", path: NUMBER_PATH }, op: ">", right: { const: rng.between(0, NUMBER_MAX - 2) } };
    case "numbers":
      return { left: { of: "async", path: NUMBER_PATH }, op: "!=", right: { of: "event", path: NUMBER_PATH } };
    case "other":
      return { left: { of: "async", path: rng.pick(PATHS) }, op: "!=", right: { const: rng.pick(keys) } };
    case "equality":
      return { left: { of: "async", path: rng.pick(PATHS) }, op: "==", right: { of: "event", path: rng.pick(PATHS) } };
  }
}

/** Over the triggering event alone. */
export function drawTriggerCondition({ rng, keys }: ListenDrawing): string {
  const terms: Term[] = [
    rng.chance(0.6)
      ? { left: { of: "event", path: NUMBER_PATH }, op: ">", right: { const: rng.between(0, 2) } }
      : { left: { of: "event", path: rng.pick(PATHS) }, op: "!=", right: { const: rng.pick(keys) } },
  ];
  return conditionOf(terms).text;
}
