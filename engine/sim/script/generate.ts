/**
 * Draws functions from a grammar: small enough to read in a trace, rich enough to meet every stage of the core, on one
 * partition and between them.
 */
import type { CancelRule, FunctionConfig } from "@eddy/schemas";
import type { Prng } from "../prng.js";
import { drawListen, drawTriggerCondition, PATHS } from "./draw-listen.js";
import { drawNodes } from "./draw-nodes.js";
import { drawLength, drawTimeout } from "./draw-times.js";
import { CANCELS, CHILD, declarable, REPLIES, TRIGGERS, WILDCARD, type Drawing, type Style } from "./drawing.js";
import type { Script, ScriptVersion } from "./script.js";
import { drawNextVersion } from "./versions.js";

export function drawScripts(rng: Prng, app: string, style: Style): readonly Script[] {
  const count = rng.between(1, 4);
  return Array.from({ length: count }, (_, i) => drawScript(rng, app, `f${i}`, style));
}

function drawScript(rng: Prng, app: string, id: string, style: Style): Script {
  const isChild = rng.chance(0.1);
  const drawing: Drawing = { ...style, rng, path: rng.pick(PATHS), mayStart: !isChild, steps: 0 };
  const nodes = drawNodes(drawing, rng.between(1, 4), 2);
  const triggers = isChild ? [{ event: CHILD, if: null }] : drawTriggers(drawing);
  const config: FunctionConfig = {
    id,
    name: id,
    triggers,
    cancelOn: rng.chance(0.85) ? drawRules(drawing, triggers[0]?.event ?? CHILD) : [],
    waits: [...declarable(drawing, nodes)],
    retries: rng.pick([0, 1, 2, 4]),
  };
  const versions: ScriptVersion[] = [];
  if (rng.chance(style.versions)) versions.push(drawNextVersion(drawing, { config, nodes }));
  return { app, config, nodes, versions, strict: rng.chance(0.25) };
}

function drawTriggers(drawing: Drawing): FunctionConfig["triggers"] {
  const { rng } = drawing;
  const condition = (): string | null => (rng.chance(0.15) ? drawTriggerCondition(drawing) : null);
  const first = rng.chance(0.2) ? WILDCARD : rng.pick(TRIGGERS);
  const triggers = [{ event: first as string, if: condition() }];
  if (rng.chance(0.15)) triggers.push({ event: rng.pick([...TRIGGERS, WILDCARD]), if: condition() });
  return triggers;
}

function drawRules(drawing: Drawing, trigger: string): CancelRule[] {
  const { rng } = drawing;
  const own = trigger === WILDCARD ? rng.pick(TRIGGERS) : trigger;
  const ruleFor = (event: string, timeout: CancelRule["timeout"]): CancelRule => ({
    event,
    ...drawListen(drawing, false),
    timeout: rng.chance(0.4) ? null : timeout,
  });
  const rules: CancelRule[] = [];
  if (rng.chance(0.4)) rules.push(ruleFor(own, { ms: drawLength(rng) }));
  if (rng.chance(0.1)) rules.push(ruleFor(own, { ms: drawLength(rng) }));
  if (rng.chance(0.4)) rules.push(ruleFor(rng.pick(CANCELS), drawTimeout(rng)));
  if (rng.chance(0.1)) rules.push(ruleFor(rng.pick(REPLIES), drawTimeout(rng)));
  return rules;
}
