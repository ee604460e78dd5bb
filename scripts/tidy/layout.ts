/** Names of files, folders of the top level, and the comment at the head of a long file. */
import ts from "typescript";
import type { Problem, Tree } from "./tree.js";

const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*$/;
/** Names that say nothing about what is inside. */
const EMPTY_NAMES = /^(utils?|helpers?|managers?|misc|common|shared)\.(ts|mts|mjs)$/;
const HEAD_COMMENT_FROM_LINES = 100;

export function names(tree: Tree): readonly Problem[] {
  const problems: Problem[] = [];
  for (const { path, text } of tree.code) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (!KEBAB.test(name)) {
      problems.push({ rule: "names", path, line: 0, message: "file names are kebab-case" });
    }
    if (EMPTY_NAMES.test(name)) {
      problems.push({ rule: "names", path, line: 0, message: "name the file for the noun that lives in it" });
    }
    const lines = text.split("\n").length - 1;
    if (/\/src\//.test(path) && lines > HEAD_COMMENT_FROM_LINES && !hasHeadComment(text)) {
      const message = `a file over ${HEAD_COMMENT_FROM_LINES} lines opens with its job and invariants`;
      problems.push({ rule: "names", path, line: 1, message });
    }
  }
  return problems;
}

function hasHeadComment(text: string): boolean {
  return (ts.getLeadingCommentRanges(text, text.startsWith("#!") ? text.indexOf("\n") : 0) ?? []).length > 0;
}

const ARCHITECTURE = "docs/ARCHITECTURE.md";
/** "- `engine/` the engine", "| `engine/` | ..." or, in a code block, "engine/    the engine". */
const LISTED = /^[-|*\s]*`?([a-z][a-z0-9-]*)\/`?[\s|:]+\S/;

/** Each folder of the top level has its line in ARCHITECTURE.md, and each line its folder. */
export function folders(tree: Tree): readonly Problem[] {
  const architecture = tree.find(ARCHITECTURE);
  if (architecture === undefined) {
    return [{ rule: "folders", path: ARCHITECTURE, line: 0, message: "is missing; it lists the top-level folders" }];
  }
  const problems: Problem[] = [];
  const here = new Set<string>();
  for (const { path } of tree.files) {
    const slash = path.indexOf("/");
    if (slash > 0 && !path.startsWith(".")) here.add(path.slice(0, slash));
  }
  const listed = new Map<string, number>();
  for (const [line, folder] of listOf(architecture.text)) if (!listed.has(folder)) listed.set(folder, line);
  for (const folder of [...here].sort()) {
    if (listed.has(folder)) continue;
    const message = `the folder ${folder}/ has no line: say in one what it is for`;
    problems.push({ rule: "folders", path: ARCHITECTURE, line: 0, message });
  }
  for (const [folder, line] of listed) {
    if (here.has(folder)) continue;
    problems.push({ rule: "folders", path: ARCHITECTURE, line, message: `lists ${folder}/, which is not there` });
  }
  return problems;
}

/** The folders listed under the heading that has "folder" in it: [line, folder]. */
function listOf(text: string): readonly (readonly [line: number, folder: string])[] {
  const found: [number, string][] = [];
  let inside = false;
  for (const [i, line] of text.split("\n").entries()) {
    if (line.startsWith("#")) inside = /folder/i.test(line);
    const match = inside ? LISTED.exec(line) : null;
    if (match?.[1] !== undefined) found.push([i + 1, match[1]]);
  }
  return found;
}
