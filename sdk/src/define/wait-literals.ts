/**
 * Finds the waits that a handler makes by reading its text: calls of `waitForEvent` (however it is reached), and calls
 * of anything with an object of `event`, `timeout`, and `match` or `if` as second argument, which is how a renamed
 * `waitForEvent` looks. A wait that is found is routed before the first run; one that is missed is learned from the first
 * run that makes it. So what has a computed part is left alone.
 *
 * Invariants: never throws; text that does not parse has no waits.
 */
import { parse, type Expression, type Node, type ObjectExpression, type Pattern } from "acorn";
import { full } from "acorn-walk";

/** As the handler's text has it; not checked. */
export interface LiteralWait {
  readonly event: string;
  readonly match: string | null;
  readonly if: string | null;
  readonly since: string;
  /** Is it a call of `waitForEvent`, rather than one that looks so? */
  readonly isNamed: boolean;
}

export interface FoundWaits {
  readonly waits: readonly LiteralWait[];
  /** Calls of `waitForEvent` that could not be read in full. */
  readonly unread: number;
}

/** Gives the name of the event for a constant from outside the handler, by the constant's name, where it is known. */
export type ResolveConstant = (identifier: string) => string | undefined;

const NOTHING: FoundWaits = { waits: [], unread: 0 };

export function findWaits(source: string, resolve: ResolveConstant = () => undefined): FoundWaits {
  const root = parseFunction(source);
  if (root === null) return NOTHING;
  const constants = constantsOf(root);
  const reader = new LiteralReader(constants, resolve);
  const waits = new Map<string, LiteralWait>();
  let unread = 0;
  full(root, (node) => {
    if (node.type !== "CallExpression") return;
    const call = node as unknown as { callee: Expression; arguments: (Expression | Node)[] };
    const options = reader.object(call.arguments[1]);
    const isNamed = calleeName(call.callee) === "waitForEvent";
    if (!isNamed && (options === null || !looksLikeWait(options))) return;
    const wait = options === null ? null : reader.wait(options, isNamed);
    if (wait !== null) waits.set(JSON.stringify({ ...wait, isNamed: true }), wait);
    else if (isNamed) unread += 1;
  });
  return { waits: [...waits.values()], unread };
}

/** A function's text stands for an expression, or, for methods, for a member of an object. */
function parseFunction(source: string): Node | null {
  for (const text of [`(${source}\n)`, `({${source}\n})`, `(class {${source}\n})`]) {
    try {
      return parse(text, {
        ecmaVersion: "latest",
        sourceType: "module",
        allowAwaitOutsideFunction: true,
        allowReturnOutsideFunction: true,
        allowSuperOutsideMethod: true,
        checkPrivateFields: false,
      });
    } catch (error) {
      if (!(error instanceof SyntaxError)) return null;
    }
  }
  return null;
}

/** `x`, `a.x`, `a?.x`, `a["x"]`, `(0, a.x)`. */
function calleeName(callee: Node): string | undefined {
  const node = callee as Expression;
  switch (node.type) {
    case "Identifier":
      return node.name;
    case "MemberExpression":
      return memberName(node.property, node.computed);
    case "ChainExpression":
    case "ParenthesizedExpression":
      return calleeName(node.expression);
    case "SequenceExpression":
      return calleeName(node.expressions.at(-1) as Expression);
    default:
      return undefined;
  }
}

function memberName(name: Node, computed: boolean): string | undefined {
  const node = name as Expression;
  if (!computed && node.type === "Identifier") return node.name;
  if (node.type === "Literal" && typeof node.value === "string") return node.value;
  return node.type === "TemplateLiteral" ? plainTemplate(node) : undefined;
}

function plainTemplate(node: { expressions: unknown[]; quasis: { value: { cooked?: string | null } }[] }) {
  return node.expressions.length === 0 ? (node.quasis[0]?.value.cooked ?? undefined) : undefined;
}

