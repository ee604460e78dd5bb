/** Does the engine take the configuration that the chart gives it? Asked of the engine's own reading of it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readKafkaConfig, type KafkaEngineConfig } from "../../engine/src/config/kafka-config.js";

const TLS_FOLDER = "/etc/eddy/tls";

export interface Manifest {
  readonly kind: string;
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly groups?: readonly unknown[];
    readonly template?: { readonly spec: { readonly containers: readonly Container[] } };
  };
}
interface Container {
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
}

/** @returns what the engine says of it; empty: nothing */
export function engineProblems(manifests: readonly Manifest[]): readonly string[] {
  const file = manifests.find(({ kind, data }) => kind === "ConfigMap" && data?.["eddy.yaml"] !== undefined);
  const engine = manifests.find(({ kind }) => kind === "StatefulSet");
  const text = file?.data?.["eddy.yaml"];
  const [container] = engine?.spec?.template?.spec.containers ?? [];
  if (text === undefined || container === undefined) return ["there is no configuration, or no engine"];
  const folder = mkdtempSync(join(tmpdir(), "eddy-config-"));
  try {
    const config = readKafkaConfig({ file: writeConfig(text, folder), environment: environmentOf(container) });
    return inTheContainer(config);
  } catch (error) {
    return (error as Error).message.split("\n");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** With the certificates that it names. @returns its path */
function writeConfig(text: string, folder: string): string {
  const certificates = join(folder, "tls");
  mkdirSync(certificates);
  for (const [, name] of text.matchAll(/\/etc\/eddy\/tls\/(\S+)/g))
    writeFileSync(join(certificates, name ?? ""), "pem");
  const path = join(folder, "eddy.yaml");
  writeFileSync(path, text.replaceAll(TLS_FOLDER, certificates));
  return path;
}

/** What comes from elsewhere is some text; the pod's own names are filled in. */
function environmentOf({ env = [] }: Container): Readonly<Record<string, string>> {
  const given = env.map(
    ({ name, value }) => [name, value?.replaceAll(/\$\(POD_\w+\)/g, "10.0.0.1") ?? "given"] as const,
  );
  return Object.fromEntries(given.filter(([name]) => name.startsWith("EDDY_")));
}

/** What the chart's ports, probes and mounts rely on. */
function inTheContainer({ port, dataDir, advertisedUrl, host }: KafkaEngineConfig): readonly string[] {
  const problems: string[] = [];
  if (port !== 8_288) problems.push(`it listens on port ${port}, not on the container's`);
  if (dataDir !== "/data") problems.push(`its data is in ${dataDir}, not in the volume`);
  if (!["0.0.0.0", "::"].includes(host)) problems.push(`it listens on ${host} alone`);
  if (advertisedUrl?.endsWith(":8288") !== true) problems.push(`others would look for it at ${advertisedUrl}`);
  return problems;
}
