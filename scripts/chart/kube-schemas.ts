/**
 * `npm run chart:schemas`: writes scripts/chart/schemas, the JSON schemas by which kubeconform checks what the chart makes.
 * Kubernetes' come from the OpenAPI document in its Go module, others' from their CRDs. Only the kinds that the chart
 * makes are there, without descriptions; a key that a kind does not have is refused, as by `kubectl --validate=strict`.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

type Json = Record<string, unknown>;
type Schemas = Readonly<Record<string, Json>>;

/** The oldest that Chart.yaml allows a maintained patch of, and the newest. */
const KUBERNETES = ["v1.31.14", "v1.37.2"] as const;
const KINDS: readonly string[] = [
  "io.k8s.api.core.v1.ConfigMap",
  "io.k8s.api.core.v1.Pod",
  "io.k8s.api.core.v1.Secret",
  "io.k8s.api.core.v1.Service",
  "io.k8s.api.core.v1.ServiceAccount",
  "io.k8s.api.apps.v1.Deployment",
  "io.k8s.api.apps.v1.StatefulSet",
  "io.k8s.api.batch.v1.Job",
  "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
  "io.k8s.api.networking.v1.Ingress",
  "io.k8s.api.networking.v1.NetworkPolicy",
  "io.k8s.api.policy.v1.PodDisruptionBudget",
];
const MONITORING = "github.com/prometheus-operator/prometheus-operator@v0.85.0";
const MONITORING_CRDS = "example/prometheus-operator-crd/monitoring.coreos.com_";
const KEDA = "github.com/kedacore/keda/v2@v2.21.0";
const GATEWAY = "sigs.k8s.io/gateway-api@v1.6.3";
/** Module and file of each CRD; the version that the chart uses. */
const CRDS: readonly (readonly [module: string, file: string, version: string])[] = [
  [MONITORING, `${MONITORING_CRDS}podmonitors.yaml`, "v1"],
  [MONITORING, `${MONITORING_CRDS}servicemonitors.yaml`, "v1"],
  [MONITORING, `${MONITORING_CRDS}prometheusrules.yaml`, "v1"],
  [KEDA, "config/crd/bases/keda.sh_scaledobjects.yaml", "v1alpha1"],
  [KEDA, "config/crd/bases/keda.sh_triggerauthentications.yaml", "v1alpha1"],
  [GATEWAY, "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml", "v1"],
];

const target = join(import.meta.dirname, "schemas");

/** One file per kind, and what they share in another. */
function writeKubernetes(version: string): void {
  const folder = join(target, version.replace(/\.\d+$/, ""));
  mkdirSync(folder, { recursive: true });
  const swagger = join(folderOf(`k8s.io/kubernetes@${version}`), "api/openapi-spec/swagger.json");
  const { definitions } = JSON.parse(readFileSync(swagger, "utf8")) as { definitions: Schemas };
  const shared: Record<string, Json> = {};
  for (const name of reachable(definitions, KINDS)) shared[shortened(name)] = strict(definitions[name] ?? {}) as Json;
  writeFileSync(join(folder, "definitions.json"), JSON.stringify({ definitions: shared }));
  for (const name of KINDS) {
    const [group, apiVersion, kind] = name.split(".").slice(3) as [string, string, string];
    const apiGroup = group === "core" ? "" : `-${group}`;
    const file = `${kind}${apiGroup}-${apiVersion}.json`.toLowerCase();
    writeFileSync(join(folder, file), JSON.stringify({ $ref: `definitions.json#/definitions/${shortened(name)}` }));
  }
}

function writeCrd(path: string, version: string): void {
  const crd = parse(readFileSync(path, "utf8")) as {
    spec: { group: string; names: { kind: string }; versions: { name: string; schema: { openAPIV3Schema: Json } }[] };
  };
  const { group, names, versions } = crd.spec;
  const found = versions.find(({ name }) => name === version);
  if (found === undefined) throw new Error(`${path} has no version ${version}`);
  const folder = join(target, "crds");
  mkdirSync(folder, { recursive: true });
  // kubeconform looks for the first part of the group.
  const file = `${names.kind}-${group.split(".")[0]}-${version}.json`.toLowerCase();
  writeFileSync(join(folder, file), JSON.stringify(strict(found.schema.openAPIV3Schema)));
}

/** Downloads the module where it is not there yet. */
function folderOf(module: string): string {
  const { stdout, stderr, status } = spawnSync("go", ["mod", "download", "-json", module], { encoding: "utf8" });
  if (status !== 0) throw new Error(`go mod download ${module}: ${stderr}${stdout}`);
  return (JSON.parse(stdout) as { Dir: string }).Dir;
}

function reachable(definitions: Schemas, from: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  const open = [...from];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (found.has(name)) continue;
    if (definitions[name] === undefined) throw new Error(`Kubernetes has no ${name}`);
    found.add(name);
    for (const [, to] of JSON.stringify(definitions[name]).matchAll(/#\/definitions\/([^"]+)"/g)) open.push(to ?? "");
  }
  return found;
}

const shortened = (name: string): string => name.replace(/^io\.k8s\.(api|apimachinery\.pkg)\./, "");

/** What is of no use to a validator goes; objects that list their properties have no others. */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict);
  if (typeof schema !== "object" || schema === null) return schema;
  const given = schema as Json;
  if (given["x-kubernetes-int-or-string"] === true || given["format"] === "int-or-string") {
    return { type: ["integer", "string", "null"] };
  }
  const result: Json = {};
  for (const [key, value] of Object.entries(given)) {
    if (key === "$ref") result[key] = `#/definitions/${shortened(String(value).replace("#/definitions/", ""))}`;
    else if (key === "properties") result[key] = eachStrict(value as Json);
    else if (!OF_NO_USE.has(key) && !key.startsWith("x-")) result[key] = strict(value);
  }
  if (result["properties"] !== undefined && result["additionalProperties"] === undefined && isClosed(given)) {
    result["additionalProperties"] = false;
  }
  return result;
}
/** By name: a property may be called `default` or `format`. */
const eachStrict = (properties: Json): Json =>
  Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, strict(schema)]));
const OF_NO_USE: ReadonlySet<string> = new Set(["description", "default", "format", "title"]);
const isClosed = (schema: Json): boolean => schema["x-kubernetes-preserve-unknown-fields"] !== true;

rmSync(target, { recursive: true, force: true });
for (const version of KUBERNETES) writeKubernetes(version);
for (const [module, file, version] of CRDS) writeCrd(join(folderOf(module), file), version);
