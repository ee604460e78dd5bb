/** Configuration of `eddy dev`, and what it shares with `eddy start`. This room alone reads the environment. */
import { z } from "zod";
import { LIMITS, parseDuration } from "@eddy/schemas";
import { environmentSource, optionsSource, readConfig } from "./read-config.js";

export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;

export const flag = z.union([z.boolean(), z.enum(["true", "false"]).transform((text) => text === "true")]);
export const count = (min: number, max: number) =>
  z
    .union([z.number(), z.string().regex(/^\d+$/, "expected a whole number").transform(Number)])
    .pipe(z.number().int().min(min).max(max));

/** What every engine has. `host` and `partitions` have defaults of their own in each. */
export const commonFields = {
  /** TCP port; 0 takes any free one. Since 0.1. */
  port: count(0, 65_535).default(8288),
  /** Folder of the local stores, and of the log where there is no Kafka. Since 0.1. */
  dataDir: z.string().min(1).default(".eddy"),
  /** Memory for rows used lately, of all partitions together, in MiB. Pending waits beyond it are on disk. Since 0.1. */
  cacheMib: count(1, 65_536).default(128),
  /** Lines below this level are not written. Since 0.1. */
  logLevel: z.enum(LOG_LEVELS).default("info"),
};
export const partitionCount = count(1, LIMITS.partitionsMax);

/**
 * Half as long as a partition looks back in its inbox: whatever a sender wrote by old routes is found there once this has
 * passed. Below the least, hardly any sender could keep to it.
 */
const SETTLE_MS_MIN = 100;
const SETTLE_MS_MAX = 300_000;
/** As text, `10s`, or a number of ms; ms from then on. */
export const settleDuration = z
  .union([z.string(), z.number()])
  .transform((given, context) => {
    try {
      return parseDuration(typeof given === "string" && /^\d+$/.test(given) ? Number(given) : given);
    } catch (error) {
      context.addIssue({ code: "custom", message: (error as RangeError).message });
      return z.NEVER;
    }
  })
  .pipe(z.number().min(SETTLE_MS_MIN).max(SETTLE_MS_MAX));

/** Of `eddy dev`. Every key is also an environment variable: `dataDir` is EDDY_DATA_DIR. */
const schema = z
  .strictObject({
    ...commonFields,
    /** Address to listen on. Since 0.1. */
    host: z.string().min(1).default("127.0.0.1"),
    /** Keep everything in memory; nothing survives the process. Since 0.1. */
    inMemory: flag.default(false),
    /** Acknowledge only what would survive a power loss. Since 0.1. */
    fsync: flag.default(false),
    /** Inbox partitions; fixed once the data directory is made. Since 0.1. */
    partitions: partitionCount.default(4),
    /** As for an engine on Kafka, where it matters. Since 0.3. */
    senderSettle: settleDuration.default(1_000),
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

/**
 * @param options as given on the command line or by a caller; undefined ones are not given. They win over `environment`.
 * @throws ConfigError that names every problem.
 */
export function readEngineConfig(
  options: Readonly<Record<string, unknown>> = {},
  environment: Readonly<Record<string, string | undefined>> = process.env,
): EngineConfig {
  const paths = CONFIG_KEYS.map((key) => [key]);
  const sources = [environmentSource(environment, paths), optionsSource(options)];
  return readConfig({ schema, sources, secret: [] });
}
