/**
 * Records that name their schema: a zero byte, the schema's id in four, the payload. Schemas come from a registry with
 * Confluent's API, through `@kafkajs/confluent-schema-registry`, which also reads Avro and JSON Schema.
 *
 * Invariants: a registry that does not answer is waited for, however long; only what it says it does not have, or what
 * does not fit its schema, is undecodable. Schemas kept are bounded; so is the time of one question.
 */
import { SchemaRegistry, SchemaType } from "@kafkajs/confluent-schema-registry";
import { LRUCache } from "lru-cache";
import { TransientError } from "@eddy/clients/errors";
import type { SchemaRegistryConfig, SourceConfig } from "../config/source-config.js";
import { UndecodableError, type Decode } from "./decoded.js";
import { compileJsonSchema, type Reference } from "../event-schemas/json-schemas.js";
import { decodeProto, type ProtoMessage } from "./message-index.js";

/** One question to the registry, in ms. */
const ASK_MS_MAX = 5_000;
const SCHEMAS_MAX = 1_000;
/** How long an id is taken for unknown without asking again, in ms: records may be ahead of their schema's replication. */
const UNKNOWN_MS = 10_000;
const HEADER_BYTES = 5;
const CLIENT = "eddy-engine";
const NOT_FOUND = 404;

type Schema = Awaited<ReturnType<SchemaRegistry["getSchema"]>>;

/** What a format's schema looks like in the library, so that a record of another one is told from it. */
const KIND = { avro: "Avro", "json-schema": "JSON Schema", protobuf: "Protobuf" } as const;
type RegistryFormat = keyof typeof KIND;

export class RegistryDecoder {
  readonly #registry: SchemaRegistry;
  readonly #url: string;
  readonly #schemas = new LRUCache<number, Schema>({ max: SCHEMAS_MAX });
  readonly #unknown = new LRUCache<number, string>({ max: SCHEMAS_MAX, ttl: UNKNOWN_MS });

  constructor({ url, username, password }: SchemaRegistryConfig) {
    const auth = username === undefined || password === undefined ? {} : { auth: { username, password } };
    this.#url = url;
    this.#registry = new SchemaRegistry(
      {
        host: url,
        clientId: CLIENT,
        ...auth,
        // Who waits for records waits by himself, with other pauses.
        retry: { retries: 0 },
        middlewares: [() => ({ prepareRequest: async (next) => (await next()).enhance({ timeout: ASK_MS_MAX }) })],
      },
      { [SchemaType.JSON]: { ajvInstance: oneByOne(), detailedErrorPaths: true } },
    );
  }

  /** For one of the formats whose records name a schema. */
  decode(format: SourceConfig["format"]): Decode {
    return async (value) => {
      const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      if (bytes.length < HEADER_BYTES || bytes[0] !== 0) {
        throw new UndecodableError("the value names no schema: expected a zero byte and a schema id of 4 bytes");
      }
      const id = bytes.readInt32BE(1);
      const schema = await this.#schema(id);
      if (formatOf(schema) !== format) {
        const kind = KIND[formatOf(schema)];
        throw new UndecodableError(`schema ${id} is one of ${kind}, the source is for ${format}`, id);
      }
      try {
        const payload = bytes.subarray(HEADER_BYTES);
        if (format === "protobuf") return decodeProto(messageOf(schema), payload, id);
        return plain(schema.fromBuffer(payload));
      } catch (cause) {
        if (cause instanceof UndecodableError) throw cause;
        throw new UndecodableError(`the value does not fit schema ${id}: ${reasonOf(cause)}`, id, { cause });
      }
    };
  }

  async #schema(id: number): Promise<Schema> {
    const known = this.#schemas.get(id);
    if (known !== undefined) return known;
    const why = this.#unknown.get(id);
    if (why !== undefined) throw new UndecodableError(why, id);
    try {
      const schema = await this.#registry.getSchema(id);
      this.#registry.cache.clear(); // The library's own has no bound.
      this.#schemas.set(id, schema);
      return schema;
    } catch (cause) {
      throw this.#unusable(id, cause);
    }
  }

  #unusable(id: number, cause: unknown): Error {
    const status = (cause as { readonly status?: unknown }).status;
    if (typeof status === "number" && status !== NOT_FOUND) {
      const message = `the schema registry at ${this.#url} does not tell schema ${id}: ${reasonOf(cause)}`;
      return new TransientError(message, { schemaId: id, status }, { cause });
    }
    const why =
      status === NOT_FOUND
        ? `the registry at ${this.#url} has no schema ${id}`
        : `schema ${id} cannot be used: ${reasonOf(cause)}`;
    this.#unknown.set(id, why);
    return new UndecodableError(why, id, { cause });
  }
}

/** The library hands over references, then the schema that refers to them, without a pause between. */
function oneByOne() {
  let references: Reference[] = [];
  return {
    addSchema(schema: object, id: string): never {
      references.push({ schema, id });
      return undefined as never; // The library takes no notice of what Ajv returns here.
    },
    compile(schema: object) {
      const own = references;
      references = [];
      return compileJsonSchema(schema, own);
    },
  };
}

function formatOf(schema: Schema): RegistryFormat {
  if ("message" in schema) return "protobuf";
  return "validate" in schema ? "json-schema" : "avro";
}

/** The library declares it private; it is the one way to the file's other messages. */
function messageOf(schema: Schema): ProtoMessage {
  return (schema as unknown as { readonly message: ProtoMessage }).message;
}

/** As JSON has it, with the bytes of Avro as base64. Names of records are not needed any more. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, plain(field)]));
}

/** Where a value does not fit a JSON Schema, the library says it of each fault; the first one is enough. */
function reasonOf(cause: unknown): string {
  const { message, paths } = cause as { readonly message?: string; readonly paths?: readonly Fault[] };
  const [fault] = paths ?? [];
  if (fault === undefined) return message ?? String(cause);
  return `${fault.message} at ${fault.path.join("/") || "/"}`;
}

interface Fault {
  readonly path: readonly string[];
  readonly message: string;
}
