import { describe, expect, it } from "vitest";
import { words } from "../tidy/words.js";
import { found, treeOf } from "./tidy-fixtures.js";

const check = (text: string, path = "engine/src/core/a.ts"): readonly string[] =>
  found(words, treeOf({ [path]: text }));

describe("words that must not stand in a file", () => {
  it.each([
    ["// FIXME later", "unfinished"],
    ["// XXX", "unfinished"],
    ["// TODO: later", "unfinished"],
    ["// TODO(someone)", "unfinished"],
    ["debugger;", "unfinished"],
    ["if (x) { debugger }", "unfinished"],
    ['const p = "/home/kim/eddy";', "machine-path"],
    ["// see /Users/kim/notes.md", "machine-path"],
    ["// eslint-disable-next-line no-eval", "directive"],
    ["/* eslint-disable */", "directive"],
    ["// @ts-ignore", "directive"],
  ])("refuses %s", (text, rule) => {
    expect(check(text)).toEqual([`engine/src/core/a.ts:1 ${rule}`]);
  });

  it.each([
    ["// TODO(#12): retire with the next codec version"],
    ["const todo = 1;"],
    ['const debuggerText = "debugger";'],
    ["// eslint-disable-next-line no-eval -- the fixture is made of it"],
    ["// served at https://example.com/home/page and from ./work/dir"],
  ])("allows %s", (text) => {
    expect(check(text)).toEqual([]);
  });

  it.each([
    ["docs/guide.md", "Then run `cd /work/main`."],
    [".ci/run", "cd /root/eddy"],
    ["package-lock.json", '      "resolved": "https://registry.example.com/ms/-/ms-2.1.3.tgz",'],
  ])("looks into %s too", (path, text) => {
    expect(check(text, path)).toEqual([`${path}:1 machine-path`]);
  });

  it("lets the lock file name the public registry and workspaces", () => {
    const text = '  "resolved": "https://registry.npmjs.org/ms/-/ms-2.1.3.tgz",\n  "resolved": "engine",\n';
    expect(check(text, "package-lock.json")).toEqual([]);
  });

  it.each([
    "it.skip",
    "it.only",
    "describe.skip",
    "describe.only",
    "test.todo",
    "it.skipIf(true)",
    "it.concurrent.only",
  ])("refuses a switched-off test: %s", (call) => {
    expect(check(`${call}("x", () => {});`, "engine/test/a.unit.spec.ts")).toHaveLength(1);
  });

  it("does not take an iterator's skip for a test's", () => {
    expect(check("rows.skip(3);", "engine/test/a.unit.spec.ts")).toEqual([]);
  });
});
