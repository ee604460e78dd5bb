/**
 * Conditions: CEL over `event`, the event that starts a run, and `async`, the one that comes in later. Part of the
 * routing formula, because senders, workers and partitions must read the same route and the same answer out of a text;
 * so the library's version is pinned exactly. Pure.
 *
 * What is missing or of the wrong type makes a condition false, never a throw. An equality of the top-level conjunction
 * with a field of the incoming event goes by canonical values, as `match` does: null, lists and objects equal nothing.
 * JSON has one kind of number: it compares and computes with whole ones as well as with others.
 *
 * A text of CEL may cost any amount of work or depend on the machine (time zones); conditions may not, because they are
 * evaluated by every partition, in its loop and in every replay. So only FUNCTIONS can be called, and size is bounded:
 * the work is at most that of NODES_MAX looks through an event.
 */
import {
  Environment,
  EvaluationError,
  ParseError,
  TypeError as CelTypeError,
  type ASTNode,
} from "@marcbachmann/cel-js";
import { LRUCache } from "lru-cache";
import { canon, canonAt } from "./match-value.js";

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
  /** Of the top-level conjunction; those with the triggering event go before constants. */
  readonly equalities: readonly Equality[];
  /** False where one equality is all there is. */
  readonly hasMore: boolean;
  /** Is there anything besides equalities? */
  readonly hasOther: boolean;
  /** Top-level names and the paths below `event` that it reads; null: it reads the whole. */
  readonly reads: readonly string[] | null;
  readonly evaluate: (values: Record<string, unknown>) => unknown;
}

/**
 * What looks at a value once. Not among them: `matches` (backtracking takes exponential time), `all`, `exists`, `map` and
 * the like (nested, any power of the event's size), `timestamp` and its parts (time zones of the machine), `lowerAscii`
 * (the Unicode version of the machine).
 */
const FUNCTIONS: ReadonlySet<string> = new Set([
  "bool",
  "contains",
  "double",
  "endsWith",
  "has",
  "int",
  "size",
  "startsWith",
  "string",
  "type",
]);
const NODES_MAX = 500;
/** Each may copy a list as long as an event. */
const ADDITIONS_MAX = 16;
const LIMITS = { maxAstNodes: NODES_MAX, maxDepth: 50, maxListElements: 200, maxMapEntries: 50, maxCallArguments: 4 };

type Arithmetic = (a: number, b: number) => number;
const ARITHMETIC: readonly (readonly [operator: string, compute: Arithmetic])[] = [
  ["+", (a, b) => a + b],
  ["-", (a, b) => a - b],
  ["*", (a, b) => a * b],
  ["/", (a, b) => a / b],
  ["%", (a, b) => a % b],
];

/** CEL keeps whole numbers and others apart; to it, those of JSON are others, and the 1 in a text is whole. */
function environment(): Environment {
  const made = new Environment({ limits: LIMITS });
  type Either = number | bigint;
  for (const [operator, compute] of ARITHMETIC) {
    const mixed = (a: Either, b: Either): number => compute(Number(a), Number(b));
    made.registerOperator(`double ${operator} int: double`, mixed);
    made.registerOperator(`int ${operator} double: double`, mixed);
  }
  made.registerOperator("double % double: double", (a: number, b: number) => a % b);
  made.registerOperator("int == double: bool", (a: Either, b: Either) => Number(a) === Number(b));
  return made.registerVariable("event", "dyn");
}

const environments = {
  trigger: environment(),
  listen: environment().registerVariable("async", "dyn"),
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
  return conditionOf(text, "listen").equalities[0] ?? null;
}

/** Must `holds` be asked once the equality is known to hold? */
export function hasMoreThanEquality(text: string): boolean {
  return conditionOf(text, "listen").hasMore;
}

/** @param incoming the incoming event; absent for a trigger's condition. @throws ConditionError */
export function holds(text: string, event: unknown, incoming?: unknown): boolean {
  if (incoming === undefined) return isTrue(conditionOf(text, "trigger"), { event });
  const condition = conditionOf(text, "listen");
  for (const { path, of } of condition.equalities) {
    const value = canonAt(event, of);
    if (value === null || canonAt(incoming, path) !== value) return false;
  }
  return !condition.hasOther || isTrue(condition, { event, async: incoming });
}

/** By event: many conditions are asked of one. */
const readable = new WeakMap<object, unknown>();

/**
 * The library tells objects by their `constructor`, which is a field like any other to those who send events: objects
 * that have one become maps, which it reads alike.
 */
function readableOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const known = readable.get(value);
  if (known !== undefined) return known;
  const made = hasConstructorField(value) ? withMaps(value) : value;
  readable.set(value, made);
  return made;
}

