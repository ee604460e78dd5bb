/** Draws functions from a grammar: small enough to read in a trace, rich enough to meet every stage of the core. */
import type { CancelRule, FunctionConfig, Timeout } from "@eddy/schemas";
import type { Prng } from "../prng.js";
import { EPOCH_MS } from "../trace.js";
import { waitsOf, type Node, type RunNode, type Script } from "./script.js";

export const TRIGGERS = ["t/one", "t/two"] as const;
export const REPLIES = ["w/one", "w/two"] as const;
export const CANCELS = ["c/one"] as const;
/** No function declares a wait for it: a run that asks for one fails. */
const UNDECLARED = "u/none";
const PATHS = ["data.k", "data.j"] as const;

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Timeouts and sleeps: mostly within what a scenario lasts, sometimes far beyond, where only an advance leads. */
function time(rng: Prng): Timeout {
  return rng.chance(0.1) ? { atMs: EPOCH_MS + rng.between(0, 400) * SECOND } : { ms: length(rng) };
}
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
  /** Some waits and rules go by the other path: often that key lies on another partition, and the run fails. */
  readonly mixed: boolean;
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
  const drawing = { rng, path, mixed: rng.chance(0.06), parallel, steps: 0 };
  const nodes = drawNodes(drawing, rng.between(1, 4), 2);
  const cancelOn = path === null ? [] : drawRules(drawing, trigger);
  const waits = waitsOf(nodes).filter(({ event }) => event !== UNDECLARED);
  const declared = new Map(waits.map(({ event, match }) => [`${event} ${match}`, { event, match }]));
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

function drawRules(drawing: Drawing, trigger: string): CancelRule[] {
  const { rng } = drawing;
  const ruleFor = (event: string, timeout: CancelRule["timeout"]): CancelRule => ({
    event,
    match: pathOf(drawing),
    timeout: rng.chance(0.4) ? null : timeout,
  });
  const rules: CancelRule[] = [];
  if (rng.chance(0.5)) rules.push(ruleFor(trigger, { ms: length(rng) }));
  if (rng.chance(0.1)) rules.push(ruleFor(trigger, { ms: length(rng) }));
  if (rng.chance(0.3)) rules.push(ruleFor(rng.pick(CANCELS), time(rng)));
  if (rng.chance(0.1)) rules.push(ruleFor(rng.pick(REPLIES), time(rng)));
  return rules;
}

function pathOf({ rng, path, mixed }: Drawing): string {
  return mixed && rng.chance(0.4) ? rng.pick(PATHS) : (path ?? "id");
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
      return { kind, id: stepId(drawing, "sleep"), until: time(rng) };
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
        event: rng.weighted([
          [1, rng.pick(TRIGGERS)],
          [9, rng.pick(REPLIES)],
          [0.2, UNDECLARED],
        ]),
        match: pathOf(drawing),
        timeout: time(rng),
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
    retryAfter: rng.chance(0.2) ? time(rng) : null,
    caught: rng.chance(0.6),
    emits:
      drawing.path !== null && rng.chance(0.35)
        ? { event: rng.pick(REPLIES), afterMs: rng.pick([0, 0, 5, 2_000]) }
        : null,
    padding: rng.weighted([
      [12, 0],
      [1, rng.between(1, 1_000)],
      [1, rng.between(3_500, 5_000)],
    ]),
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
