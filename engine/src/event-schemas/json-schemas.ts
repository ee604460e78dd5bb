/**
 * JSON Schemas of others, compiled one by one: schemas of several versions share an `$id`, which one Ajv takes only once,
 * and one Ajv keeps all that it ever compiled. Formats are annotations, as the specification has them by default.
 */
import { createRequire } from "node:module";
import type { Ajv as AjvClass, AnySchemaObject, Options, ValidateFunction } from "ajv";

const load = createRequire(import.meta.url);
type AjvModule = { readonly default: new (options: Options) => AjvClass };

const OPTIONS: Options = { strict: false, validateFormats: false, logger: false, allErrors: false };
const DIALECTS: readonly (readonly [RegExp, string])[] = [
  [/2020-12/, "ajv/dist/2020.js"],
  [/2019-09/, "ajv/dist/2019.js"],
  [/(?:)/, "ajv"],
];

/** What refers to what, by id; a schema without one is referred to by its name in the registry. */
export interface Reference {
  readonly schema: AnySchemaObject;
  readonly id: string;
}

/** @throws Error for what is no JSON Schema */
export function compileJsonSchema(schema: unknown, references: readonly Reference[] = []): ValidateFunction {
  const named = (schema as { readonly $schema?: unknown } | null)?.$schema;
  const dialect = typeof named === "string" ? named : "";
  const [, name = "ajv"] = DIALECTS.find(([pattern]) => pattern.test(dialect)) ?? [];
  const { default: Ajv } = load(name) as AjvModule;
  const ajv = new Ajv(OPTIONS);
  for (const each of references) ajv.addSchema(each.schema, each.id);
  return ajv.compile(withoutDialect(schema));
}

/** Ajv knows draft 7, 2019-09 and 2020-12 by their URLs; of older drafts, which differ little, it would take none. */
function withoutDialect(schema: unknown): AnySchemaObject {
  if (typeof schema !== "object" || schema === null) return schema as AnySchemaObject;
  const { $schema: _, ...rest } = schema as Record<string, unknown>;
  return rest;
}
