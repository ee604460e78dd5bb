/**
 * Before an app works: the schemas of its events go to the registry, which says whether they fit what readers and writers
 * go by. Registering is the check: what is a version already stays as it is, what does not fit is refused.
 */
import {
  IncompatibleSchemaError,
  SchemaSubjects,
  subjectOf,
  SystemClock,
  type Clock,
  type SchemaRegistryPlace,
} from "@eddy/clients";
import { ConfigError, TransientError } from "@eddy/clients/errors";
import type { EventType } from "../define/event-type.js";
import type { Logger } from "../define/logger.js";
import { ConnectError } from "../errors/eddy-error.js";

export interface SchemasToRegister {
  readonly app: string;
  readonly registry: SchemaRegistryPlace;
  readonly types: readonly EventType[];
  readonly logger: Logger;
  /** Aborted: nobody waits any more. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/** What registries, and Ajv behind the gateway, all understand. */
const TARGET = "draft-07";
/** Between tries, in ms. */
const PAUSE_MS = { min: 500, max: 10_000 } as const;

/** Standard JSON Schema, which zod has from 4.2 on; the specification of types that we use does not name it yet. */
interface WithJsonSchema {
  readonly jsonSchema?: { input(options: { readonly target: string }): Record<string, unknown> };
}

/**
 * A registry that does not answer is waited for, and the log says so. Event types without a JSON Schema, and those of
 * wildcards, have nothing to register.
 * @throws ConnectError SCHEMA_INCOMPATIBLE in the registry's words; SCHEMA_REFUSED for all else that it refuses
 */
export async function registerSchemas({ types, registry, ...rest }: SchemasToRegister): Promise<void> {
  const subjects = new SchemaSubjects(registry);
  for (const [name, schema] of schemasOf(types, rest)) {
    await registerOne(name, () => subjects.register(subjectOf(name), schema), rest);
  }
}

type Rest = Omit<SchemasToRegister, "types" | "registry">;

async function registerOne(
  name: string,
  register: () => Promise<void>,
  { app, logger, signal, clock = new SystemClock() }: Rest,
) {
  for (let pauseMs: number = PAUSE_MS.min; !signal.aborted; pauseMs = Math.min(2 * pauseMs, PAUSE_MS.max)) {
    try {
      return await register();
    } catch (cause) {
      if (cause instanceof IncompatibleSchemaError) {
        const message = `the schema of ${JSON.stringify(name)} does not fit what is registered: ${cause.message}`;
        throw new ConnectError("SCHEMA_INCOMPATIBLE", message, { cause });
      }
      if (cause instanceof ConfigError) throw new ConnectError("SCHEMA_REFUSED", cause.message, { cause });
      if (!(cause instanceof TransientError)) throw cause;
      logger.warn(`${app}: ${cause.message}; trying again`);
      await clock.sleep(pauseMs, signal);
    }
  }
}

function schemasOf(types: readonly EventType[], { app, logger }: Rest): ReadonlyMap<string, object> {
  const schemas = new Map<string, object>();
  for (const { name, schema } of types) {
    const standard = schema?.["~standard"] as WithJsonSchema | undefined;
    if (standard?.jsonSchema === undefined || name.includes("*")) continue;
    try {
      schemas.set(name, standard.jsonSchema.input({ target: TARGET }));
    } catch (error) {
      // Such as a date or a transformation, which JSON Schema has no words for. The SDK checks it all the same.
      logger.debug(`${app}: the schema of ${name} has no JSON Schema: ${String(error)}`);
    }
  }
  return schemas;
}
