/**
 * From what people write (file, environment, command line) to one configuration, or to all that is wrong with it.
 * Secrets are never repeated in what is said.
 */
import type { z } from "zod";
import { ConfigError } from "@eddy/clients/errors";

export type Given = Record<string, unknown>;

export interface Source {
  /** Shown before a key that is at fault, as in `EDDY_PORT` or `eddy.yaml: port`. */
  readonly nameOf: (path: readonly string[]) => string;
  /** By path, `["sasl", "password"]`. Undefined values are not given. */
  readonly values: readonly (readonly [path: readonly string[], value: unknown])[];
}

export interface Reading<T> {
  readonly schema: z.ZodType<T>;
  /** Later ones win. */
  readonly sources: readonly Source[];
  /** First keys of what must not be shown. */
  readonly secret: readonly string[];
}

/** `dataDir` is EDDY_DATA_DIR, `sasl.password` is EDDY_SASL_PASSWORD. */
export function variableOf(path: readonly string[]): string {
  const words = path.map((key) => key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase());
  return `EDDY_${words.join("_")}`;
}

export function environmentSource(
  environment: Readonly<Record<string, string | undefined>>,
  paths: readonly (readonly string[])[],
): Source {
  return { nameOf: variableOf, values: paths.map((path) => [path, environment[variableOf(path)]]) };
}

/** @param options as given on the command line or by a caller. */
export function optionsSource(options: Readonly<Given>): Source {
  return {
    nameOf: (path) => path.join("."),
    values: Object.entries(options).map(([key, value]) => [[key], value]),
  };
}

/** @throws ConfigError that names every problem, where it comes from and, unless it is secret, what was given. */
export function readConfig<T>({ schema, sources, secret }: Reading<T>): Readonly<T> {
  const given: Given = {};
  const names = new Map<string, string>();
  for (const { nameOf, values } of sources) {
    for (const [path, value] of values) {
      if (value === undefined) continue;
      put(given, path, value);
      names.set(path.join("."), nameOf(path));
    }
  }
  const parsed = schema.safeParse(given);
  if (parsed.success) return Object.freeze(parsed.data);
  const problems = parsed.error.issues.flatMap((issue) => {
    const keys = issue.path.map(String);
    if (issue.code === "unrecognized_keys") {
      // Without its value: it may be a secret under a name that is misspelt.
      return issue.keys.map((key) => `${nameIn(names, [...keys, key])}: is not a key of the configuration`);
    }
    const isShown = keys.length > 0 && !secret.includes(keys[0] ?? "");
    const value = isShown ? valueAt(given, keys) : undefined;
    return `${nameIn(names, keys)}: ${issue.message}${value === undefined ? "" : ` (got ${JSON.stringify(value)})`}`;
  });
  throw new ConfigError(`the configuration has problems:\n  ${problems.join("\n  ")}`, { problems });
}

/** Sets the value; what is not an object on the way gives way to one. */
function put(given: Given, path: readonly string[], value: unknown): void {
  const [key = "", ...rest] = path;
  if (rest.length === 0) {
    given[key] = value;
    return;
  }
  const inner = given[key];
  const holder: Given = isObject(inner) ? { ...inner } : {};
  given[key] = holder;
  put(holder, rest, value);
}

function valueAt(given: unknown, keys: readonly string[]): unknown {
  return keys.reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), given);
}

/** The name of the longest known part of the path, and the rest of it. */
function nameIn(names: ReadonlyMap<string, string>, keys: readonly string[]): string {
  for (let length = keys.length; length > 0; length -= 1) {
    const name = names.get(keys.slice(0, length).join("."));
    if (name !== undefined) return [name, ...keys.slice(length)].join(".");
  }
  return keys.join(".");
}

function isObject(value: unknown): value is Given {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
