/** Whatever user code throws, as data. Total: an error with hostile getters must not take the worker down. */
import { inspect } from "node:util";
import type { ErrorShape } from "@eddy/schemas";

const NAME_CHARS_MAX = 256;
const TEXT_CHARS_MAX = 65_536;
const CAUSES_MAX = 5;

export function errorShape(thrown: unknown): ErrorShape {
  if (!isErrorLike(thrown)) {
    return { name: "Error", message: cut(textOf(thrown), TEXT_CHARS_MAX), stack: null };
  }
  const name = read(thrown, "name") ?? "Error";
  const stack = stackOf(thrown);
  return {
    name: cut(name === "" ? "Error" : name, NAME_CHARS_MAX),
    message: cut(read(thrown, "message") ?? "", TEXT_CHARS_MAX),
    stack: stack === null ? null : cut(stack, TEXT_CHARS_MAX),
  };
}

function isErrorLike(thrown: unknown): thrown is object {
  if (typeof thrown !== "object" || thrown === null) return false;
  try {
    return thrown instanceof Error || read(thrown, "message") !== null;
  } catch {
    return false; // A proxy that throws on `instanceof`: described as a plain value.
  }
}

/** @returns the property if it can be read and is text. */
function read(from: object, key: string): string | null {
  try {
    const value = (from as Record<string, unknown>)[key];
    return typeof value === "string" ? value : null;
  } catch {
    return null; // A getter that throws counts as absent.
  }
}

/** The stack, with those of the causes behind it. */
function stackOf(error: object): string | null {
  const own = read(error, "stack");
  if (own === null) return null;
  let text = own;
  let at: object = error;
  for (let i = 0; i < CAUSES_MAX; i++) {
    const cause = causeOf(at);
    if (cause === null) break;
    text += `\n[cause]: ${read(cause, "stack") ?? textOf(cause)}`;
    at = cause;
  }
  return text;
}

function causeOf(error: object): object | null {
  try {
    const { cause } = error as { readonly cause?: unknown };
    return typeof cause === "object" ? (cause ?? null) : null;
  } catch {
    return null; // As in `read`.
  }
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  try {
    return inspect(value, { depth: 4, breakLength: Infinity });
  } catch {
    return "a value that cannot be described was thrown";
  }
}

function cut(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax - 1)}…`;
}