/** Without recursion: events may be nested deeply. */
function hasConstructorField(root: object): boolean {
  const open: object[] = [root];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (Object.hasOwn(next, "constructor")) return true;
    for (const value of Object.values(next) as unknown[]) {
      if (typeof value === "object" && value !== null) open.push(value);
    }
  }
  return false;
}

function withMaps(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withMaps);
  return new Map(Object.entries(value).map(([key, item]) => [key, withMaps(item)]));
}

function isTrue({ evaluate }: Condition, values: Record<string, unknown>): boolean {
  const readables: Record<string, unknown> = {};
  try {
    for (const [name, value] of Object.entries(values)) readables[name] = readableOf(value);
    return evaluate(readables) === true;
  } catch (error) {
    if (isOfLibrary(error)) return false; // A missing key, a value of another type.
    // Events that are nested thousands deep cannot be compared as a whole: the stack ends.
    if (error instanceof RangeError) return false;
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
  // A list is not cut: what is left of it would be an object, which has other keys.
  if (rest.length === 0 || typeof value !== "object" || value === null || Array.isArray(value)) {
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
  checkNodes(parsed.ast);
  const checked = parsed.check();
  if (!checked.valid) throw conditionError(checked.error as LibraryError);
  if (checked.type !== "bool" && checked.type !== "dyn") {
    throw new ConditionError(`expected true or false, this is of type ${String(checked.type)}`, 0);
  }
  const terms = conjuncts(parsed.ast);
  const found = terms.flatMap((term) => equalityIn(term) ?? []);
  const [constants, shared] = [found.filter(isConstant), found.filter((equality) => !isConstant(equality))];
  const reads = new Set<string>();
  const readsAll = !collectReads(parsed.ast, reads);
  return {
    equalities: [...shared, ...constants],
    hasMore: found.length === 0 || terms.length > 1,
    hasOther: terms.length > found.length,
    reads: readsAll ? null : [...reads].sort(),
    evaluate: (values) => parsed(values) as unknown,
  };
}

function isConstant({ of }: Equality): boolean {
  return of.startsWith("=");
}

/** @throws ConditionError for what costs too much, or more than can be told. */
function checkNodes(ast: ASTNode): void {
  let additions = 0;
  for (const node of nodesOf(ast)) {
    if (node.op === "+") additions += 1;
    if (additions > ADDITIONS_MAX) throw new ConditionError(`more than ${ADDITIONS_MAX} additions`, node.start);
    if (node.op !== "call" && node.op !== "rcall") continue;
    const [name] = node.args;
    if (FUNCTIONS.has(name)) continue;
    const allowed = [...FUNCTIONS].join(", ");
    throw new ConditionError(`${name}() is not for conditions, which may call ${allowed}`, node.start);
  }
}

function* nodesOf(value: unknown): Generator<ASTNode> {
  if (Array.isArray(value)) {
    for (const item of value) yield* nodesOf(item);
  } else if (isNode(value)) {
    yield value;
    yield* nodesOf(value.args);
  }
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
  const constant = constantOf(other);
  if (constant !== null) return { path: path.path, of: `=${constant}` };
  const own = pathOf(other);
  return own?.root === "event" && own.path !== "" ? { path: path.path, of: own.path } : null;
}

/** The canonical value of a literal. Whole numbers that JSON has no equal of are left to CEL, which knows that. */
function constantOf(node: ASTNode): string | null {
  if (node.op === "-_") {
    const { op, args } = node.args;
    return op === "value" && (typeof args === "bigint" || typeof args === "number") ? canonOfLiteral(-args) : null;
  }
  return node.op === "value" ? canonOfLiteral(node.args) : null;
}

function canonOfLiteral(value: unknown): string | null {
  if (typeof value !== "bigint") return canon(value);
  const number = Number(value);
  return Number.isSafeInteger(number) ? canon(number) : null;
}

/** A chain of plain fields, such as `event.data.id` or `event.data["id"]`; null for anything else. */
function pathOf(node: ASTNode): { root: string; path: string } | null {
  if (node.op === "id") return { root: node.args, path: "" };
  if (node.op !== "." && node.op !== "[]") return null;
  const [of, field] = node.args as [ASTNode, ASTNode | string];
  const name = typeof field === "string" ? field : field.op === "value" ? field.args : null;
  const below = pathOf(of);
  if (below === null || typeof name !== "string" || !isPlain(name)) return null;
  return { root: below.root, path: below.path === "" ? name : `${below.path}.${name}` };
}

/** Can it stand in a path? There, a dot parts names, and `=` is the mark of a constant. */
function isPlain(name: string): boolean {
  return name !== "" && !name.includes(".") && !name.startsWith("=");
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
