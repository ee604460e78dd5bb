import { describe, expect, it } from "vitest";
import { budgets, type Exception } from "../tidy/budgets.js";
import { found, treeOf } from "./tidy-fixtures.js";

const PATH = "engine/src/core/big.ts";
const lines = (n: number): string => "export {};\n".repeat(n);
/** A function of exactly `n` lines. */
const functionOf = (n: number): string => `function big(): void {\n${"  big();\n".repeat(n - 2)}}\n`;
const columns = (n: number): string => `const x = "${"y".repeat(n - 13)}";\n`;
const check = (text: string, exceptions: readonly Exception[] = []): readonly string[] =>
  found(budgets(exceptions), treeOf({ [PATH]: text }));

describe("size budgets", () => {
  it.each([
    ["a file of 400 lines", lines(400), []],
    ["a file of 401 lines", lines(401), [`${PATH}:0 file-lines`]],
    ["a last line without its end", `${lines(400)}export {};`, [`${PATH}:0 file-lines`]],
    ["a function of 70 lines", functionOf(70), []],
    ["a function of 71 lines", `\n${functionOf(71)}`, [`${PATH}:2 function-lines`]],
    ["an arrow function of 71 lines", `const f = () => {\n${"f();\n".repeat(69)}};\n`, [`${PATH}:1 function-lines`]],
    ["a method of 71 lines", `class C {\nm() {\n${"f();\n".repeat(69)}}\n}\n`, [`${PATH}:2 function-lines`]],
    ["a line of 120 columns", columns(120), []],
    ["a line of 121 columns", columns(121), [`${PATH}:1 line-columns`]],
    ["a long comment, which is not code", `// ${"word ".repeat(40)}\n`, []],
    ["a suite of 71 lines", `describe("x", () => {\n${"it();\n".repeat(69)}});\n`, []],
    ["a suite with parameters", `describe.each([1])("x", () => {\n${"it();\n".repeat(69)}});\n`, []],
    ["a contract suite", `function suite() {\ndescribe("x", () => {\n${"it();\n".repeat(99)}});\n}\n`, []],
    ["a test of 71 lines", `it("x", () => {\n${"f();\n".repeat(69)}});\n`, [`${PATH}:1 function-lines`]],
  ])("%s", (_name, text, expected) => {
    expect(check(text)).toEqual(expected);
  });

  const exception = (size: number): Exception => ({ budget: "file-lines", path: PATH, name: null, size, why: "old" });

  it("lets an exception stand at exactly its size", () => {
    expect(check(lines(450), [exception(450)])).toEqual([]);
  });
  it("refuses to let it grow", () => {
    expect(check(lines(451), [exception(450)])).toEqual([`${PATH}:0 file-lines`]);
  });
  it("demands that the number follows when it shrinks", () => {
    expect(check(lines(449), [exception(450)])).toEqual([`${PATH}:0 file-lines`]);
  });
  it("demands that an exception goes when it is no longer needed", () => {
    expect(check(lines(400), [exception(450)])).toEqual([`${PATH}:0 file-lines`]);
  });
  it("gives a function's exception to that function alone", () => {
    const text = functionOf(80) + functionOf(80).replace("function big", "function other");
    const one: Exception = { budget: "function-lines", path: PATH, name: "big", size: 80, why: "old" };
    expect(check(text, [one])).toEqual([`${PATH}:81 function-lines`]);
  });
});
