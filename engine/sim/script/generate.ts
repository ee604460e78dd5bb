/** Draws functions from a grammar: small enough to read in a trace, rich enough to meet every stage of the core. */
import type { CancelRule, FunctionConfig } from "@eddy/schemas";
import type { Prng } from "../prng.js";
import { waitsOf, type Node, type RunNode, type Script } from "./script.js";

export const TRIGGERS = ["t/one", "t/two"] as const;
export const REPLIES = ["w/one", "w/two"] as const;
export const CANCELS = ["c/one"] as const;
const PATHS = ["data.k", "data.j"] as const;

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Timeouts and sleeps: mostly within what a scenario lasts, sometimes far beyond, where only an advance leads. */
function length(rng: Prng): number {
  return rng.weighted([
    [2, rng.between(1, 900)],
    [6, rng.between(1, 40) * SECOND],
    [3, rng.between(1, 10) * MINUTE],
    [1, rng.between(1, 30) * HOUR],
  ]);
}

interface Drawing {
  readonly rng: Prng;
  /** Null: the function has no key, so that it can neither wait nor be cancelled. */
  readonly path: string | null;
  readonly parallel: boolean;
  steps: number;
}

export function drawScripts(rng: Prng, app: string, parallel: boolean): readonly Script[] {
  const count = rng.between(1, 4);
  return Array.from({ length: count }, (_, i) => drawScript(rng, app, `f${i}`, parallel));
}

function drawScript(rng: Prng, app: string, id: string, parallel: boolean): Script {
  const path = rng.chance(0.9) ? rng.pick(PATHS) : null;
  const trigger = rng.pick(TRIGGERS);
  const nodes = drawNodes({ rng, path, parallel, steps: 0 }, rng.between(1, 4), 2);
  const cancelOn = path === null ? [] : drawRules(rng, path, trigger);
  const declared = new Map(waitsOf(nodes).map(({ event, match }) => [`${event} ${match}`, { event, match }]));
  const triggers = [{ event: trigger }];
  if (rng.chance(0.15)) triggers.push({ event: TRIGGERS.find((t) => t !== trigger) ?? trigger });
  const config: FunctionConfig = {
    id,
    name: id,
    triggers,
    cancelOn,
    waits: [...declared.values()],
    retries: rng.pick([0, 1, 2, 4]),
  };
  return { app, config, nodes };
}

function drawRules(rng: Prng, path: string, trigger: string): CancelRule[] {
  const rules: CancelRule[] = [];
  const timeout = (): CancelRule["timeout"] => (rng.chance(0.4) ? null : { ms: length(rng) });
  if (rng.chance(0.5)) rules.push({ event: trigger, match: path, timeout: timeout() });
  if (rng.chance(0.3)) rules.push({ event: rng.pick(CANCELS), match: path, timeout: timeout() });
  if (rng.chance(0.1)) rules.push({ event: rng.pick(REPLIES), match: path, timeout: timeout() });
  return rules;
}

function drawNodes(drawing: Drawing, count: number, depth: number): Node[] {
  return Array.from({ length: count }, () => drawNode(drawing, depth));
}

function drawNode(drawing: Drawing, depth: number): Node {
  const { rng, path } = drawing;
  const kind = rng.weighted([
    [6, "run"],
    [2, "sleep"],
    [path === null ? 0 : 4, "wait"],
    [1, "throw"],
    [drawing.parallel && depth > 0 ? 2 : 0, "all"],
  ] as const);
  switch (kind) {
    case "run":
      return drawRun(drawing);
    case "sleep":
      return { kind, id: stepId(drawing, "sleep"), ms: length(rng) };
    case "throw":
      return {
        kind,
        times: rng.weighted([
          [4, 1],
          [2, 2],
          [1, Infinity],
        ]),
        retriable: rng.chance(0.8),
      };
    case "all": {
      const branches = Array.from({ length: rng.between(2, 3) }, () =>
        drawNodes(drawing, rng.between(1, 2), depth - 1),
      );
      return { kind, branches };
    }
    case "wait":
      return {
        kind,
        id: stepId(drawing, "wait"),
        event: rng.chance(0.1) ? rng.pick(TRIGGERS) : rng.pick(REPLIES),
        match: path ?? "id",
        timeoutMs: length(rng),
        onEvent: depth > 0 && rng.chance(0.5) ? drawNodes(drawing, 1, depth - 1) : [],
        onTimeout: depth > 0 && rng.chance(0.5) ? drawNodes(drawing, 1, depth - 1) : [],
      };
  }
}

function drawRun(drawing: Drawing): RunNode {
  const { rng } = drawing;
  const fails = rng.weighted([
    [10, 0],
    [2, rng.between(1, 3)],
    [1, Infinity],
  ]);
  return {
    kind: "run",
    id: stepId(drawing, "step"),
    fails,
    retriable: rng.chance(0.85),
    retryAfterMs: rng.chance(0.2) ? length(rng) : null,
    caught: rng.chance(0.6),
    emits:
      drawing.path !== null && rng.chance(0.35)
        ? { event: rng.pick(REPLIES), afterMs: rng.pick([0, 0, 5, 2_000]) }
        : null,
    tookMs: rng.weighted([
      [5, 0],
      [5, rng.between(1, 300)],
      [3, rng.between(1, 30) * SECOND],
      [1, rng.between(60, 150) * SECOND],
    ]),
  };
}

/** The same id may stand for several steps: the SDK numbers repeats, and so do we. */
function stepId(drawing: Drawing, name: string): string {
  drawing.steps += 1;
  return `${name}${drawing.steps}`;
}
