/**
 * Conditions as the simulator draws them: conjunctions of comparisons, kept as data beside their text, so that the model
 * reads them by itself and never by the library that the engine uses.
 */
import { EVENT_DATA, type Scalar } from "./values.js";

export type Operand = { readonly of: "event" | "async"; readonly path: string } | { readonly const: Scalar } | Computed;

/** What the handler writes into the text: the triggering event's value there, as JSON. Of waits alone. */
export interface Computed {
  readonly computed: string;
}

export interface Term {
  readonly left: { readonly of: "event" | "async"; readonly path: string };
  readonly op: "==" | ">" | "!=";
  readonly right: Operand;
}

/** All terms must hold. */
export interface Condition {
  readonly text: string;
  readonly terms: readonly Term[];
}

export function conditionOf(terms: readonly Term[]): Condition {
  return { text: terms.map(textOf).join(" && "), terms };
}

function textOf({ left, op, right }: Term): string {
  return `${left.of}.${left.path} ${op} ${operandText(right)}`;
}

function operandText(operand: Operand): string {
  if ("of" in operand) return `${operand.of}.${operand.path}`;
  return "computed" in operand ? `{${operand.computed}}` : JSON.stringify(operand.const);
}

const TERM = /^(event|async)\.([\w.]+) (==|>|!=) (.+)$/;

/** Reads back what `conditionOf` wrote. Strings hold no ` && `. @throws Error for any other text. */
export function readCondition(text: string): Condition {
  const terms = text.split(" && ").map((part): Term => {
    const [, of, path, op, right] = TERM.exec(part) ?? [];
    if (of === undefined || path === undefined || op === undefined || right === undefined) {
      throw new Error(`no condition of the simulator: ${text}`);
    }
    return { left: { of: of as "event", path }, op: op as "==", right: readOperand(right) };
  });
  return { text, terms };
}

function readOperand(text: string): Operand {
  const [, of, path] = /^(event|async)\.([\w.]+)$/.exec(text) ?? [];
  if (of !== undefined && path !== undefined) return { of: of as "event", path };
  const [, computed] = /^\{([\w.]+)\}$/.exec(text) ?? [];
  return computed === undefined ? { const: JSON.parse(text) as Scalar } : { computed };
}

/** The text that a handler comes to, for the event that started its run. */
export function computedText(text: string, event: unknown): string {
  return text.replace(/\{([\w.]+)\}/g, (_, path: string) => JSON.stringify(EVENT_DATA.at(event, path) ?? null));
}
