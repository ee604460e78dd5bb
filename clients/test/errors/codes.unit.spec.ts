import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as errors from "../../src/errors/codes.js";

type ErrorClass = new (
  message: string,
  fields?: Readonly<Record<string, unknown>>,
  options?: ErrorOptions,
) => errors.EddyError;

const CODES = Object.entries(errors.ERROR_CODES);
const isErrorClass = (value: unknown): value is ErrorClass =>
  typeof value === "function" && value.prototype instanceof errors.EddyError;
const CLASSES = Object.entries(errors as Readonly<Record<string, unknown>>).flatMap(
  ([name, value]): [string, ErrorClass][] => (isErrorClass(value) ? [[name, value]] : []),
);
const PAGES = join(import.meta.dirname, "../../../docs/errors");

describe("error codes", () => {
  it.each(CODES)("%s has exactly one class", (code) => {
    expect(CLASSES.filter(([, Class]) => new Class("x").code === code)).toHaveLength(1);
  });

  it.each(CODES)("%s has a page that begins with its summary, class and family", (code, { family, summary }) => {
    const [name] = CLASSES.find(([, Class]) => new Class("x").code === code) ?? [];
    const page = readFileSync(join(PAGES, `${code}.md`), "utf8");
    expect(page.startsWith(`# ${code}\n\n> ${summary}\n\n\`${name}\`, family \`${family}\``)).toBe(true);
    expect(page).toMatch(/\*\*What Eddy does\.\*\* \S/);
    expect(page).toMatch(/\*\*What to do\.\*\* \S/);
  });

  it("have no pages left over", () => {
    const pages = readdirSync(PAGES).filter((name) => name !== "README.md");
    expect(pages.sort()).toEqual(CODES.map(([code]) => `${code}.md`).sort());
  });
});

describe.each(CLASSES)("%s", (name, Class) => {
  const cause = new Error("disk");
  const error = new Class("it broke", { topic: "inbox", partition: 3 }, { cause });

  it("is named for itself and carries what its code says", () => {
    const entry = errors.ERROR_CODES[error.code];
    expect([error.name, error.family, error.retriable]).toEqual([name, entry.family, entry.retriable]);
    expect([error.message, error.cause]).toEqual(["it broke", cause]);
    expect(String(error)).toBe(`${name}: it broke`);
    expect(error.stack).toContain("codes.unit.spec");
  });

  it("is an instance of itself, of EddyError and of Error, and of no sibling", () => {
    const siblings = CLASSES.filter(([, Other]) => error instanceof Other).map(([sibling]) => sibling);
    expect(siblings).toEqual([name]);
    expect(error).toBeInstanceOf(errors.EddyError);
    expect(error).toBeInstanceOf(Error);
  });

  it("survives JSON", () => {
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      name,
      code: error.code,
      message: "it broke",
      fields: { topic: "inbox", partition: 3 },
    });
  });

  it("has no fields unless given", () => {
    expect(new Class("x").fields).toEqual({});
  });
});

describe("invariant", () => {
  it("throws what it was told when the condition does not hold, and only then", () => {
    expect(() => errors.invariant(true, "fine")).not.toThrow();
    expect(() => errors.invariant(false, "offsets grow", { offset: 7 })).toThrow(
      expect.objectContaining({ name: "InvariantViolation", message: "offsets grow", fields: { offset: 7 } }),
    );
  });
});