function property(object: ObjectExpression, name: string): Expression | undefined {
  let found: Expression | undefined;
  for (const member of object.properties) {
    if (member.type !== "Property") continue;
    // The last one wins, as it does at run time.
    if (memberName(member.key, member.computed) === name) found = member.value;
  }
  return found;
}

/** Without `match` or `if` it could be anything: too little to have every event of a name copied for it. */
function looksLikeWait(object: ObjectExpression): boolean {
  const has = (name: string): boolean => property(object, name) !== undefined;
  return has("event") && has("timeout") && (has("match") || has("if"));
}

/** Are all of its keys there to be read? */
function isPlain(object: ObjectExpression): boolean {
  return object.properties.every(
    (member) => member.type === "Property" && memberName(member.key, member.computed) !== undefined,
  );
}

type Constants = ReadonlyMap<string, Expression | null>;

/** Names that are declared once in the handler, with a value, and never assigned; null for the others. */
function constantsOf(root: Node): Constants {
  const found = new Map<string, Expression | null>();
  const declare = (pattern: Pattern, init: Expression | null | undefined): void => {
    if (pattern.type === "Identifier") found.set(pattern.name, found.has(pattern.name) ? null : (init ?? null));
  };
  full(root, (node) => {
    if (node.type === "VariableDeclarator") {
      const { id, init } = node as unknown as { id: Pattern; init?: Expression | null };
      declare(id, init);
    } else if (node.type === "AssignmentExpression") {
      declare((node as unknown as { left: Pattern }).left, null);
    }
  });
  for (const [name, init] of found) if (init === null) found.set(name, null);
  return found;
}

class LiteralReader {
  readonly #constants: Constants;
  readonly #resolve: ResolveConstant;

  constructor(constants: Constants, resolve: ResolveConstant) {
    this.#constants = constants;
    this.#resolve = resolve;
  }

  /** @returns null where a part of it is computed. */
  wait(options: ObjectExpression, isNamed: boolean): LiteralWait | null {
    const event = this.event(property(options, "event"));
    const match = this.#optional(property(options, "match"));
    const condition = this.#optional(property(options, "if"));
    const since = this.#optional(property(options, "since"));
    if (event === undefined || match === undefined || condition === undefined || since === undefined) return null;
    return isPlain(options) ? { event, match, if: condition, since: since ?? "mark", isNamed } : null;
  }

  /** @returns null where it is not given. */
  #optional(node: Node | undefined): string | null | undefined {
    const value = node as Expression | undefined;
    if (value === undefined || (value.type === "Identifier" && value.name === "undefined")) return null;
    return this.text(value);
  }

  text(node: Node | undefined): string | undefined {
    const value = this.#valueOf(node);
    if (value?.type === "Literal" && typeof value.value === "string") return value.value;
    return value?.type === "TemplateLiteral" ? plainTemplate(value) : undefined;
  }

  object(node: Node | undefined): ObjectExpression | null {
    const value = this.#valueOf(node);
    return value?.type === "ObjectExpression" ? value : null;
  }

  /** A name: as text, as `eventType("name")`, or as a constant from outside that is known to be an event type. */
  event(node: Node | undefined): string | undefined {
    const text = this.text(node);
    if (text !== undefined || node === undefined) return text;
    const value = this.#valueOf(node);
    if (value?.type === "CallExpression" && calleeName(value.callee) === "eventType") {
      return this.text(value.arguments[0]);
    }
    const name = value === undefined ? undefined : calleeName(value);
    if (name === "name" && value?.type === "MemberExpression") return this.event(value.object);
    return name === undefined ? undefined : this.#resolve(name);
  }

  /** Follows constants of the handler; parentheses and chains are looked through. */
  #valueOf(node: Node | undefined): Expression | undefined {
    let at = node as Expression | undefined;
    for (let hops = 0; at !== undefined && hops < 10; hops++) {
      if (at.type === "ParenthesizedExpression" || at.type === "ChainExpression") at = at.expression;
      else if (at.type === "Identifier" && this.#constants.get(at.name)) at = this.#constants.get(at.name) ?? undefined;
      else return at;
    }
    return undefined;
  }
}
