/** What must not stand in a file: unfinished business, switched-off tests, and traces of one person's machine. */
import ts from "typescript";
import { lineOf, walk, type Problem, type TextFile, type Tree } from "./tree.js";

interface Pattern {
  readonly rule: string;
  readonly pattern: RegExp;
  readonly message: string;
}

const OPEN_BUSINESS: readonly Pattern[] = [
  {
    rule: "unfinished",
    pattern: /\b(FIXME|XXX)\b/,
    message: "finish it, or open an issue and write TODO(#n)",
  },
  { rule: "unfinished", pattern: /\bTODO\b(?!\(#\d+\))/, message: "write TODO(#n), with the issue's number" },
];

const MACHINE: readonly Pattern[] = [
  {
    rule: "machine-path",
    pattern: /(?<![\w.])\/(home|Users|root|work|farm|private|mnt)\/[\w.-]+/,
    message: "a path of one machine",
  },
  { rule: "machine-path", pattern: /\b[A-Z]:\\(Users|Documents)/, message: "a path of one machine" },
  {
    rule: "machine-path",
    pattern: /"resolved": "(?!https:\/\/registry\.npmjs\.org\/|[\w.@/-]+")/,
    message: "the lock file may name the public registry alone",
  },
];

const DIRECTIVES: readonly Pattern[] = [
  {
    rule: "directive",
    pattern: /eslint-disable(?!.*-- \S)/,
    message: "say why: `eslint-disable-next-line <rule> -- <reason>`",
  },
  { rule: "directive", pattern: /@ts-(ignore|nocheck)/, message: "use @ts-expect-error with a reason" },
];

const SWITCHED_OFF = new Set(["skip", "only", "todo", "skipIf", "runIf", "fails"]);
const TEST_FUNCTIONS = new Set(["it", "test", "describe", "suite", "bench"]);

/** These files name the words that they look for. */
const OWN = /^scripts\/(tidy\/|test\/tidy)/;

export function words(tree: Tree): readonly Problem[] {
  const problems: Problem[] = [];
  for (const file of tree.files) {
    if (OWN.test(file.path)) continue;
    const isCode = /\.(ts|mts|mjs)$/.test(file.path);
    const patterns = [...OPEN_BUSINESS, ...MACHINE, ...(isCode ? DIRECTIVES : [])];
    problems.push(...scan(file, patterns));
  }
  for (const file of tree.code) {
    const isTest = /\.spec\.ts$|\/test\//.test(file.path);
    walk(tree.parse(file), (node) => {
      const message = ts.isDebuggerStatement(node) ? "a debugger statement" : isTest ? switchedOff(node) : null;
      if (message !== null) problems.push({ rule: "unfinished", path: file.path, line: lineOf(node), message });
    });
  }
  return problems;
}

function scan(file: TextFile, patterns: readonly Pattern[]): readonly Problem[] {
  const problems: Problem[] = [];
  for (const [i, line] of file.text.split("\n").entries()) {
    for (const { rule, pattern, message } of patterns) {
      const match = pattern.exec(line);
      if (match === null) continue;
      problems.push({ rule, path: file.path, line: i + 1, message: `${match[0].trim()}: ${message}` });
    }
  }
  return problems;
}

/** `it.skip`, `describe.only`, ... : a test runs or is deleted. */
function switchedOff(node: ts.Node): string | null {
  if (!ts.isPropertyAccessExpression(node) || !SWITCHED_OFF.has(node.name.text)) return null;
  let callee: ts.Expression = node.expression;
  while (ts.isPropertyAccessExpression(callee)) callee = callee.expression;
  if (!ts.isIdentifier(callee) || !TEST_FUNCTIONS.has(callee.text)) return null;
  return `${node.getText()}: a test runs, or it is deleted`;
}
