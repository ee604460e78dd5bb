/** Protobuf records name their message within the file, which the library passes over. */
import { createRequire } from "node:module";
import { describe, expect, it } from "vitest";
import { UndecodableError } from "../../src/sources/decoded.js";
import { decodeProto, type ProtoMessage } from "../../src/sources/message-index.js";

interface Root {
  lookupType(name: string): ProtoMessage & {
    encode(message: object): { finish(): Uint8Array };
    fromObject(plain: object): object;
  };
}
// As the library loads it: it is its dependency, not ours.
const load = createRequire(createRequire(import.meta.url).resolve("@kafkajs/confluent-schema-registry"));
const protobuf = load("protobufjs") as { parse(text: string): { readonly root: Root } };

const { root } = protobuf.parse(`
  syntax = "proto3";
  package shop;
  enum Kind { NONE = 0; BOOK = 1; }
  message First { string name = 1; }
  message Second { int64 total = 1; Kind kind = 2; bytes raw = 3; message Inner { int32 n = 1; } }
`);
const first = root.lookupType("shop.First");
const record = (index: readonly number[], type: string, value: object): Uint8Array => {
  const message = root.lookupType(type);
  return Buffer.concat([Uint8Array.from(index), message.encode(message.fromObject(value)).finish()]);
};

describe("the message index", () => {
  it("0 alone is the first message; an empty message is one, too", () => {
    expect(decodeProto(first, record([0], "shop.First", { name: "a" }), 1)).toEqual({ name: "a" });
    expect(decodeProto(first, record([0], "shop.First", {}), 1)).toEqual({});
  });

  it("a path leads to the others, nested ones with them; values are as JSON has them", () => {
    const value = { total: "9007199254740993", kind: "BOOK", raw: Buffer.from("hi") };
    expect(decodeProto(first, record([2, 2], "shop.Second", value), 1)).toEqual({
      total: "9007199254740993",
      kind: "BOOK",
      raw: "aGk=",
    });
    expect(decodeProto(first, record([4, 2, 0], "shop.Second.Inner", { n: 5 }), 1)).toEqual({ n: 5 });
  });

  it.each([
    [[2, 8], "schema 1 has no message 4"],
    [[2], "the value ends within its message index"],
    [[], "the value ends within its message index"],
    [[0x80, 0x01], "a message index of 64 parts"],
    [[1], "a message index of -1 parts"],
  ])("%j is refused: %s", (index, problem) => {
    const decode = () => decodeProto(first, Uint8Array.from(index), 1);
    expect(decode).toThrow(UndecodableError);
    expect(decode).toThrow(problem);
  });
});
