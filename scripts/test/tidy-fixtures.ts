import { Tree, type Problem, type Rule } from "../tidy/tree.js";

/** A tree of made-up files: path to text. */
export function treeOf(
  files: Readonly<Record<string, string>>,
  history: Readonly<Record<string, string[]>> = {},
): Tree {
  return new Tree(
    Object.entries(files).map(([path, text]) => ({ path, text })),
    (path) => history[path] ?? [],
  );
}

/** The problems of one rule as "path:line rule". */
export function found(rule: Rule, tree: Tree): readonly string[] {
  return rule(tree).map(({ path, line, rule: name }: Problem) => `${path}:${line} ${name}`);
}
