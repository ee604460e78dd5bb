/** `npm run docs:api` writes docs/api/ from the docstrings of the SDK. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { apiDocs, API_FOLDER, pagesIn } from "./api.js";

const root = join(import.meta.dirname, "../..");
const folder = join(root, API_FOLDER);
const { pages, problems } = await apiDocs(root);
for (const problem of problems) console.error(problem);
if (problems.length > 0) {
  process.exitCode = 1;
} else {
  mkdirSync(folder, { recursive: true });
  for (const name of pagesIn(folder).keys()) if (!pages.has(name)) rmSync(join(folder, name));
  for (const [name, text] of pages) writeFileSync(join(folder, name), text);
  console.log(`${API_FOLDER}: ${pages.size} pages`);
}
