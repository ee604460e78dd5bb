import { z } from "zod";
import { LIMITS } from "./limits.js";

/** Ids that become parts of topic names, row keys and URLs. */
export const slug = z
  .string()
  .min(1)
  .max(128)
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
    "may hold letters, digits, '.', '_' and '-', and starts with a letter or digit",
  );

export const eventName = z.string().min(1).max(LIMITS.eventNameCharsMax);

/** Where in an event a value lies: `data.cart_id`, `user.id`, `id`. */
export const matchPath = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[A-Za-z_$][\w$-]*(\.[\w$-]+)*$/, "must be a dotted path such as data.cart_id");

/** A length in ms, or a point in stream time in ms since 1970. */
export const timeout = z.union([
  z.strictObject({ ms: z.number().min(0).max(LIMITS.timeoutMsMax) }),
  z.strictObject({ atMs: z.number().min(0).max(8_640_000_000_000_000) }),
]);
export type Timeout = z.infer<typeof timeout>;

export const cancelRule = z.strictObject({
  event: eventName,
  match: matchPath,
  /** How long after the start of the run the rule lives; null: as long as the run. */
  timeout: timeout.nullable(),
});
export type CancelRule = z.infer<typeof cancelRule>;

/** A wait that the function may make: from its `waits` option or a literal in its handler. */
export const declaredWait = z.strictObject({ event: eventName, match: matchPath });
export type DeclaredWait = z.infer<typeof declaredWait>;

export const functionConfig = z.strictObject({
  id: slug,
  name: z.string().max(256),
  triggers: z
    .array(z.strictObject({ event: eventName }))
    .min(1)
    .max(LIMITS.triggersPerFunctionMax),
  cancelOn: z.array(cancelRule).max(LIMITS.cancelRulesPerFunctionMax),
  waits: z.array(declaredWait).max(LIMITS.waitsPerFunctionMax),
  /** Attempts after the first, for each step and for the handler itself. */
  retries: z.number().int().min(0).max(LIMITS.retriesMax),
});
export type FunctionConfig = z.infer<typeof functionConfig>;

/** Size of a configuration as JSON text. */
export function configBytes(functions: readonly FunctionConfig[]): number {
  return JSON.stringify(functions).length;
}

/** All functions of one app. Registering replaces the app's former list whole. */
export const appConfig = z
  .strictObject({ app: slug, functions: z.array(functionConfig).max(LIMITS.functionsPerAppMax) })
  .refine((c) => configBytes(c.functions) <= LIMITS.configBytesMax, {
    message: `an app's functions come to at most ${LIMITS.configBytesMax} bytes of configuration`,
    path: ["functions"],
  })
  .refine((c) => new Set(c.functions.map((f) => f.id)).size === c.functions.length, {
    message: "function ids must be unique within an app",
    path: ["functions"],
  });
export type AppConfig = z.infer<typeof appConfig>;

/** An app's configuration as numbered by inbox 0. Versions grow by one over all apps of a namespace. */
export const registeredApp = z.strictObject({
  app: slug,
  version: z.number().int().min(1),
  /** `configDigest` of the configuration. */
  digest: z.string(),
  functions: z.array(functionConfig),
  /**
   * What runs of former registrations may still listen to: senders go on to route by it. The newest first, bounded.
   */
  retired: z.array(declaredWait).optional(),
});
export type RegisteredApp = z.infer<typeof registeredApp>;
