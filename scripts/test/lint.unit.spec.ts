import { join } from "node:path";
import { ESLint } from "eslint";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const eslint = new ESLint({
  cwd: root,
  // Where CI is set, the parser would take a file's text from the disk instead of from here.
  overrideConfig: { languageOptions: { parserOptions: { disallowAutomaticSingleRunInference: true } } },
});

/** The rules that `code` breaks when it stands in `path`, which must be a file that exists. */
async function broken(path: string, code: string): Promise<readonly string[]> {
  const [result] = await eslint.lintText(code, { filePath: join(root, path) });
  return [...new Set(result?.messages.map(({ ruleId, message }) => ruleId ?? message))].sort();
}

const CORE = "engine/src/core/decision.ts";
const TASK = "clients/src/ports/clock.ts";

describe("lint, P1: the core has no I/O, clock, randomness or await", () => {
  it.each([
    ["the wall clock", "export const f = (): number => Date.now();", "no-restricted-globals"],
    ["a date", "export const f = (): unknown => new Date();", "no-restricted-globals"],
    ["a timer", "export const f = (): unknown => setTimeout(() => undefined, 1);", "no-restricted-globals"],
    ["a microtask", "queueMicrotask(() => undefined);", "no-restricted-globals"],
    ["a fine clock", "export const f = (): number => performance.now();", "no-restricted-globals"],
    ["chance", "export const f = (): number => Math.random();", "no-restricted-properties"],
    ["the environment", "export const f = (): unknown => process.pid;", "no-restricted-globals"],
    ["a side door", "export const f = (): unknown => globalThis;", "no-restricted-globals"],
    ["output", 'console.log("x");', "no-restricted-globals"],
    ["files", 'import "node:fs";', "no-restricted-imports"],
    ["async", "export async function f(): Promise<void> {}", "no-restricted-syntax"],
    ["an async arrow", "export const f = async (): Promise<void> => undefined;", "no-restricted-syntax"],
    ["a promise", "export const f = (): unknown => new Promise(() => undefined);", "no-restricted-syntax"],
    ["a late import", 'export const f = (): unknown => import("./inputs.js");', "no-restricted-syntax"],
    ["the locale", 'export const f = (): number => "a".localeCompare("b");', "no-restricted-properties"],
  ])("refuses %s", async (_name, code, rule) => {
    expect(await broken(CORE, code)).toContain(rule);
  });

  it("allows arithmetic", async () => {
    expect(await broken(CORE, "export const f = (x: number): number => Math.max(x, 1);\n")).toEqual([]);
  });
});

describe("lint, everywhere", () => {
  it.each([
    ["a floating promise", "void 0;\nPromise.resolve(1);", "@typescript-eslint/no-floating-promises"],
    ["any", "export const x: any = 1;", "@typescript-eslint/no-explicit-any"],
    ["an unhandled kind", unhandledKind(), "@typescript-eslint/switch-exhaustiveness-check"],
    ["a swallowed error", "try { f(); } catch {}\nfunction f(): void { return; }", "no-empty"],
    ["an environment variable", "export const x = process.env;", "no-restricted-syntax"],
  ])("refuses %s", async (_name, code, rule) => {
    expect(await broken(TASK, code)).toContain(rule);
  });
});

function unhandledKind(): string {
  return 'export function f(k: "a" | "b"): number { switch (k) { case "a": return 1; } return 0; }';
}
