/** Options and environment to one frozen configuration. The only room that reads the environment. */
import { z } from "zod";
import { LIMITS } from "@eddy/schemas";
import { ConfigError } from "@eddy/clients/errors";

export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;

const flag = z.union([z.boolean(), z.enum(["true", "false"]).transform((text) => text === "true")]);
const count = (min: number, max: number) =>
  z
    .union([z.number(), z.string().regex(/^\d+$/, "expected a whole number").transform(Number)])
    .pipe(z.number().int().min(min).max(max));

/** Of `eddy dev`. Every key is also an environment variable: `dataDir` is EDDY_DATA_DIR. */
const schema = z
  .strictObject({
    /** Address to listen on. Since 0.1. */
    host: z.string().min(1).default("127.0.0.1"),
    /** TCP port; 0 takes any free one. Since 0.1. */
    port: count(0, 65_535).default(8288),
    /** Folder of the log and the local stores. Since 0.1. */
    dataDir: z.string().min(1).default(".eddy"),
    /** Keep everything in memory; nothing survives the process. Since 0.1. */
    inMemory: flag.default(false),
    /** Acknowledge only what would survive a power loss. Since 0.1. */
    fsync: flag.default(false),
    /** Inbox partitions; fixed once the data directory is made. Since 0.1. */
    partitions: count(1, LIMITS.partitionsMax).default(4),
    /** Memory for rows used lately, of all partitions together, in MiB. Pending waits beyond it are on disk. Since 0.1. */
    cacheMib: count(1, 65_536).default(128),
    /** Lines below this level are not written. Since 0.1. */
    logLevel: z.enum(LOG_LEVELS).default("info"),
  })
  .refine(({ inMemory, fsync }) => !(inMemory && fsync), {
    message: "has no meaning together with inMemory: choose one",
    path: ["fsync"],
    // Also where another key is wrong: all problems are told at once.
    when: () => true,
  });

export type EngineConfig = Readonly<z.infer<typeof schema>>;
export const CONFIG_KEYS = Object.keys(schema.shape) as readonly (keyof EngineConfig)[];
export const CONFIG_DEFAULTS: EngineConfig = Object.freeze(schema.parse({}));

const variableOf = (key: string): string => `EDDY_${key.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase()}`;

/**
 * @param options as given on the command line or by a caller; undefined ones are not given. They win over `environment`.
 * @throws ConfigError that names every problem.
 */
export function readEngineConfig(
  options: Readonly<Record<string, unknown>> = {},
  environment: Readonly<Record<string, string | undefined>> = process.env,
): EngineConfig {
  const given: Record<string, unknown> = {};
  const sources = new Map<string, string>();
  for (const key of CONFIG_KEYS) {
    const variable = variableOf(key);
    if (environment[variable] === undefined) continue;
    given[key] = environment[variable];
    sources.set(key, variable);
  }
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue;
    given[key] = value;
    sources.set(key, key);
  }
  const parsed = schema.safeParse(given);
  if (parsed.success) return Object.freeze(parsed.data);
  const problems = parsed.error.issues.map(({ path, message }) => {
    const key = String(path[0] ?? "");
    return `${sources.get(key) ?? key}: ${message}${key in given ? ` (got ${JSON.stringify(given[key])})` : ""}`;
  });
  throw new ConfigError(`the configuration has problems:\n  ${problems.join("\n  ")}`, { problems });
}
