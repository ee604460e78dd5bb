/**
 * Invariant P7: the letter of a key kind is never reused, only retired. state/kinds.lock is the register: every letter
 * that keys.ts writes is in it, and no line that was ever committed may change or go.
 */
import ts from "typescript";
import { lineOf, walk, type Problem, type Tree } from "./tree.js";

const KEYS = "engine/src/core/state/keys.ts";
const LOCK = "engine/src/core/state/kinds.lock";
const RULE = "kinds";

interface LockLine {
  readonly line: number;
  readonly letter: string;
  readonly name: string;
}

export function kinds(tree: Tree): readonly Problem[] {
  const keys = tree.find(KEYS);
  const lock = tree.find(LOCK);
  if (keys === undefined || lock === undefined) {
    const path = keys === undefined ? KEYS : LOCK;
    return [{ rule: RULE, path, line: 0, message: "is missing: key kinds cannot be checked" }];
  }
  const problems: Problem[] = [];
  const locked = new Map<string, string>();
  for (const { line, letter, name } of readLock(lock.text)) {
    if (!/^[a-z]$/.test(letter) || name === "") {
      problems.push({ rule: RULE, path: LOCK, line, message: "a line is a letter and a name" });
    } else if (locked.has(letter)) {
      const message = `letter ${letter} stands for ${locked.get(letter)} already: letters are never reused`;
      problems.push({ rule: RULE, path: LOCK, line, message });
    } else locked.set(letter, name);
  }
  for (const { letter, name, line } of lettersIn(tree.parse(keys))) {
    const registered = locked.get(letter);
    if (registered === undefined) {
      problems.push({ rule: RULE, path: KEYS, line, message: `letter ${letter} is not in kinds.lock` });
    } else if (name !== null && registered !== name) {
      const message = `letter ${letter} is ${name} here and ${registered} in kinds.lock`;
      problems.push({ rule: RULE, path: KEYS, line, message });
    }
  }
  return [...problems, ...rewritten(tree, locked)];
}

function rewritten(tree: Tree, locked: ReadonlyMap<string, string>): readonly Problem[] {
  const lost = new Map<string, string>();
  for (const earlier of tree.history(LOCK)) {
    for (const { letter, name } of readLock(earlier)) if (locked.get(letter) !== name) lost.set(letter, name);
  }
  return [...lost].map(([letter, name]) => {
    const message = `"${letter} ${name}" was committed once and is gone: retire a letter by leaving its line`;
    return { rule: RULE, path: LOCK, line: 0, message };
  });
}

function readLock(text: string): readonly LockLine[] {
  const lines: LockLine[] = [];
  for (const [i, raw] of text.split("\n").entries()) {
    const content = raw.trim();
    if (content === "" || content.startsWith("#")) continue;
    const [letter = "", name = ""] = content.split(/\s+/);
    lines.push({ line: i + 1, letter, name });
  }
  return lines;
}

interface Letter {
  readonly letter: string;
  /** Known for the table of row kinds; null where the letter stands in a template. */
  readonly name: string | null;
  readonly line: number;
}

/** The table KIND_LETTERS, META_KEY, and every string that begins with a letter and a bar. */
function lettersIn(source: ts.SourceFile): readonly Letter[] {
  const found: Letter[] = [];
  walk(source, (node) => {
    if (ts.isVariableDeclaration(node) && node.name.getText() === "KIND_LETTERS") {
      walk(node, (part) => {
        if (ts.isPropertyAssignment(part) && ts.isStringLiteral(part.initializer)) {
          found.push({ letter: part.initializer.text, name: part.name.getText(), line: lineOf(part) });
        }
      });
    } else if (ts.isVariableDeclaration(node) && node.name.getText() === "META_KEY") {
      if (node.initializer !== undefined && ts.isStringLiteral(node.initializer)) {
        found.push({ letter: node.initializer.text, name: "meta", line: lineOf(node) });
      }
    } else if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node)) {
      const match = /^([a-z])\|/.exec(node.text);
      if (match?.[1] !== undefined) found.push({ letter: match[1], name: null, line: lineOf(node) });
    }
  });
  return found;
}
