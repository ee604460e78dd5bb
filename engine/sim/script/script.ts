/**
 * Scripted functions: what a simulated handler does, as data, so that workers and the judge can read the same one.
 * `advance` plays the part of re-entering a handler with its memo: it says where the handler stands.
 */
import type { FunctionConfig, MemoEntry, Timeout } from "@eddy/schemas";

export interface RunNode {
  readonly kind: "run";
  readonly id: string;
  /** How many attempts fail before one succeeds; Infinity: all. */
  readonly fails: number;
  readonly retriable: boolean;
  /** What a RetryAfterError asks for; null: the usual backoff. */
  readonly retryAfter: Timeout | null;
  /** Does the handler catch it when the attempts are exhausted? */
  readonly caught: boolean;
  /** An event for the run's own key that the step sends, `afterMs` after it began; 0: at once (G9). */
  readonly emits: { readonly event: string; readonly afterMs: number } | null;
  /** Characters by which its result is longer than it need be. */
  readonly padding: number;
  /** How long user code runs, in ms. */
  readonly tookMs: number;
}
export interface SleepNode {
  readonly kind: "sleep";
  readonly id: string;
  readonly until: Timeout;
}
export interface WaitNode {
  readonly kind: "wait";
  readonly id: string;
  readonly event: string;
  readonly match: string;
  readonly timeout: Timeout;
  readonly onEvent: readonly Node[];
  readonly onTimeout: readonly Node[];
}
/** The handler throws while fewer than `times` attempts of it have failed. */
export interface ThrowNode {
  readonly kind: "throw";
  readonly times: number;
  readonly retriable: boolean;
}
/** Branches that go on side by side, as Promise.all does it. */
export interface AllNode {
  readonly kind: "all";
  readonly branches: readonly (readonly Node[])[];
}
export type Node = RunNode | SleepNode | WaitNode | ThrowNode | AllNode;

export interface Script {
  readonly app: string;
  readonly config: FunctionConfig;
  readonly nodes: readonly Node[];
}

export type Memo = ReadonlyMap<string, MemoEntry>;

export type Standing =
  | { readonly kind: "returned"; readonly data: string }
  | { readonly kind: "threw"; readonly name: string; readonly message: string; readonly retriable: boolean }
  /** Steps that can run now, and what the engine must settle. Not both empty. */
  | {
      readonly kind: "blocked";
      readonly runs: readonly RunNode[];
      readonly requests: readonly (SleepNode | WaitNode)[];
    };

type Walk = { readonly kind: "done"; readonly trail: readonly string[] } | Exclude<Standing, { kind: "returned" }>;

const utf8 = new TextDecoder();

/** @param attempt failed attempts of the handler so far. The return value tells all that the handler saw. */
export function advance(nodes: readonly Node[], memo: Memo, attempt: number): Standing {
  const walk = walkAll(nodes, memo, attempt);
  return walk.kind === "done" ? { kind: "returned", data: JSON.stringify(walk.trail) } : walk;
}

function walkAll(nodes: readonly Node[], memo: Memo, attempt: number): Walk {
  const trail: string[] = [];
  for (const node of nodes) {
    const walk = walkOne(node, memo, attempt);
    if (walk.kind !== "done") return walk;
    trail.push(...walk.trail);
  }
  return { kind: "done", trail };
}

function walkOne(node: Node, memo: Memo, attempt: number): Walk {
  switch (node.kind) {
    case "throw":
      if (attempt >= node.times) return { kind: "done", trail: [] };
      return { kind: "threw", name: "Error", message: `handler attempt ${attempt}`, retriable: node.retriable };
    case "all":
      return walkBranches(node, memo, attempt);
    case "run": {
      const entry = memo.get(node.id);
      if (entry === undefined) return { kind: "blocked", runs: [node], requests: [] };
      if (entry.error === null) return { kind: "done", trail: [`${node.id}=${text(entry)}`] };
      if (node.caught) return { kind: "done", trail: [`${node.id}!${entry.error.message}`] };
      return { kind: "threw", name: "StepError", message: entry.error.message, retriable: false };
    }
    case "sleep":
      if (memo.has(node.id)) return { kind: "done", trail: [node.id] };
      return { kind: "blocked", runs: [], requests: [node] };
    case "wait": {
      const entry = memo.get(node.id);
      if (entry === undefined) return { kind: "blocked", runs: [], requests: [node] };
      const rest = walkAll(entry.data === null ? node.onTimeout : node.onEvent, memo, attempt);
      if (rest.kind !== "done") return rest;
      const got = entry.data === null ? "null" : (JSON.parse(text(entry)) as { id: string }).id;
      return { kind: "done", trail: [`${node.id}=${got}`, ...rest.trail] };
    }
  }
}

function walkBranches({ branches }: AllNode, memo: Memo, attempt: number): Walk {
  const trail: string[] = [];
  const runs: RunNode[] = [];
  const requests: (SleepNode | WaitNode)[] = [];
  for (const branch of branches) {
    const walk = walkAll(branch, memo, attempt);
    if (walk.kind === "threw") return walk;
    if (walk.kind === "done") trail.push(...walk.trail);
    else {
      runs.push(...walk.runs);
      requests.push(...walk.requests);
    }
  }
  return runs.length + requests.length === 0 ? { kind: "done", trail } : { kind: "blocked", runs, requests };
}

function text(entry: MemoEntry): string {
  return entry.data === null ? "null" : utf8.decode(entry.data);
}

/** Events that the nodes wait for. */
export function waitsOf(nodes: readonly Node[]): readonly WaitNode[] {
  return nodes.flatMap((node) => {
    if (node.kind === "all") return node.branches.flatMap(waitsOf);
    return node.kind === "wait" ? [node, ...waitsOf(node.onEvent), ...waitsOf(node.onTimeout)] : [];
  });
}
