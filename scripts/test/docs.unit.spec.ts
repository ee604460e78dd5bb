import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { blocksOf, linksOf, npmScriptsOf } from "../docs/markdown.js";
import { snippetErrors, type Document } from "../docs/snippets.js";

const root = join(import.meta.dirname, "../..");

/** Files of the repository whose names end so. */
function filesNamed(ending: string, folder = root): Document[] {
  const found: Document[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    const isOurs = !entry.name.startsWith(".") && !["node_modules", "dist", "coverage"].includes(entry.name);
    if (entry.isDirectory() && isOurs) found.push(...filesNamed(ending, path));
    else if (entry.name.endsWith(ending)) found.push({ path: relative(root, path), text: readFileSync(path, "utf8") });
  }
  return found;
}
const ALL = filesNamed(".md");

describe("the documents", () => {
  it("are found", () => {
    expect(ALL.map(({ path }) => path)).toEqual(expect.arrayContaining(["README.md", "docs/ARCHITECTURE.md"]));
  });

  it("have TypeScript that compiles", () => {
    expect(snippetErrors(root, ALL)).toEqual([]);
  });

  it.each(ALL)("$path links to files that exist", ({ path, text }) => {
    const broken = linksOf(text).filter(({ target }) => !existsSync(join(root, dirname(path), target)));
    expect(broken).toEqual([]);
  });

  it.each(ALL)("$path names npm scripts that exist", ({ text }) => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: object };
    expect(npmScriptsOf(text).filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  });
});

describe("the promises of the README", () => {
  const README = ALL.find(({ path }) => path === "README.md")?.text ?? "";
  const promises = [...README.matchAll(/^\| (G\d+) \|/gm)].map(([, promise = ""]) => promise);
  /** Titles of tests and suites. */
  const titles = filesNamed(".spec.ts")
    .filter(({ path }) => !path.startsWith("scripts/"))
    .flatMap(({ text }) => [...text.matchAll(/\b(?:it|test|describe)\b[^"'`]*["'`]([^"'`]*)/g)])
    .map(([, title = ""]) => title);

  it("are eleven", () => {
    expect(promises).toEqual(Array.from({ length: 11 }, (_, i) => `G${i + 1}`));
  });
  it.each(promises)("%s is named by a test", (promise) => {
    expect(titles.filter((title) => new RegExp(`\\b${promise}\\b`).test(title))).not.toEqual([]);
  });
});

const fence = "```";
const doc = (...lines: string[]): string => lines.join("\n");

describe("the check of documents", () => {
  it("says in which line of the document a snippet does not compile", () => {
    const good =
      'import { Eddy } from "@eddy/sdk";\nconst eddy = new Eddy({ id: "a" });\nawait eddy.send({ name: "x" });';
    const text = doc("# A", `${fence}ts`, good, fence, "", `${fence}ts`, "const a = 1;", "const b: string = a;", fence);
    expect(snippetErrors(root, [{ path: "a.md", text }])).toEqual([
      "a.md:10 Type 'number' is not assignable to type 'string'.",
    ]);
  });

  it("sees a wrong use of our own API", () => {
    const text = doc(`${fence}ts`, 'import { Eddy } from "@eddy/sdk";', "new Eddy({ name: 1 });", fence);
    expect(snippetErrors(root, [{ path: "a.md", text }])).toEqual([expect.stringMatching(/^a\.md:3 /)]);
  });

  it("lets a block import a named one, of the same document only", () => {
    const named = doc(`${fence}ts file=client.ts`, "export const x = 1;", fence);
    const use = doc(`${fence}ts`, 'import { x } from "./client.js";', "export const y: number = x;", fence);
    expect(snippetErrors(root, [{ path: "a.md", text: `${named}\n${use}` }])).toEqual([]);
    const apart = snippetErrors(root, [
      { path: "a.md", text: named },
      { path: "b.md", text: use },
    ]);
    expect(apart).toEqual([expect.stringContaining("b.md:2 Cannot find module")]);
  });

  it("lets a block continue the one before, and still knows the line", () => {
    const first = doc(`${fence}ts`, "const a = 1;", fence, "", `${fence}sh`, "ls", fence, "");
    const next = doc(`${fence}ts continues`, "const b: number = a;", "const c: string = a;", fence);
    expect(snippetErrors(root, [{ path: "a.md", text: `${first}\n${next}` }])).toEqual([
      "a.md:11 Type 'number' is not assignable to type 'string'.",
    ]);
  });

  it("says when a snippet is no TypeScript at all", () => {
    const text = doc(`${fence}ts`, "const = ;", fence);
    expect(snippetErrors(root, [{ path: "a.md", text }])[0]).toMatch(/^a\.md:2 /);
  });

  it("reads fences as Markdown has them", () => {
    const text = doc(
      "~~~sh run",
      "a",
      "~~~",
      "  ```ts",
      "  const a = 1;",
      "    b();",
      "  ```",
      "````md",
      "```ts",
      "````",
    );
    expect(blocksOf(text).map(({ language, code, line }) => [language, code, line])).toEqual([
      ["sh", "a", 2],
      ["ts", "const a = 1;\n  b();", 5],
      ["md", "```ts", 9],
    ]);
    expect(blocksOf(text)[0]?.options.has("run")).toBe(true);
  });

  it("finds relative links outside of code", () => {
    const text = doc(
      "[a](b.md#c) [d](#e) [f](https://g.example/h) `[i](j.md)`",
      fence,
      "[k](l.md)",
      fence,
      "[m](../n)",
    );
    expect(linksOf(text)).toEqual([
      { target: "b.md", line: 1 },
      { target: "../n", line: 5 },
    ]);
  });

  it("finds npm scripts", () => {
    expect(npmScriptsOf("`npm run sim -- 42`, npm run -s bench:codec; npm start, npm run sim")).toEqual([
      "sim",
      "bench:codec",
      "start",
    ]);
  });
});
