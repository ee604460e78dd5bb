/**
 * Conditions: CEL over `event`, the event that starts a run, and `async`, the one that comes in later. Part of the
 * routing formula, because senders, workers and partitions must read the same route and the same answer out of a text;
 * so the library's version is pinned exactly. Pure.
 *
 * What is missing or of the wrong type makes a condition false, never a throw.
 */
import {
  Environment,
  EvaluationError,
  ParseError,
  TypeError as CelTypeError,
  type ASTNode,
} from "@marcbachmann/cel-js";
import { LRUCache } from "lru-cache";
import { canon } from "./match-value.js";

/** `trigger`: over `event` alone. */
export type ConditionScope = "trigger" | "listen";

/** A text that is no condition. */
export class ConditionError extends Error {
  override readonly name = "ConditionError";
  /** @param position in characters of the text, from 0. */
  constructor(
    message: string,
    readonly position: number,
  ) {
    super(message);
  }
}

/** An equality that must hold for the condition to hold: the incoming event's value at `path` is that of `of`. */
export interface Equality {
  /** Path in the incoming event. */
  readonly path: string;
  /** Path in the triggering event, or `=` and a canonical value. */
  readonly of: string;
}

interface Condition {
  /** The first equality of the top-level conjunction; those with the triggering event go before constants. */
  readonly equality: Equality | null;
  /** False where the equality is all there is. */
  readonly hasMore: boolean;
  /** Top-level names and the paths below `event` that it reads; null: it reads the whole. */
  readonly reads: readonly string[] | null;
  evaluate(values: Record<string, unknown>): unknown;
}

const environments = {
  trigger: new Environment().registerVariable("event", "dyn"),
  listen: new Environment().registerVariable("event", "dyn").registerVariable("async", "dyn"),
};

/** Conditions are few, but a run's own may hold its values: bounded. */
const CONDITIONS_MAX = 2_000;
const conditions = new LRUCache<string, Condition>({ max: CONDITIONS_MAX });

/** @throws ConditionError */
export function checkCondition(text: string, scope: ConditionScope): void {
  conditionOf(text, scope);
}

/** @throws ConditionError */
export function equalityOf(text: string): Equality | null {
  return conditionOf(text, "listen").equality;
}

/** Must `holds` be asked once the equality is known to hold? */
export function hasMoreThanEquality(text: string): boolean {
  return conditionOf(text, "listen").hasMore;
}

/** @param incoming the incoming event; absent for a trigger's condition. */
export function holds(text: string, event: unknown, incoming?: unknown): boolean {
  const scope = incoming === undefined ? "trigger" : "listen";
  try {
    return conditionOf(text, scope).evaluate(scope === "trigger" ? { event } : { event, async: incoming }) === true;
  } catch (error) {
    if (isOfLibrary(error)) return false; // A missing key, a value of another type.
    throw error;
  }
}

/** The part of the triggering event that the condition reads: all that a partition without the run needs of it. */
export function scopeOf(text: string, event: unknown): unknown {
  const { reads } = conditionOf(text, "listen");
  if (reads === null) return event;
  const scope: Record<string, unknown> = {};
  for (const path of reads) copyPath(event, scope, path.split("."));
  return scope;
}

function copyPath(from: unknown, to: Record<string, unknown>, parts: readonly string[]): void {
  const [part, ...rest] = parts;
  if (part === undefined || typeof from !== "object" || from === null || !Object.hasOwn(from, part)) return;
  const value = (from as Record<string, unknown>)[part];
  if (rest.length === 0 || typeof value !== "object" || value === null) {
    put(to, part, value);
    return;
  }
  const known = Object.hasOwn(to, part) ? to[part] : undefined;
  if (known === value) return; // Taken whole already.
  const below = (known ?? {}) as Record<string, unknown>;
  put(to, part, below);
  copyPath(value, below, rest);
}

