/**
 * What an app registers: its functions, what starts and cancels their runs, what they wait for. Checked at every door
 * and again by whoever decodes it; what passes can be routed by and evaluated without a throw.
 */
import { z } from "zod";
import { conditionText } from "./condition-text.js";
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

function isOneOfMatchAndIf({ match, if: condition }: { match: string | null; if: string | null }): boolean {
  return match === null || condition === null;
}
const ONE_OF = { message: "match and if exclude each other", path: ["if"] };

/** What waits and cancel rules listen to: exactly one of `match` and `if`, or neither: every event of the name. */
const listens = {
  event: eventName,
  /** The same path in both events. */
  match: matchPath.nullable(),
  /** CEL over `event` (the one that started the run) and `async` (the incoming one). */
  if: conditionText("listen").nullable(),
};

export const cancelRule = z
  .strictObject({
    ...listens,
    /** How long after the start of the run the rule lives; null: as long as the run. */
    timeout: timeout.nullable(),
  })
  .refine(isOneOfMatchAndIf, ONE_OF);
export type CancelRule = z.infer<typeof cancelRule>;

/**
 * From where on events count: the end of the last sleep or wait (`mark`), the event that started the run, or the wait
 * itself.
 */
export const since = z.enum(["mark", "trigger", "registration"]);
export type Since = z.infer<typeof since>;

/** A wait that the function may make: from its `waits` option or a literal in its handler. */
export const declaredWait = z.strictObject({ ...listens, since }).refine(isOneOfMatchAndIf, ONE_OF);
export type DeclaredWait = z.infer<typeof declaredWait>;

export const functionTrigger = z.strictObject({
  /** A name, or the beginning of names with a `*` at its end. */
  event: eventName.regex(/^[^*]*\*?$/, "may have one *, at its end"),
  /** CEL over `event`. */
  if: conditionText("trigger").nullable(),
});
export type FunctionTrigger = z.infer<typeof functionTrigger>;

export const functionConfig = z.strictObject({
  id: slug,
  name: z.string().max(256),
  triggers: z.array(functionTrigger).min(1).max(LIMITS.triggersPerFunctionMax),
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

/** An event name and a path in such events by which senders route. */
export const listenedPath = z.strictObject({ event: eventName, path: z.string() });
export type ListenedPath = z.infer<typeof listenedPath>;

/** A wait that a run of the function made without having declared it; from then on it counts as declared. */
export const learnedWait = z.strictObject({
  /** Within the app. */
  functionId: z.string(),
  event: eventName,
  path: z.string(),
  /** Trigger-side path (see `ListenRoute`); null where each run has its own constant. */
  of: z.string().nullable(),
});
export type LearnedWait = z.infer<typeof learnedWait>;

/** A path that former registrations routed by. */
export const retiredPath = listenedPath.extend({
  /** Did anybody listen there? Else triggers were read at it, and what came before that was not passed on. */
  isListened: z.boolean(),
});
export type RetiredPath = z.infer<typeof retiredPath>;

/** A function as it was before a registration changed what starts it or what it listens to. */
export const formerFunction = z.strictObject({
  fn: functionConfig,
  /** Not in force any more from this registration on. */
  until: z.number().int().min(1),
});
export type FormerFunction = z.infer<typeof formerFunction>;

/** An app's configuration as numbered by inbox 0. Versions grow by one over all apps of a namespace. */
export const registeredApp = z.strictObject({
  app: slug,
  version: z.number().int().min(1),
  /** `configDigest` of the configuration. */
  digest: z.string(),
  functions: z.array(functionConfig),
  /**
   * Trigger-side path that places the runs of each function, [function id, path]: as it was registered first, so that
   * partitions that have different registrations agree where a run lives.
   */
  anchors: z.array(z.tuple([z.string(), z.string()])),
  /** The newest last, bounded. */
  learned: z.array(learnedWait),
  /**
   * What runs of former registrations may still listen to, and what partitions that still have those read of triggers:
   * senders go on to route by it. The newest first, bounded.
   */
  retired: z.array(retiredPath),
  /** For partitions that are ahead of the one where an event starts its run. The newest first, bounded. */
  former: z.array(formerFunction),
});
export type RegisteredApp = z.infer<typeof registeredApp>;
