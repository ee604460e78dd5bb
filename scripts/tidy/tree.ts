/**
 * What the rules look at: the text files of the repository, parsed once. Rules are functions from a tree to problems,
 * so that tests give them small made-up trees.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

export interface Problem {
  readonly rule: string;
  /** Relative to the repository, with forward slashes. */
  readonly path: string;
  /** Counts from 1; 0 where the problem is the file as a whole. */
  readonly line: number;
  readonly message: string;
}

export type Rule = (tree: Tree) => readonly Problem[];

export interface TextFile {
  readonly path: string;
  readonly text: string;
}

export class Tree {
  readonly files: readonly TextFile[];
  /** Earlier texts of a file, newest first; empty where none are known. */
  readonly history: (path: string) => readonly string[];
  readonly #parsed = new Map<string, ts.SourceFile>();

  constructor(files: readonly TextFile[], history: (path: string) => readonly string[] = () => []) {
    this.files = files;
    this.history = history;
  }

  find(path: string): TextFile | undefined {
    return this.files.find((file) => file.path === path);
  }

  /** TypeScript and module JavaScript. */
  get code(): readonly TextFile[] {
    return this.files.filter(({ path }) => /\.(ts|mts|mjs)$/.test(path));
  }

  parse(file: TextFile): ts.SourceFile {
    let parsed = this.#parsed.get(file.path);
    if (parsed === undefined) {
      parsed = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true);
      this.#parsed.set(file.path, parsed);
    }
    return parsed;
  }
}

/** Line of a node's first character that is not comment or space, counted from 1. */
export function lineOf(node: ts.Node): number {
  const source = node.getSourceFile();
  return source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
}

export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => {
    walk(child, visit);
  });
}

/** Folders that hold no source of ours. */
const NOT_OURS = new Set(["node_modules", "dist", ".git", ".cache", ".eddy", "coverage"]);
const TEXT = /(\.(ts|mts|mjs|js|json|md|yaml|yml|lock|html|css|sh|txt|tpl)|^[^.]+|^\.[a-z]+(ignore|rc)?)$/;

function listFiles(root: string, folder: string, into: string[]): void {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      if (!NOT_OURS.has(entry.name)) listFiles(root, path, into);
    } else if (entry.isFile() && TEXT.test(entry.name) && !entry.name.endsWith(".tsbuildinfo")) into.push(path);
  }
}

function gitHistory(root: string): (path: string) => readonly string[] {
  const git = (...args: string[]): string =>
    execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  return (path) => {
    let commits: string[];
    try {
      commits = git("log", "--format=%H", "--diff-filter=AM", "--", path)
        .split("\n")
        .filter((line) => line !== "");
    } catch {
      return []; // An unpacked archive has no history to compare with.
    }
    return commits.map((commit) => git("show", `${commit}:${path}`));
  };
}

export function readTree(root: string): Tree {
  const paths: string[] = [];
  listFiles(root, "", paths);
  paths.sort();
  return new Tree(
    paths.map((path) => ({ path, text: readFileSync(join(root, path), "utf8") })),
    gitHistory(root),
  );
}
