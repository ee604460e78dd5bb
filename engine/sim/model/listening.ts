/**
 * What waits, rules and triggers listen to, read off the simulator's own conditions: never by the library that the engine
 * asks. Missing values and comparisons of different types make a term false.
 */
import type { Listen, MatchValues } from "@eddy/schemas";
import { readCondition, type Condition, type Operand, type Term } from "../script/script.js";
import { scalarAt } from "./values.js";

export interface Listening {
  readonly event: string;
  /** In the incoming event. */
  readonly path: string;
  /** In the triggering event. */
  readonly of: string;
  /** What is left to ask once the values are equal. */
  readonly condition: Condition | null;
}

/** The canonical text of a match value, as the routing formula has it. */
export function canonical(value: string | number | boolean | null): string | null {
  if (value === null) return null;
  if (typeof value === "string") return `s:${value}`;
  return typeof value === "number" ? `n:${value === 0 ? 0 : value}` : value ? "b:1" : "b:0";
}

/** @param path or `=` and a constant, which every event has there. */
export function valueOf(body: unknown, path: string): string | null {
  return path.startsWith("=") ? path.slice(1) : canonical(scalarAt(body, path));
}

export function listeningOf({ event, match, if: text }: Listen): Listening {
  if (match !== null) return { event, path: match, of: match, condition: null };
  const lane = `=l:${event}`;
  if (text === null) return { event, path: lane, of: lane, condition: null };
  const condition = readCondition(text);
  const equalities = condition.terms.flatMap((term) => equalityOf(term) ?? []);
  const equality = equalities.find(({ of }) => !of.startsWith("=")) ?? equalities[0];
  if (equality === undefined) return { event, path: lane, of: lane, condition };
  return { event, ...equality, condition: condition.terms.length > 1 ? condition : null };
}

function equalityOf({ left, op, right }: Term): { readonly path: string; readonly of: string } | null {
  if (op !== "==") return null;
  if (left.of === "async" && "const" in right) {
    const text = canonical(right.const);
    return text === null ? null : { path: left.path, of: `=${text}` };
  }
  if (!("of" in right) || right.of === left.of) return null;
  return left.of === "async" ? { path: left.path, of: right.path } : { path: right.path, of: left.path };
}

/** @param async absent for a trigger's condition. */
export function conditionHolds({ terms }: Condition, event: unknown, async?: unknown): boolean {
  return terms.every((term) => termHolds(term, { event, async }));
}

type Scope = Readonly<Record<"event" | "async", unknown>>;

function termHolds({ left, op, right }: Term, scope: Scope): boolean {
  const [a, b] = [read(scope[left.of], left.path), operand(right, scope)];
  if (a === undefined || b === undefined) return false;
  // What could route an event goes by canonical values, of which null has none.
  if (op === "==") return a === b && (a !== null || equalityOf({ left, op, right }) === null);
  if (op === "!=") return a !== b;
  if (typeof a === "number" && typeof b === "number") return a > b;
  if (typeof a === "boolean" && typeof b === "boolean") return a && !b;
  return typeof a === "string" && typeof b === "string" && a > b;
}

function operand(right: Operand, scope: Scope): unknown {
  if ("of" in right) return read(scope[right.of], right.path);
  if ("computed" in right) throw new Error("a condition that reached the log is computed");
  return right.const;
}

/** @returns undefined where the path does not lead. */
function read(root: unknown, path: string): unknown {
  let at = root;
  for (const part of path.split(".")) {
    if (at === null || typeof at !== "object" || !Object.prototype.hasOwnProperty.call(at, part)) return undefined;
    at = (at as Record<string, unknown>)[part];
  }
  return at;
}

/** Does an event that has the value at the path match? @param given the triggering event, or what is known of it. */
export function matches(
  { event, path, condition }: Listening,
  value: string,
  given: unknown,
  incoming: { readonly name: string; readonly body: unknown },
): boolean {
  if (incoming.name !== event || valueOf(incoming.body, path) !== value) return false;
  return condition === null || conditionHolds(condition, given, incoming.body);
}

/** The part of the triggering event that a condition reads; null: it reads none of it, or there is none. */
export function givenOf({ condition }: Listening, trigger: unknown): unknown {
  if (condition === null) return null;
  const sides = condition.terms.flatMap(({ left, right }) => [left, right]);
  const paths = sides.flatMap((side) => ("of" in side && side.of === "event" ? [side.path] : []));
  const given = {};
  for (const path of [...new Set(paths)].sort()) copy(trigger, given, path.split("."));
  return given;
}

function copy(from: unknown, to: object, [part = "", ...rest]: readonly string[]): void {
  if (from === null || typeof from !== "object" || !Object.prototype.hasOwnProperty.call(from, part)) return;
  const value: unknown = (from as Record<string, unknown>)[part];
  if (rest.length === 0 || value === null || typeof value !== "object") {
    Object.assign(to, { [part]: value });
    return;
  }
  const below = ((to as Record<string, unknown>)[part] ?? {}) as object;
  Object.assign(to, { [part]: below });
  copy(value, below, rest);
}

/** One name of a listener's key. Not the engine's: only equality counts. */
export function keyOf({ event, path }: Pick<Listening, "event" | "path">, value: string): string {
  return JSON.stringify([event, path, value]);
}

export function hasValue(values: MatchValues, path: string, value: string): boolean {
  return values.some(([p, v]) => p === path && v === value);
}

/** What makes an event known again at one of its values. */
export const pairOf = (
  { id, name }: { readonly id: string; readonly name: string },
  path: string,
  value: string,
): string => JSON.stringify([id, name, path, value]);
