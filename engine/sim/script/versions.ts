/** Later code of a function: a step added, removed or renamed, and what is registered with it. */
import type { FunctionConfig } from "@eddy/schemas";
import type { Prng } from "../prng.js";
import { drawNodes, drawRun } from "./draw-nodes.js";
import { declarable, type Drawing } from "./drawing.js";
import type { Node, ScriptVersion } from "./script.js";

export function drawNextVersion(drawing: Drawing, { config, nodes }: ScriptVersion): ScriptVersion {
  const { rng } = drawing;
  const next = changedNodes(drawing, nodes);
  const waits = rng.chance(0.5) ? config.waits : [...declarable(drawing, next)];
  return { config: changedConfig(rng, { ...config, waits: [...waits] }), nodes: next };
}

function changedNodes(drawing: Drawing, nodes: readonly Node[]): readonly Node[] {
  const { rng } = drawing;
  const at = rng.between(0, Math.max(0, nodes.length - 1));
  const named = nodes[at] !== undefined && "id" in nodes[at];
  const kind = rng.pick(["added", "removed", named ? "renamed" : "removed", "more"] as const);
  switch (kind) {
    case "added":
      return [...nodes.slice(0, at), drawRun(drawing), ...nodes.slice(at)];
    case "removed":
      return nodes.filter((_, i) => i !== at);
    case "renamed":
      return nodes.map((node, i) => (i === at && "id" in node ? { ...node, id: `${node.id}.new` } : node));
    case "more":
      return [...nodes, ...drawNodes(drawing, 1, 1)];
  }
}

/** The same function as another configuration. */
export function changedConfig(rng: Prng, config: FunctionConfig): FunctionConfig {
  return {
    ...config,
    retries: rng.pick([0, 1, 3]),
    cancelOn: config.cancelOn
      .filter(() => rng.chance(0.8))
      .map((rule) => (rng.chance(0.5) ? rule : { ...rule, timeout: rng.chance(0.5) ? null : { ms: 20_000 } })),
    waits: config.waits.filter(() => rng.chance(0.85)),
  };
}
