/** What is registered and what is said, by a registry that is scripted. A real one: e2e/typed-events. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Clock } from "@eddy/clients";
import { eventType, staticSchema, type EventType } from "../../src/define/event-type.js";
import { registerSchemas } from "../../src/worker/register-schemas.js";

describe("schemas of an app's events", () => {
  let server: Server;
  let url: string;
  /** Answers, the last one for all that follow. */
  let answers: { readonly status: number; readonly body: unknown }[];
  let asked: { readonly path: string; readonly login: string | undefined; readonly body: string }[];
  let said: string[];
  beforeEach(async () => {
    [answers, asked, said] = [[{ status: 200, body: { id: 1 } }], [], []];
    server = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        asked.push({ path: request.url ?? "", login: request.headers.authorization, body });
        const answer = answers.length > 1 ? answers.shift() : answers[0];
        response.writeHead(answer?.status ?? 500).end(JSON.stringify(answer?.body));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  const pauses: number[] = [];
  const clock: Clock = { nowMs: () => 0, sleep: (ms) => Promise.resolve(void pauses.push(ms)) };
  const note = (message: string): void => void said.push(message);
  const logger = { debug: note, info: note, warn: note, error: note };
  function register(types: readonly EventType[], signal = new AbortController().signal): Promise<void> {
    const registry = { url, username: "eddy", password: "secret" };
    return registerSchemas({ app: "shop", registry, types, logger, signal, clock });
  }
  const paid = eventType("order/paid", { schema: z.object({ total: z.number() }) });

  it("go under <event>-value, as JSON Schema, each once, with the login", async () => {
    await register([paid, paid]);
    expect(asked.map(({ path }) => path)).toEqual(["/subjects/order%2Fpaid-value/versions"]);
    expect(asked[0]?.login).toBe(`Basic ${Buffer.from("eddy:secret").toString("base64")}`);
    const { schemaType, schema } = JSON.parse(asked[0]?.body ?? "") as { schemaType: string; schema: string };
    expect(schemaType).toBe("JSON");
    expect(JSON.parse(schema)).toMatchObject({ type: "object", properties: { total: { type: "number" } } });
  });

  it("are left out where JSON Schema has no words for them, or they are of many events", async () => {
    const dated = eventType("dated", { schema: z.object({ at: z.date() }) });
    const all = eventType("order/*", { schema: z.object({ total: z.number() }) });
    await register([dated, all, eventType("plain"), eventType("typed", { schema: staticSchema<{ a: 1 }>() })]);
    expect(asked).toEqual([]);
    expect(said).toEqual([expect.stringContaining("the schema of dated has no JSON Schema")]);
  });

  it("wait for a registry that fails, and say so", async () => {
    answers = [{ status: 503, body: { message: "starting" } }, { status: 429, body: "slow down" }, ...answers];
    await register([paid]);
    expect(asked).toHaveLength(3);
    expect(pauses).toEqual([500, 1_000]);
    expect(said[0]).toContain("(503): starting; trying again");
  });

  it("end the start in the registry's words", async () => {
    answers = [{ status: 409, body: { error_code: 409, message: "total was a number" } }];
    await expect(register([paid])).rejects.toMatchObject({
      name: "ConnectError",
      code: "SCHEMA_INCOMPATIBLE",
      message: 'the schema of "order/paid" does not fit what is registered: total was a number',
    });
    answers = [{ status: 401, body: { message: "who are you" } }];
    await expect(register([paid])).rejects.toMatchObject({ code: "SCHEMA_REFUSED" });
  });

  it("are given up when the connection is closed", async () => {
    answers = [{ status: 503, body: {} }];
    const closing = new AbortController();
    closing.abort();
    await register([paid], closing.signal);
    expect(asked).toEqual([]);
  });
});
