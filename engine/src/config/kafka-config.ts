/**
 * Configuration of `eddy start`, an engine on Kafka: a YAML file, the environment, options; later ones win. Certificates
 * are named by their files and read here, so that one which is missing is told with all other problems.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { SETTLE_MS } from "@eddy/schemas";
import {
  checkExposure,
  commonFields,
  count,
  flag,
  partitionCount,
  requestsPerSecondMax,
  settleDuration,
  TLS_PATHS,
} from "./engine-config.js";
import { fileSource } from "./config-file.js";
import { environmentSource, optionsSource, readConfig } from "./read-config.js";
import { REGISTRY_FORMATS, schemaRegistry, sources } from "./source-config.js";

/** A namespace is a part of topic names: no dots, which part them. */
const NAMESPACE = /^[A-Za-z0-9_-]{1,100}$/;
const ADDRESS = /^.+:\d{1,5}$/;
const PARTITIONS = { dev: 4, production: 64 } as const;

/** The environment and the command line have text alone. */
const brokerList = z.preprocess(
  (given) => (typeof given === "string" ? given.split(",").map((address) => address.trim()) : given),
  z.array(z.string().regex(ADDRESS, "expected host:port")).min(1),
);

/** The content of a file that the configuration names. */
const pemFile = z.string().transform((path, context) => {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    context.addIssue({ code: "custom", message: `the file cannot be read (${reason})` });
    return z.NEVER;
  }
});

const certificates = z
  .strictObject(
    { ca: pemFile.optional(), cert: pemFile.optional(), key: pemFile.optional() },
    { error: ({ code }) => (code === "invalid_type" ? "expected true, false, or files: ca, cert, key" : undefined) },
  )
  .refine(({ cert, key }) => (cert === undefined) === (key === undefined), {
    message: "cert and key belong together: give both, or none",
    path: ["cert"],
    when: () => true,
  });

/** true: with the certificates that Node trusts. */
const tls = z.preprocess((given) => {
  if (given === true || given === "true") return {};
  return given === false || given === "false" ? undefined : given;
}, certificates.optional());

const LOGIN_KEYS = ["username", "password"] as const;
const OAUTH_KEYS = ["tokenEndpoint", "clientId", "clientSecret"] as const;

const sasl = z
  .strictObject({
    mechanism: z
      .string()
      .toLowerCase()
      .pipe(z.enum(["plain", "scram-sha-256", "scram-sha-512", "oauthbearer"])),
    username: z.string().min(1).optional(),
    password: z.string().min(1).optional(),
    /** With oauthbearer: where tokens are asked for, by the client credentials grant. Since 0.4. */
    tokenEndpoint: z.url({ protocol: /^https?$/ }).optional(),
    clientId: z.string().min(1).optional(),
    clientSecret: z.string().min(1).optional(),
    scope: z.string().min(1).optional(),
  })
  .superRefine((given, context) => {
    const isOAuth = given.mechanism === "oauthbearer";
    const foreign = isOAuth ? LOGIN_KEYS : [...OAUTH_KEYS, "scope" as const];
    const tell = (key: string, message: string): void => context.addIssue({ code: "custom", path: [key], message });
    for (const key of isOAuth ? OAUTH_KEYS : LOGIN_KEYS) {
      if (given[key] === undefined) tell(key, `is needed with ${given.mechanism}`);
    }
    for (const key of foreign) if (given[key] !== undefined) tell(key, `has no meaning with ${given.mechanism}`);
  });

