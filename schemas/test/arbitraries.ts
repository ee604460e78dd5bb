/**
 * Values of a zod schema, made by fast-check: a kind that is added to a schema is covered without anyone thinking of it.
 * Knows the constructs that the wire contracts use and throws on any other, so that a new one cannot go untested.
 */
import fc from "fast-check";
import { z } from "zod";

/** Property tests are repeatable: one seed, printed by fast-check together with the path when one fails. */
export const SEED = { seed: 20_261_122 } as const;

type Values = fc.Arbitrary<unknown>;

export function valuesOf(schema: z.ZodType): Values {
  return base(schema).filter((value) => schema.safeParse(value).success);
}

/** Text as UTF-8 can carry it: no halves of surrogate pairs. */
const wellFormed = (constraints: fc.StringConstraints): Values => fc.string({ unit: "binary", ...constraints });

function base(schema: z.ZodType): Values {
  if (schema instanceof z.ZodString) return strings(schema);
  if (schema instanceof z.ZodNumber) return numbers(schema);
  if (schema instanceof z.ZodBoolean) return fc.boolean();
  if (schema instanceof z.ZodLiteral) return fc.constantFrom(...schema.values);
  if (schema instanceof z.ZodEnum) return fc.constantFrom(...schema.options);
  if (schema instanceof z.ZodNullable) return fc.option(base(schema.unwrap() as z.ZodType), { nil: null });
  if (schema instanceof z.ZodArray) return arrays(schema);
  if (schema instanceof z.ZodTuple) return fc.tuple(...schema.def.items.map((item) => base(item as z.ZodType)));
  if (schema instanceof z.ZodUnion) return fc.oneof(...schema.options.map((option) => base(option as z.ZodType)));
  if (schema instanceof z.ZodObject) return objects(schema);
  if (schema instanceof z.ZodUnknown) return fc.jsonValue();
  // The one custom type: bytes, which is `z.instanceof(Uint8Array)`.
  if (schema instanceof z.ZodCustom) return fc.uint8Array({ maxLength: 64 });
  throw new Error(`no arbitrary for a zod schema of type ${schema.def.type}: add it to arbitraries.ts`);
}

/** Texts with checks of their own are conditions. The first of these may stand everywhere, the second for waits. */
const CONDITIONS = ["event.data.n + 1 == 2", "async.data.a == event.data.a"];

function strings(schema: z.ZodString): Values {
  const isCondition = schema.def.checks?.some((check) => check._zod.def.check === "custom") ?? false;
  if (isCondition) return fc.constantFrom(...CONDITIONS).filter((text) => schema.safeParse(text).success);
  const pattern = schema._zod.bag.patterns?.values().next().value;
  if (pattern !== undefined) return fc.stringMatching(pattern, { size: "xsmall" });
  const maxLength = Math.min(schema.maxLength ?? 40, 40);
  return wellFormed({ minLength: schema.minLength ?? 0, maxLength });
}

function numbers(schema: z.ZodNumber): Values {
  const min = schema.minValue ?? -Number.MAX_SAFE_INTEGER;
  const max = schema.maxValue ?? Number.MAX_SAFE_INTEGER;
  const whole = fc.integer({
    min: Math.max(min, -Number.MAX_SAFE_INTEGER),
    max: Math.min(max, Number.MAX_SAFE_INTEGER),
  });
  if (schema.format === "safeint") return whole;
  // Minus zero is no figure of ours, and MessagePack writes it as zero.
  return fc.oneof(
    whole,
    fc.double({ min, max, noNaN: true }).map((n) => n + 0),
  );
}

function arrays(schema: z.ZodArray): Values {
  const [minLength = 0, maxLength = 5] = [schema._zod.bag.minimum, schema._zod.bag.maximum] as (number | undefined)[];
  return fc.array(base(schema.element as z.ZodType), { minLength, maxLength: Math.min(maxLength, minLength + 5) });
}

function objects(schema: z.ZodObject): Values {
  const fields = Object.entries(schema.shape) as [string, z.ZodType][];
  // An optional field is absent, or has a value; it is never there as `undefined`.
  const requiredKeys = fields.filter(([, field]) => !(field instanceof z.ZodOptional)).map(([name]) => name);
  const arbitraries = fields.map(([name, field]): [string, Values] => [
    name,
    base(field instanceof z.ZodOptional ? (field.unwrap() as z.ZodType) : field),
  ]);
  return fc.record(Object.fromEntries(arbitraries), { requiredKeys, noNullPrototype: true });
}
