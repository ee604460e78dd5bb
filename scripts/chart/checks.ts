/** What is checked of the chart: each check is one line of the report, and says what is wrong where something is. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { engineProblems, type Manifest } from "./engine-takes.js";
import { ROOT, type Outcome, type Tools } from "./tools.js";
import { valuesSchema } from "./values-schema.js";

const CHART = "charts/eddy";
const SCHEMAS = "scripts/chart/schemas";
const KUBERNETES = readdirSync(join(ROOT, SCHEMAS)).filter((name) => name.startsWith("v"));
const TEMPLATE_NAME = "{{.ResourceKind}}{{.KindSuffix}}.json";
/** Helm that was built from its module has no idea of a cluster's version. */
const kubeVersion = (version: string): readonly string[] => ["--kube-version", `${version.slice(1)}.0`];

export interface Check {
  readonly name: string;
  /** What is wrong; empty: nothing. */
  readonly run: () => readonly string[];
}

export function checksOf(tools: Tools): readonly Check[] {
  const files = readdirSync(join(ROOT, CHART, "ci")).filter((name) => name.endsWith("-values.yaml"));
  return [
    ...files.map((file) => lint(tools, file)),
    ...files.flatMap((file) => KUBERNETES.map((version) => validate(tools, file, version))),
    ...files.map((file) => taken(tools, file)),
    { name: "files of dashboards and rules are in the chart", run: () => filesAreIn(tools) },
    { name: `${CHART}/README.md is what helm-docs writes`, run: () => readme(tools) },
    { name: `${CHART}/values.schema.json is what the engine's configuration gives`, run: schema },
  ];
}

function lint(tools: Tools, file: string): Check {
  const args = ["lint", "--strict", CHART, "-f", `${CHART}/ci/${file}`, ...kubeVersion(KUBERNETES[0] ?? "")];
  return { name: `helm lint --strict: ${file}`, run: () => problemsOf(tools.run("helm", args)) };
}

function render(tools: Tools, file: string, version: string): Outcome {
  const args = ["template", "rel", CHART, "-n", "prod", "-f", `${CHART}/ci/${file}`, ...kubeVersion(version)];
  return tools.run("helm", args);
}

function validate(tools: Tools, file: string, version: string): Check {
  const run = (): readonly string[] => {
    const rendered = render(tools, file, version);
    if (rendered.code !== 0) return problemsOf(rendered);
    const folders = [version, "crds"].map((folder) => `${SCHEMAS}/${folder}/${TEMPLATE_NAME}`);
    const args = ["-strict", "-verbose", ...folders.flatMap((folder) => ["-schema-location", folder]), "-"];
    const validated = tools.run("kubeconform", args, rendered.stdout);
    const checked = validated.stdout.split("\n").filter((line) => line.endsWith(" is valid")).length;
    if (validated.code === 0 && checked !== manifests(rendered.stdout).length) {
      return [`kubeconform looked at ${checked} of ${manifests(rendered.stdout).length} manifests`];
    }
    return problemsOf(validated).filter((line) => !line.endsWith(" is valid"));
  };
  return { name: `kubeconform, Kubernetes ${version}: ${file}`, run };
}

function taken(tools: Tools, file: string): Check {
  const run = (): readonly string[] => {
    const rendered = render(tools, file, KUBERNETES[0] ?? "");
    return rendered.code === 0 ? engineProblems(manifests(rendered.stdout)) : problemsOf(rendered);
  };
  return { name: `the engine takes its configuration: ${file}`, run };
}

const manifests = (text: string): readonly Manifest[] =>
  parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);

/** To the letter: neither Helm's templates nor YAML may change a query. */
function filesAreIn(tools: Tools): readonly string[] {
  const rendered = render(tools, "everything-values.yaml", KUBERNETES[0] ?? "");
  if (rendered.code !== 0) return problemsOf(rendered);
  const made = manifests(rendered.stdout);
  const shown = new Map(made.flatMap(({ kind, data }) => (kind === "ConfigMap" ? Object.entries(data ?? {}) : [])));
  const problems = filesOf("dashboards", ".json")
    .filter(({ name, text }) => shown.get(name) !== text)
    .map(({ name }) => `${name} is not in a ConfigMap as it stands in the file`);
  const wanted = filesOf("rules", ".yaml").flatMap(({ text }) => (parse(text) as { groups: unknown[] }).groups);
  const [rule] = made.filter(({ kind }) => kind === "PrometheusRule");
  if (JSON.stringify(sorted(rule?.spec?.groups ?? [])) !== JSON.stringify(sorted(wanted))) {
    problems.push("the PrometheusRule does not have the groups of the files");
  }
  return problems;
}

function filesOf(folder: string, end: string): readonly { readonly name: string; readonly text: string }[] {
  const path = join(ROOT, CHART, "files", folder);
  const names = existsSync(path) ? readdirSync(path).filter((name) => name.endsWith(end)) : [];
  return names.map((name) => ({ name, text: readFileSync(join(path, name), "utf8") }));
}

/** Keys in order: Helm sorts them. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}

function readme(tools: Tools): readonly string[] {
  const written = tools.run("helm-docs", ["--chart-search-root", CHART, "--dry-run", "--log-level", "warning"]);
  if (written.code !== 0) return problemsOf(written);
  const present = readFileSync(join(ROOT, CHART, "README.md"), "utf8");
  return written.stdout.trim() === present.trim() ? [] : ["it is not; run: npm run chart:docs"];
}

function schema(): readonly string[] {
  const stale = [...valuesSchema()].filter(([name, text]) => readFileSync(join(ROOT, CHART, name), "utf8") !== text);
  return stale.map(([name]) => `${name} is not; run: npm run gen`);
}

function problemsOf({ code, stdout, stderr }: Outcome): readonly string[] {
  if (code === 0) return [];
  const lines = `${stdout}\n${stderr}`.split("\n").filter((line) => line.trim() !== "");
  return lines.length > 0 ? lines : [`it ended with ${code}`];
}