/** Every key is also an environment variable: `sasl.password` is EDDY_SASL_PASSWORD. */
const schema = z
  .strictObject({
    ...commonFields,
    /** Bootstrap addresses, host:port. In the environment and on the command line with commas between. Since 0.2. */
    brokers: brokerList,
    /** Engines, workers and senders of one namespace share topics and nothing else. Since 0.2. */
    namespace: z.string().regex(NAMESPACE, "expected letters, digits, _ and -, at most 100").default("default"),
    /** A namespace to try things in: its clock may be moved, one copy of the data is enough. Since 0.2. */
    dev: flag.default(false),
    /** Inbox partitions; fixed once the namespace is made. Default 64, with `dev` 4. Since 0.2. */
    partitions: partitionCount.optional(),
    /**
     * How long after functions are registered an event may still be sent by what was registered before: senders keep to
     * it, and waits that nobody declared do not time out sooner. Fixed by the first engine of a namespace; others go by
     * that. Since 0.3.
     */
    senderSettle: settleDuration.default(SETTLE_MS),
    /** Address to listen on. Since 0.2. */
    host: z.string().min(1).default("0.0.0.0"),
    /** Where other engines reach this one. Default: http, this machine's address, the port. Since 0.2. */
    advertisedUrl: z
      .url({ protocol: /^https?$/ })
      .transform((url) => url.replace(/\/+$/, ""))
      .optional(),
    /** Holds the token by which this engine asks the others, one of the tokens file with the scope peer. Since 0.4. */
    peerTokenFile: z.string().min(1).optional(),
    requestsPerSecondMax: requestsPerSecondMax.default(5_000),
    /** Shown in the brokers' logs and quotas. Since 0.2. */
    clientId: z.string().min(1).default("eddy-engine"),
    /** Copies of each partition of topics that are made; existing ones with fewer are refused. Not with `dev`. Since 0.2. */
    replicationFactor: count(1, 32_767).default(3),
    /** Copies that have a record when it is acknowledged. Not with `dev`. Since 0.2. */
    minInsyncReplicas: count(1, 32_767).default(2),
    /** true, or files of certificates: ca, cert, key. Since 0.2. */
    ssl: tls,
    /** mechanism; username and password, with oauthbearer tokenEndpoint, clientId, clientSecret, scope. Since 0.2. */
    sasl: sasl.optional(),
    /** Topics whose records become events. Since 0.4. */
    sources,
    /** Where schemas are, by Confluent's API: url, username, password. Since 0.4. */
    schemaRegistry: schemaRegistry.optional(),
  })
  .superRefine((config, context) => {
    if (config.schemaRegistry !== undefined) return;
    for (const [i, { format }] of config.sources.entries()) {
      if (!REGISTRY_FORMATS.includes(format)) continue;
      const message = "needs schemaRegistry.url: its records name a schema of a registry";
      context.addIssue({ code: "custom", path: ["sources", i, "format"], message });
    }
  })
  .refine(({ replicationFactor, minInsyncReplicas }) => !(minInsyncReplicas > replicationFactor), {
    message: "is above replicationFactor: nothing would ever be acknowledged",
    path: ["minInsyncReplicas"],
    when: () => true,
  })
  .refine(({ tokensFile, peerTokenFile }) => (tokensFile === undefined) === (peerTokenFile === undefined), {
    message: "belongs to tokensFile, and that to it: engines ask each other by a token, too",
    path: ["peerTokenFile"],
    when: () => true,
  })
  .transform((config) => ({
    ...config,
    partitions: config.partitions ?? (config.dev ? PARTITIONS.dev : PARTITIONS.production),
  }));

export type KafkaEngineConfig = Readonly<z.infer<typeof schema>>;
/** What may be given, for those who describe it: the Helm chart's values. */
export const KAFKA_CONFIG_FIELDS = schema.in.shape;

/** Not on the command line: other users of the machine can see that. */
const NESTED_PATHS = [
  ["ssl", "ca"],
  ["ssl", "cert"],
  ["ssl", "key"],
  ["sasl", "mechanism"],
  ["sasl", "username"],
  ["sasl", "password"],
  ["sasl", "tokenEndpoint"],
  ["sasl", "clientId"],
  ["sasl", "clientSecret"],
  ["sasl", "scope"],
  ["schemaRegistry", "url"],
  ["schemaRegistry", "username"],
  ["schemaRegistry", "password"],
] as const;

const PATHS: readonly (readonly string[])[] = [
  ...Object.keys(schema.in.shape)
    .filter((key) => key !== "sasl" && key !== "schemaRegistry" && key !== "tls")
    .map((key) => [key]),
  ...NESTED_PATHS,
  ...TLS_PATHS,
];

export interface KafkaConfigSources {
  /** Path of a YAML file. */
  readonly file?: string | undefined;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** false: for a command that listens nowhere. Default: true. */
  readonly listens?: boolean;
}

/** @throws ConfigError that names every problem. */
export function readKafkaConfig({
  file,
  options = {},
  environment = process.env,
  listens = true,
}: KafkaConfigSources): KafkaEngineConfig {
  const fromFile = file === undefined ? [] : [fileSource(file)];
  const sources = [...fromFile, environmentSource(environment, PATHS), optionsSource(options)];
  const config = readConfig({ schema, sources, secret: ["sasl", "ssl", "schemaRegistry"] });
  if (listens) checkExposure(config);
  return config;
}
