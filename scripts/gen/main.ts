/** `npm run gen` writes the generated files; with --check it writes nothing and fails when one is not up to date. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { valuesSchema } from "../chart/values-schema.js";
import { dashboardFiles } from "../monitoring/dashboards.js";
import { cliPage } from "./cli-page.js";
import { drift } from "./drift.js";
import { errorIndex } from "./error-index.js";
import { jsonSchemas } from "./json-schemas.js";
import { metricsPage } from "./metrics-page.js";

interface Output {
  readonly folder: string;
  /** Which files of the folder are generated; others in it are left alone. */
  readonly owns: (name: string) => boolean;
  /** @returns file name to text. */
  readonly generate: () => ReadonlyMap<string, string>;
}

const OUTPUTS: readonly Output[] = [
  { folder: "schemas/gen", owns: () => true, generate: jsonSchemas },
  { folder: "docs/errors", owns: (name) => name === "README.md", generate: errorIndex },
  { folder: "docs/operate", owns: (name) => name === "cli.md", generate: cliPage },
  { folder: "charts/eddy", owns: (name) => name === "values.schema.json", generate: valuesSchema },
  { folder: "docs/operate", owns: (name) => name === "metrics.md", generate: metricsPage },
  { folder: "charts/eddy/files/dashboards", owns: () => true, generate: dashboardFiles },
];

const root = join(import.meta.dirname, "../..");
const check = process.argv.includes("--check");

let problems = 0;
for (const { folder, owns, generate } of OUTPUTS) {
  const wanted = generate();
  const path = join(root, folder);
  const present = new Map<string, string>();
  for (const name of existsSync(path) ? readdirSync(path).filter(owns) : []) {
    present.set(name, readFileSync(join(path, name), "utf8"));
  }
  for (const problem of check ? drift(wanted, present) : []) {
    console.log(`${folder}/${problem}; run: npm run gen`);
    problems += 1;
  }
  if (check) continue;
  mkdirSync(path, { recursive: true });
  for (const name of present.keys()) if (!wanted.has(name)) rmSync(join(path, name));
  for (const [name, text] of wanted) if (present.get(name) !== text) writeFileSync(join(path, name), text);
  console.log(`${folder}: ${wanted.size} files`);
}
process.exitCode = problems === 0 ? 0 : 1;
