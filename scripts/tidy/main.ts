/** `npm run tidy`: the rules of layout and size that neither the compiler nor the linter knows. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { arrows } from "./arrows.js";
import { budgets, type Exception } from "./budgets.js";
import { kinds } from "./kinds.js";
import { folders, names } from "./layout.js";
import { packages } from "./packages.js";
import { readTree, type Rule } from "./tree.js";
import { words } from "./words.js";

const root = join(import.meta.dirname, "../..");
const exceptions = JSON.parse(readFileSync(join(import.meta.dirname, "exceptions.json"), "utf8")) as Exception[];
const rules: readonly Rule[] = [arrows, budgets(exceptions), folders, kinds, names, packages, words];

const tree = readTree(root);
const problems = rules.flatMap((rule) => rule(tree));
problems.sort((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1));
for (const { rule, path, line, message } of problems) {
  console.log(`${path}${line > 0 ? `:${line}` : ""}  ${message}  [${rule}]`);
}
console.log(
  problems.length === 0 ? `tidy: ${tree.files.length} files, nothing to say` : `tidy: ${problems.length} problems`,
);
process.exitCode = problems.length === 0 ? 0 : 1;
