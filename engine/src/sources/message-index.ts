/**
 * Which message of a `.proto` file a record holds. Behind the schema's id stands a path of zigzag varints, its length
 * first; a single 0 is short for the file's first message. `@kafkajs/confluent-schema-registry` 3.9 and 4.1 pass over
 * leading zeros and take the first message always: another one would be misread without an error, hence this.
 */
import { UndecodableError } from "./decoded.js";

export interface ProtoMessage {
  /** A schema's own, as protobufjs has it. */
  readonly nestedArray?: readonly unknown[];
  readonly parent: ProtoMessage | null;
  /** Of messages alone. */
  readonly fieldsArray?: readonly unknown[];
  decode(bytes: Uint8Array): unknown;
  toObject(message: unknown, options: object): unknown;
}

/** How deep messages may be nested. */
const DEPTH_MAX = 32;
/** Integers of 64 bits as text, as the JSON form of protobuf has them: they may not fit a number. */
const AS_JSON = { longs: String, enums: String, bytes: String } as const;

/**
 * @param first message of the file that the schema is
 * @returns the message as JSON has it: fields at their defaults are left out. @throws UndecodableError
 */
export function decodeProto(first: ProtoMessage, bytes: Uint8Array, schemaId: number): unknown {
  const { path, end } = readIndex(bytes, schemaId);
  let messages = messagesOf(first.parent);
  let found: ProtoMessage | undefined;
  for (const index of path) {
    found = messages[index];
    if (found === undefined) {
      throw new UndecodableError(`schema ${schemaId} has no message ${path.join(".")}`, schemaId);
    }
    messages = messagesOf(found);
  }
  const type = found ?? first;
  return type.toObject(type.decode(bytes.subarray(end)), AS_JSON);
}

function messagesOf(parent: ProtoMessage | null): readonly ProtoMessage[] {
  return (parent?.nestedArray ?? []).filter((each): each is ProtoMessage => {
    return (each as ProtoMessage).fieldsArray !== undefined;
  });
}

function readIndex(bytes: Uint8Array, schemaId: number): { readonly path: readonly number[]; readonly end: number } {
  let at = 0;
  const next = (): number => {
    let value = 0;
    for (let shift = 0; shift < 32; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) break;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    throw new UndecodableError("the value ends within its message index", schemaId);
  };
  const length = next();
  if (length === 0) return { path: [0], end: at };
  if (length < 0 || length > DEPTH_MAX) throw new UndecodableError(`a message index of ${length} parts`, schemaId);
  return { path: Array.from({ length }, next), end: at };
}
