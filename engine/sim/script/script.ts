/**
 * Scripted functions: what a simulated handler does, as data, so that workers and the judge can read the same one.
 * `advance` (advance.ts) plays the part of re-entering a handler with its memo: it says where the handler stands.
 */
import type { FunctionConfig, MemoEntry, Since, Timeout } from "@eddy/schemas";
import type { DataDraft } from "./values.js";

export * from "./advance.js";
export * from "./condition.js";
export * from "./values.js";

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
  /** An event that the step sends, `afterMs` after it began; 0: at once (G9). Its keys may be anywhere. */
  readonly emits: { readonly event: string; readonly afterMs: number; readonly data: DataDraft } | null;
  /** Characters by which its result is longer than it need be. */
  readonly padding: number;
  /** How long user code runs, in ms. */
  readonly tookMs: number;
}
/** step.sendEvent: a run step that sends the event `<runId>/<stepId>/0` and waits until the log has it. */
export interface SendNode {
  readonly kind: "send";
  readonly id: string;
  readonly event: string;
  readonly data: DataDraft;
}
export interface SleepNode {
  readonly kind: "sleep";
  readonly id: string;
  readonly until: Timeout;
}
/** At most one of `match` and `if`; neither: every event of the name. */
export interface WaitNode {
  readonly kind: "wait";
  readonly id: string;
  readonly event: string;
  readonly match: string | null;
  /** As `conditionOf` writes it. `{data.k}` stands for what the handler computes (`computedText`). */
  readonly if: string | null;
  readonly since: Since;
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
/**
 * Promise.race of branches: the one that is done first, in the order of the memo, decides, and the handler goes on. The others
 * stay unobserved; of those that are one bare wait or sleep, the worker withdraws what they had asked for when the
 * invocation suspends.
 */
export interface RaceNode {
  readonly kind: "race";
  readonly branches: readonly (readonly Node[])[];
}
export type Node = RunNode | SendNode | SleepNode | WaitNode | ThrowNode | AllNode | RaceNode;

export interface ScriptVersion {
  readonly config: FunctionConfig;
  readonly nodes: readonly Node[];
}

export interface Script extends ScriptVersion {
  readonly app: string;
  /** Its workers yield after each step, or each group of parallel ones. */
  readonly strict: boolean;
  /** Later code of the same function: version n is `versions[n - 1]`, version 0 the script itself. */
  readonly versions: readonly ScriptVersion[];
}

/** In the order in which entries were recorded. */
export type Memo = ReadonlyMap<string, MemoEntry>;

/** @param version counts from 0; beyond the last: the last. */
export function versionOf(script: Script, version: number): ScriptVersion {
  return version === 0 ? script : (script.versions[Math.min(version, script.versions.length) - 1] ?? script);
}

function below(node: Node): readonly (readonly Node[])[] {
  if (node.kind === "all" || node.kind === "race") return node.branches;
  return node.kind === "wait" ? [node.onEvent, node.onTimeout] : [];
}

/** All nodes, those within others too. */
export function allNodesOf(nodes: readonly Node[]): readonly Node[] {
  return nodes.flatMap((node) => [node, ...below(node).flatMap(allNodesOf)]);
}

/** Events that the nodes wait for. */
export function waitsOf(nodes: readonly Node[]): readonly WaitNode[] {
  return allNodesOf(nodes).filter((node) => node.kind === "wait");
}
