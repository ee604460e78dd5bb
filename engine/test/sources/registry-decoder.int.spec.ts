/** A registry in trouble, told from one that does not have the schema. The other cases run on a real one. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TransientError } from "@eddy/clients/errors";
import { NO_HEADERS, UndecodableError } from "../../src/sources/decoded.js";
import { RegistryDecoder } from "../../src/sources/registry-decoder.js";

const SCHEMA = { $id: "same", type: "object", properties: { n: { type: "number" } }, required: ["n"] };
const record = (id: number, text: string): Uint8Array =>
  Buffer.concat([Buffer.from([0, 0, 0, 0, id]), Buffer.from(text)]);

describe("a decoder by the registry", () => {
  let server: Server;
  let answer: { readonly status: number; readonly body: unknown };
  let asked: (string | undefined)[];
  let decode: (value: Uint8Array) => Promise<unknown>;
  beforeEach(async () => {
    asked = [];
    server = createServer((request, response) => {
      asked.push(request.headers.authorization);
      response.writeHead(answer.status, { "content-type": "application/json" }).end(JSON.stringify(answer.body));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/apis/ccompat/v7`;
    const decoder = new RegistryDecoder({ url, username: "eddy", password: "secret" });
    decode = async (value) => decoder.decode("json-schema")(value, NO_HEADERS);
  });
  afterEach(() => new Promise((resolve) => server.close(resolve)));
  const jsonSchema = (schema: unknown) => ({
    status: 200,
    body: { schemaType: "JSON", schema: JSON.stringify(schema) },
  });

  it("waits for one that fails, and asks once for a schema that it got", async () => {
    answer = { status: 503, body: { message: "starting" } };
    await expect(decode(record(1, '{"n":1}'))).rejects.toThrow(TransientError);
    answer = { status: 401, body: { message: "who are you" } };
    await expect(decode(record(1, '{"n":1}'))).rejects.toThrow(TransientError);
    answer = jsonSchema(SCHEMA);
    expect(await decode(record(1, '{"n":1}'))).toEqual({ n: 1 });
    expect(await decode(record(1, '{"n":2}'))).toEqual({ n: 2 });
    expect(asked).toEqual(Array.from({ length: 3 }, () => `Basic ${Buffer.from("eddy:secret").toString("base64")}`));
  });

  it("waits for one that is not there", async () => {
    await new Promise((resolve) => server.close(resolve));
    await expect(decode(record(1, "{}"))).rejects.toThrow(TransientError);
  });

  it("takes no record of a schema that it does not have, and does not ask for each", async () => {
    answer = { status: 404, body: { message: "no" } };
    await expect(decode(record(1, "{}"))).rejects.toThrow(UndecodableError);
    await expect(decode(record(1, "{}"))).rejects.toMatchObject({ schemaId: 1 });
    expect(asked).toHaveLength(1);
  });

  it("takes no record of a schema that is none", async () => {
    answer = { status: 200, body: { schemaType: "JSON", schema: '{"type":"nonsense"}' } };
    await expect(decode(record(1, "{}"))).rejects.toThrow("schema 1 cannot be used: schema is invalid");
  });

  it("takes versions of a schema with one $id, and says what does not fit and where", async () => {
    answer = jsonSchema(SCHEMA);
    await expect(decode(record(1, '{"n":"1"}'))).rejects.toThrow("does not fit schema 1: must be number at /n");
    answer = jsonSchema({ ...SCHEMA, properties: { n: { type: "string" } } });
    expect(await decode(record(2, '{"n":"1"}'))).toEqual({ n: "1" });
  });
});
