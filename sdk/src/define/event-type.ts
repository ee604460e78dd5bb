/**
 * Typed events. An `EventType` carries a name, and where given a schema (Standard Schema: zod, valibot, arktype) from
 * which the type of `data` is inferred. Schemas check, they do not transform: data travels as it was sent.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { eventName } from "@eddy/schemas";
import { DefinitionError, SendError } from "../errors/eddy-error.js";

/** `data` of events whose type was not declared, as in Inngest. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- untyped events are `any` by contract: they compile as they do with Inngest
export type Untyped = any;

/** An event as handlers get it: `id` and `ts` (ms since 1970) are always there. */
export interface EddyEvent<Name extends string = string, Data = Untyped> {
  readonly name: Name;
  readonly id: string;
  readonly ts: number;
  /** `{}` where the sender gave none. */
  readonly data: Data;
  /** Whom it is about, as the sender gave it. */
  readonly user: Untyped;
  readonly v?: string;
}

/**
 * An event as users send it. A given `id` makes a second send within 24 h harmless; a `ts` in the future delays the
 * runs that it starts.
 */
export interface EventPayload<Name extends string = string, Data = Untyped> {
  readonly name: Name;
  readonly data?: Data | undefined;
  readonly id?: string | undefined;
  readonly ts?: number | undefined;
  readonly user?: Untyped;
  readonly v?: string | undefined;
}

/** An event that was declared with `eventType`: its name, and with a schema the type of its data. */
export interface EventType<Name extends string = string, Data = Untyped> {
  readonly name: Name;
  readonly version: string | undefined;
  readonly schema: StandardSchemaV1<Data> | undefined;
  /**
   * Makes a payload for `eddy.send`, which checks it.
   * @example
   * ```ts
   * import { Eddy, eventType } from "@eddy/sdk";
   *
   * const cartPurchased = eventType("cart/purchased");
   * await new Eddy({ id: "shop" }).send(cartPurchased.create({ cart_id: "c1" }, { id: "purchase-7" }));
   * ```
   */
  create(
    data: Data,
    options?: { id?: string; ts?: number; user?: Untyped },
  ): EventPayload<Name, Data> & { readonly data: Data };
}

/** Options of `eventType`. */
export interface EventTypeOptions<Schema extends StandardSchemaV1> {
  /** Checks `data` when it is sent and when it starts a run: any Standard Schema, such as one of zod. */
  readonly schema?: Schema;
  /** Becomes the event's `v`. */
  readonly version?: string;
}

/** Event types by the payloads that they made: `send` finds the schema of a payload here. */
const madeBy = new WeakMap<object, EventType>();

/**
 * Declares an event. Without a schema its data is untyped.
 * @throws DefinitionError for a name that is empty or longer than 256 characters.
 * @example
 * ```ts
 * import { Eddy, eventType } from "@eddy/sdk";
 * import { z } from "zod";
 *
 * const asked = eventType("review/asked", { schema: z.object({ draft: z.string(), pages: z.number() }) });
 * new Eddy({ id: "blog" }).createFunction({ id: "review", triggers: asked }, ({ event }) => event.data.pages + 1);
 * ```
 */
export function eventType<const Name extends string>(name: Name): EventType<Name>;
export function eventType<const Name extends string, Schema extends StandardSchemaV1>(
  name: Name,
  options: EventTypeOptions<Schema> & { readonly schema: Schema },
): EventType<Name, StandardSchemaV1.InferInput<Schema>>;
export function eventType<const Name extends string>(
  name: Name,
  options: EventTypeOptions<StandardSchemaV1>,
): EventType<Name>;
export function eventType(name: string, options: EventTypeOptions<StandardSchemaV1> = {}): EventType {
  if (!eventName.safeParse(name).success) {
    const message = `eventType: expected a name of 1 to 256 characters, got ${JSON.stringify(name)}`;
    throw new DefinitionError("EVENT_TYPE_INVALID", message, { path: "name" });
  }
  const { schema, version } = options;
  if (schema !== undefined && !isStandardSchema(schema)) {
    const message = `eventType ${JSON.stringify(name)}: schema is not a Standard Schema, as those of zod are`;
    throw new DefinitionError("EVENT_TYPE_INVALID", message, { path: "schema" });
  }
  const type: EventType = {
    name,
    version,
    schema,
    create(data, extra = {}) {
      const payload = { ...extra, name, data: data as unknown, ...(version === undefined ? {} : { v: version }) };
      madeBy.set(payload, type);
      return payload;
    },
  };
  return Object.freeze(type);
}

/** A schema that checks nothing and only gives `data` the type `T`. */
export function staticSchema<T>(): StandardSchemaV1<T> {
  return { "~standard": { version: 1, vendor: "eddy", validate: (value) => ({ value: value as T }) } };
}

/** The event type that made this payload with `create`. */
export function typeOfPayload(payload: object): EventType | undefined {
  return madeBy.get(payload);
}

export function isEventType(value: unknown): value is EventType {
  return typeof value === "object" && value !== null && typeof (value as { create?: unknown }).create === "function";
}

function isStandardSchema(value: unknown): value is StandardSchemaV1 {
  const holds = (typeof value === "object" && value !== null) || typeof value === "function";
  return holds && typeof (value as StandardSchemaV1)["~standard"]?.validate === "function";
}

/** @returns what is wrong with `data` by the type's schema, with the path of the field; null if nothing is. */
export async function schemaProblem(
  type: EventType,
  data: unknown,
): Promise<{ readonly path: string; readonly message: string } | null> {
  const result = await type.schema?.["~standard"].validate(data);
  const issue = result?.issues?.[0];
  if (issue === undefined) return null;
  const keys = (issue.path ?? []).map((part) => (typeof part === "object" ? part.key : part));
  return { path: ["data", ...keys.map(String)].join("."), message: issue.message };
}

/** @throws SendError EVENT_INVALID naming the field. */
export async function checkData(type: EventType, data: unknown, at: string): Promise<void> {
  const problem = await schemaProblem(type, data);
  if (problem === null) return;
  const message = `${at}${problem.path}: ${problem.message} (schema of ${JSON.stringify(type.name)})`;
  throw new SendError("EVENT_INVALID", message, { path: at + problem.path });
}
