/** `npm run gen` writes the generated files; with --check it writes nothing and fails when one is not up to date. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { drift } from "./drift.js";
import { jsonSchemas } from "./json-schemas.js";

const root = join(import.meta.dirname, "../..");
/** Generated folders: everything in them is written here. */
const folders: ReadonlyMap<string, () => ReadonlyMap<string, string>> = new Map([["schemas/gen", jsonSchemas]]);

let problems = 0;
for (const [folder, generate] of folders) {
  const wanted = generate();
  const path = join(root, folder);
  const present = new Map<string, string>();
  for (const name of existsSync(path) ? readdirSync(path) : [])
    present.set(name, readFileSync(join(path, name), "utf8"));
  if (process.argv.includes("--check")) {
    for (const problem of drift(wanted, present)) {
      console.log(`${folder}/${problem}; run: npm run gen`);
      problems += 1;
    }
    continue;
  }
  mkdirSync(path, { recursive: true });
  for (const name of present.keys()) if (!wanted.has(name)) rmSync(join(path, name));
  for (const [name, text] of wanted) if (present.get(name) !== text) writeFileSync(join(path, name), text);
  console.log(`${folder}: ${wanted.size} files`);
}
process.exitCode = problems === 0 ? 0 : 1;