/** Defines rather than assigns: a path may be called `__proto__`. */
function put(to: Record<string, unknown>, part: string, value: unknown): void {
  Object.defineProperty(to, part, { value, enumerable: true, configurable: true, writable: true });
}

function conditionOf(text: string, scope: ConditionScope): Condition {
  const key = `${scope}|${text}`;
  const known = conditions.get(key);
  if (known !== undefined) return known;
  const condition = parse(text, scope);
  conditions.set(key, condition);
  return condition;
}

function parse(text: string, scope: ConditionScope): Condition {
  const parsed = attempt(() => environments[scope].parse(text));
  const checked = parsed.check();
  if (!checked.valid) throw conditionError(checked.error as LibraryError);
  if (checked.type !== "bool" && checked.type !== "dyn") {
    throw new ConditionError(`expected true or false, this is of type ${String(checked.type)}`, 0);
  }
  const terms = conjuncts(parsed.ast);
  const equalities = terms.flatMap((term) => equalityIn(term) ?? []);
  const equality = equalities.find(({ of }) => !of.startsWith("=")) ?? equalities[0] ?? null;
  const reads = new Set<string>();
  const readsAll = !collectReads(parsed.ast, reads);
  return {
    equality,
    hasMore: equality === null || terms.length > 1,
    reads: readsAll ? null : [...reads].sort(),
    evaluate: (values) => parsed(values) as unknown,
  };
}

function attempt<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (isOfLibrary(error)) throw conditionError(error);
    throw error;
  }
}

type LibraryError = ParseError | EvaluationError | CelTypeError;

function isOfLibrary(error: unknown): error is LibraryError {
  return error instanceof ParseError || error instanceof EvaluationError || error instanceof CelTypeError;
}

/** The first line says what is wrong, the others draw where. */
function conditionError({ message, range }: Error & { readonly range?: { readonly start: number } | undefined }) {
  return new ConditionError(message.split("\n")[0] ?? message, range?.start ?? 0);
}

function conjuncts(node: ASTNode): readonly ASTNode[] {
  if (node.op !== "&&") return [node];
  const [left, right] = node.args;
  return [...conjuncts(left), ...conjuncts(right)];
}

function equalityIn(node: ASTNode): Equality | null {
  if (node.op !== "==") return null;
  const [left, right] = node.args;
  return equalityOfSides(left, right) ?? equalityOfSides(right, left);
}

function equalityOfSides(incoming: ASTNode, other: ASTNode): Equality | null {
  const path = pathOf(incoming);
  if (path?.root !== "async" || path.path === "") return null;
  if (other.op === "value") {
    const value: unknown = typeof other.args === "bigint" ? Number(other.args) : other.args;
    const text = canon(value);
    return text === null ? null : { path: path.path, of: `=${text}` };
  }
  const own = pathOf(other);
  return own?.root === "event" && own.path !== "" ? { path: path.path, of: own.path } : null;
}

/** A chain of plain fields, such as `event.data.id` or `event.data["id"]`; null for anything else. */
function pathOf(node: ASTNode): { root: string; path: string } | null {
  if (node.op === "id") return { root: node.args, path: "" };
  if (node.op !== "." && node.op !== "[]") return null;
  const [of, field] = node.args as [ASTNode, ASTNode | string];
  const name = typeof field === "string" ? field : field.op === "value" ? field.args : null;
  const below = pathOf(of);
  if (below === null || typeof name !== "string" || name === "" || name.includes(".")) return null;
  return { root: below.root, path: below.path === "" ? name : `${below.path}.${name}` };
}

/** Adds the paths below `event` that are read. @returns false where `event` is used other than by plain fields. */
function collectReads(node: unknown, into: Set<string>): boolean {
  if (Array.isArray(node)) return node.every((item) => collectReads(item, into));
  if (!isNode(node)) return true;
  const path = pathOf(node);
  if (path?.root === "event") {
    if (path.path === "") return false;
    into.add(path.path);
    return true;
  }
  return collectReads(node.args, into);
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === "object" && value !== null && "op" in value && "args" in value;
}
