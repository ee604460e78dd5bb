/** Configuration of `eddy dev`, and what it shares with `eddy start`. This room alone reads the environment. */
import { z } from "zod";
import { LIMITS, parseDuration } from "@eddy/schemas";
import { ConfigError } from "@eddy/clients/errors";
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
  /** What tokens allow, by their hashes: `eddy token create` makes a line. Read again when it changes. Since 0.4. */
  tokensFile: z.string().min(1).optional(),
  /** Files of the gateway's certificate and its key: cert, key. Read again when they change. Since 0.4. */
  tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
  /** `open`: anybody may read the figures. `token`: with the scope read. Since 0.4. */
  metricsAccess: z.enum(["open", "token"]).default("open"),
  /** Connections to the gateway; above that new ones are dropped. Since 0.4. */
  connectionsMax: count(1, 1_000_000).default(10_000),
  /** From one address, which may be that of a proxy. Since 0.4. */
  connectionsPerAddressMax: count(1, 1_000_000).default(2_000),
};
export const TLS_PATHS = [
  ["tls", "cert"],
  ["tls", "key"],
] as const;
/** Requests in a second of one token, or one address without, at one engine; 0: as many as come. Since 0.4. */
export const requestsPerSecondMax = count(0, 1_000_000);

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;
interface Exposure {
  readonly host: string;
  readonly tokensFile?: string | undefined;
}

/** Where no tokens are asked for everybody may do everything: that stays on this machine. @throws ConfigError */
export function checkExposure({ host, tokensFile }: Exposure): void {
  if (tokensFile !== undefined || LOOPBACK.test(host)) return;
  const problem = `host: ${host} can be reached from elsewhere, and there is no tokensFile: all is open to anybody`;
  const advice = "give a tokens file (`eddy token create` makes what belongs in it), or --host 127.0.0.1";
  throw new ConfigError(`${problem}; ${advice}`, { problems: [problem] });
}
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
    requestsPerSecondMax: requestsPerSecondMax.default(0),
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
  const paths = [...CONFIG_KEYS.filter((key) => key !== "tls").map((key) => [key]), ...TLS_PATHS];
  const sources = [environmentSource(environment, paths), optionsSource(options)];
  const config = readConfig({ schema, sources, secret: [] });
  checkExposure(config);
  return config;
}
