/**
 * Size budgets: lines of a file, lines of a function, columns of a line of code. An exception names its present size exactly:
 * when the thing shrinks, the number has to follow, so that it can never grow back.
 */
import ts from "typescript";
import { lineOf, walk, type Problem, type Tree } from "./tree.js";

export const BUDGETS = { "file-lines": 400, "function-lines": 70, "line-columns": 120 } as const;
export type Budget = keyof typeof BUDGETS;

export interface Exception {
  readonly budget: Budget;
  readonly path: string;
  /** The function's name; null for the other budgets. */
  readonly name: string | null;
  readonly size: number;
  readonly why: string;
}

interface Measured {
  readonly budget: Budget;
  readonly path: string;
  readonly name: string | null;
  readonly line: number;
  readonly size: number;
}

export const budgets =
  (exceptions: readonly Exception[]) =>
  (tree: Tree): readonly Problem[] => {
    const over = tree.code.flatMap((file) => measure(file.path, file.text, tree.parse(file)));
    const problems: Problem[] = [];
    const used = new Set<Exception>();
    for (const found of over) {
      const exception = exceptions.find((e) => same(e, found));
      if (exception !== undefined) used.add(exception);
      const message = judge(found, exception);
      if (message !== null) problems.push({ rule: found.budget, path: found.path, line: found.line, message });
    }
    for (const exception of exceptions) {
      if (used.has(exception)) continue;
      const message = `the exception${nameOf(exception)} is no longer needed: remove it from exceptions.json`;
      problems.push({ rule: exception.budget, path: exception.path, line: 0, message });
    }
    return problems;
  };

type Key = Pick<Exception, "budget" | "path" | "name">;
const same = (a: Key, b: Key): boolean => a.budget === b.budget && a.path === b.path && a.name === b.name;
const nameOf = ({ name }: { readonly name: string | null }): string => (name === null ? "" : ` for ${name}`);

function judge(found: Measured, exception: Exception | undefined): string | null {
  const unit = found.budget === "line-columns" ? "columns" : "lines";
  const size = `${found.size} ${unit}${nameOf(found)}`;
  if (exception === undefined) return `${size}, the budget is ${BUDGETS[found.budget]}`;
  if (found.size > exception.size) return `${size}, its exception allows ${exception.size}: exceptions only shrink`;
  if (found.size < exception.size) return `${size}: lower its exception from ${exception.size}, exceptions only shrink`;
  return null;
}

const COMMENT = /^\s*(\/\/|\/?\*)/;

/** Everything over budget; of the lines of one file, the longest. */
function measure(path: string, text: string, source: ts.SourceFile): readonly Measured[] {
  const over: Measured[] = [];
  const lines = text.split("\n");
  const fileLines = lines.at(-1) === "" ? lines.length - 1 : lines.length;
  if (fileLines > BUDGETS["file-lines"]) {
    over.push({ budget: "file-lines", path, name: null, line: 0, size: fileLines });
  }
  let longest = { line: 0, size: 0 };
  for (const [i, line] of lines.entries()) {
    if (line.length > longest.size && !COMMENT.test(line)) longest = { line: i + 1, size: line.length };
  }
  if (longest.size > BUDGETS["line-columns"]) {
    over.push({ budget: "line-columns", path, name: null, ...longest });
  }
  walk(source, (node) => {
    if (!ts.isFunctionLike(node) || isSuite(node)) return;
    const line = lineOf(node);
    const size = source.getLineAndCharacterOfPosition(node.end).line + 1 - line + 1;
    if (size > BUDGETS["function-lines"]) {
      over.push({ budget: "function-lines", path, name: functionName(node), line, size });
    }
  });
  return over;
}

/**
 * A list of tests is not a function to keep in one's head: the callback of `describe(...)`, and a contract suite, which
 * is a function that calls `describe(...)`.
 */
function isSuite(node: ts.SignatureDeclaration): boolean {
  if (ts.isCallExpression(node.parent)) return isDescribe(node.parent);
  const body = "body" in node ? node.body : undefined;
  if (body === undefined || !ts.isBlock(body)) return false;
  return body.statements.some((s) => ts.isExpressionStatement(s) && isDescribe(s.expression));
}

function isDescribe(call: ts.Expression): boolean {
  let callee = call;
  while (ts.isCallExpression(callee) || ts.isPropertyAccessExpression(callee)) callee = callee.expression;
  return ts.isIdentifier(callee) && callee.text === "describe";
}

function functionName(node: ts.SignatureDeclaration): string {
  if (node.name !== undefined) return node.name.getText();
  const { parent } = node;
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)) return parent.name.getText();
  if (ts.isConstructorDeclaration(node)) return "constructor";
  return "(anonymous)";
}
