/** Draws what a handler does: steps, sleeps, waits, what goes on side by side. */
import { drawListen } from "./draw-listen.js";
import { drawTimeout, drawWork } from "./draw-times.js";
import { drawData, drawSentEvent, REPLIES, stepId, TRIGGERS, UNDECLARED, type Drawing } from "./drawing.js";
import { bareOf, type Node, type RaceNode, type RunNode, type SendNode, type WaitNode } from "./script.js";

export function drawNodes(drawing: Drawing, count: number, depth: number): Node[] {
  return Array.from({ length: count }, () => drawNode(drawing, depth)).flat();
}

function drawNode(drawing: Drawing, depth: number): readonly Node[] {
  const { rng } = drawing;
  const together = drawing.parallel && depth > 0 ? 2 : 0;
  const kind = rng.weighted([
    [6, "run"],
    [1, "send"],
    [2, "sleep"],
    [4.5, "wait"],
    [0.8, "throw"],
    [0.7 * together, "all"],
    [together, "race"],
  ] as const);
  switch (kind) {
    case "run":
      return [drawRun(drawing)];
    case "send":
      return [drawSend(drawing)];
    case "sleep":
      return [{ kind, id: stepId(drawing, "sleep"), until: drawTimeout(rng) }];
    case "throw":
      return [{ kind, ...drawThrow(drawing) }];
    case "all": {
      const branches = Array.from({ length: rng.between(2, 3) }, () =>
        drawNodes(drawing, rng.between(1, 2), depth - 1),
      );
      return [{ kind, branches }];
    }
    case "race":
      return drawRace(drawing, depth);
    case "wait":
      return [drawWait(drawing, depth)];
  }
}

function drawThrow({ rng }: Drawing): { readonly times: number; readonly retriable: boolean } {
  const times = rng.weighted([
    [4, 1],
    [2, 2],
    [1, Infinity],
  ]);
  return { times, retriable: rng.chance(0.8) };
}

function drawWait(drawing: Drawing, depth: number): WaitNode {
  const { rng } = drawing;
  return {
    kind: "wait",
    id: stepId(drawing, "wait"),
    event: rng.weighted<string>([
      [1, rng.pick(TRIGGERS)],
      [9, rng.pick(REPLIES)],
      [1.5, rng.pick(UNDECLARED)],
    ]),
    ...drawListen(drawing, true),
    since: rng.weighted([
      [8, "mark"],
      [1, "trigger"],
      [1, "registration"],
    ] as const),
    timeout: drawTimeout(rng),
    onEvent: depth > 0 && rng.chance(0.5) ? drawNodes(drawing, 1, depth - 1) : [],
    onTimeout: depth > 0 && rng.chance(0.5) ? drawNodes(drawing, 1, depth - 1) : [],
  };
}

/** Mostly bare waits and sleeps; sometimes what lost is waited for later all the same. Nothing in it throws by itself. */
function drawRace(drawing: Drawing, depth: number): readonly Node[] {
  const { rng } = drawing;
  const branches = Array.from({ length: rng.between(2, 3) }, (): readonly Node[] => {
    const kind = rng.weighted([
      [5, "wait"],
      [3, "sleep"],
      [3, "nodes"],
    ] as const);
    if (kind === "wait") return [drawWait(drawing, 0)];
    if (kind === "sleep") return [{ kind, id: stepId(drawing, "sleep"), until: drawTimeout(rng) }];
    return withoutThrows(drawNodes(drawing, rng.between(1, 2), depth - 1));
  });
  const race: RaceNode = { kind: "race", branches: branches.filter(({ length }) => length > 0) };
  const again = race.branches.flatMap((branch) => bareOf(branch) ?? []).find(({ kind }) => kind === "wait");
  if (again === undefined || !rng.chance(0.15)) return [race];
  return [race, ...(rng.chance(0.5) ? [drawRun(drawing)] : []), again];
}

function withoutThrows(nodes: readonly Node[]): readonly Node[] {
  return nodes.flatMap((node): readonly Node[] => {
    switch (node.kind) {
      case "throw":
        return [];
      case "all":
      case "race": {
        const branches = node.branches.map(withoutThrows).filter(({ length }) => length > 0);
        return branches.length === 0 ? [] : [{ ...node, branches }];
      }
      case "wait":
        return [{ ...node, onEvent: withoutThrows(node.onEvent), onTimeout: withoutThrows(node.onTimeout) }];
      default:
        return [node];
    }
  });
}

export function drawRun(drawing: Drawing): RunNode {
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
    retryAfter: rng.chance(0.2) ? drawTimeout(rng) : null,
    caught: rng.chance(0.6),
    emits: rng.chance(0.35)
      ? { event: drawSentEvent(drawing), afterMs: rng.pick([0, 0, 5, 2_000]), data: drawData(drawing) }
      : null,
    padding: rng.weighted([
      [12, 0],
      [1, rng.between(1, 1_000)],
      [1, rng.between(3_500, 5_000)],
    ]),
    tookMs: drawWork(rng),
  };
}

function drawSend(drawing: Drawing): SendNode {
  return { kind: "send", id: stepId(drawing, "send"), event: drawSentEvent(drawing), data: drawData(drawing) };
}
