/** The gateway's door, by the table of routes: what is asked for where, and that no route was forgotten. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fastify } from "fastify";
import { errorReply } from "@eddy/schemas";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NO_METER } from "../../../clients/src/ports/meter.js";
import { Access, lineOf, makeToken, SCOPES, WatchedFiles, type Scope } from "../../src/access/index.js";
import { Guard } from "../../src/gateway/guard.js";
import { openApiDocument, routeScopes } from "../../src/gateway/openapi.js";
import { FORWARDED_HEADER, Peers, READINGS_PATH, WORKERS_PATH } from "../../src/gateway/peers.js";
import { until, world, type World } from "./fixtures.js";
import { FakeOwners, TestGateway, type GatewayOptions } from "./gateway-fixtures.js";

const TOKENS = Object.fromEntries(SCOPES.map((scope) => [scope, makeToken()])) as Record<Scope, string>;
const POST = { method: "POST", headers: { "content-type": "application/json" }, body: '{"name":"a"}' };

/** What the gateway has to ask for, in plain words: the same as its table, from another hand. */
const EXPECTED: Readonly<Record<string, Scope | null>> = {
  "POST /e/{key}": "send",
  "GET /v1/events/{id}": "read",
  "GET /v1/events/{id}/runs": "read",
  "GET /v1/runs": "read",
  "GET /v1/runs/{id}": "read",
  "DELETE /v1/runs/{id}": "operate",
  "GET /v1/runs/{id}/timeline": "read",
  "GET /v1/functions": "read",
  "GET /dev/clock": "read",
  "POST /dev/clock/advance": "operate",
  "GET /health/live": null,
  "GET /health/ready": null,
  "GET /metrics": "read",
  "GET /openapi.json": null,
  "GET /": null,
  [`GET ${READINGS_PATH}`]: "peer",
  [`GET ${WORKERS_PATH}`]: "peer",
};

let w: World;
let folder: string;
let access: Access;
let files: WatchedFiles;
let faces: TestGateway[];
let sockets: Socket[];
beforeEach(async () => {
  w = await world();
  folder = mkdtempSync(join(tmpdir(), "eddy-guard-"));
  const tokensFile = join(folder, "tokens.yaml");
  writeFileSync(
    tokensFile,
    SCOPES.map((scope) => lineOf(TOKENS[scope], { name: scope, scopes: [scope], apps: [] })).join("\n"),
  );
  files = new WatchedFiles(w);
  access = new Access({ tokensFile }, files);
  faces = [];
  sockets = [];
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(faces.map(({ gateway }) => gateway.close()));
  await w.close();
  rmSync(folder, { recursive: true });
});

async function face(options: Partial<GatewayOptions> = {}): Promise<TestGateway> {
  const made = new TestGateway(w, { owners: new FakeOwners(), access, ...options });
  faces.push(made);
  await made.listen();
  return made;
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe("the table of routes", () => {
  it("has every operation of the OpenAPI document", () => {
    const { paths } = openApiDocument() as { paths: Record<string, Record<string, { security?: object }>> };
    const documented = Object.entries(paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, { security }]) => {
        const route = `${method.toUpperCase()} ${path}`;
        const scope = EXPECTED[route];
        expect(security, route).toEqual(scope === null ? undefined : [{ token: [scope] }]);
        return route;
      }),
    );
    const ofEngines = Object.keys(EXPECTED).filter((route) => route.includes("/internal/"));
    expect([...documented, ...ofEngines].sort()).toEqual(Object.keys(EXPECTED).sort());
    expect(routeScopes().size).toBe(documented.length);
  });

  it("refuses a route that it does not have when that is made", async () => {
    const server = fastify();
    new Guard({ access, meter: NO_METER, requestsPerSecondMax: 0, isMetricsOpen: true }).install(server);
    expect(() => server.get("/v1/secrets", () => "all of them")).toThrow(/every route says/);
    await server.close();
  });
});

describe("a gateway with tokens", () => {
  it.each(Object.entries(EXPECTED))("%s asks for %s", async (route, scope) => {
    const { url } = await face({ isMetricsOpen: false });
    const [method = "", path = ""] = route.split(" ");
    const at = url + path.replace("{key}", "dev").replace("{id}", "x");
    const ask = async (token: string | null, how = method): Promise<number> => {
      const headers = { "content-type": "application/json", ...(token === null ? {} : bearer(token)) };
      const reply = await fetch(at, { method: how, headers, body: how === "POST" ? '{"name":"a","by":1}' : null });
      await reply.arrayBuffer();
      return reply.status;
    };
    const methods = method === "GET" ? ["GET", "HEAD"] : [method];
    for (const how of methods) {
      expect(await ask(null, how)).toBe(scope === null ? 200 : 401);
      expect(await ask(makeToken(), how)).toBe(scope === null ? 200 : 401);
      for (const other of SCOPES) {
        const status = await ask(TOKENS[other], how);
        if (scope === null || scope === other) expect([401, 403], `${how} with ${other}`).not.toContain(status);
        else expect(status, `${how} with ${other}`).toBe(403);
      }
    }
  });

  it("takes the event key for a token, as Inngest does, and no other", async () => {
    const { url } = await face();
    const send = async (key: string, headers = {}): Promise<number> =>
      (await fetch(`${url}/e/${key}`, { ...POST, headers: { ...POST.headers, ...headers } })).status;
    expect(await send(TOKENS.send)).toBe(200);
    expect(await send("dev", bearer(TOKENS.send))).toBe(200);
    expect(await send(TOKENS.send, bearer(TOKENS.work))).toBe(200);
    expect(await send(TOKENS.read)).toBe(403);
    expect(await send(makeToken())).toBe(401);
  });

  it("says what is missing, and tells no one's key", async () => {
    const { url } = await face();
    const reply = await fetch(`${url}/v1/runs`);
    expect(reply.headers.get("www-authenticate")).toBe("Bearer");
    expect(errorReply.parse(await reply.json()).error).toMatchObject({ code: "UNAUTHENTICATED" });
    const absent = await fetch(`${url}/e/${TOKENS.send}`, { headers: bearer(TOKENS.send) });
    expect(await absent.text()).not.toContain(TOKENS.send);
    expect(JSON.stringify(w.logger.lines)).not.toContain(TOKENS.send);
  });

  it("believes only engines that they are engines", async () => {
    const { url } = await face();
    const ask = async (token: string): Promise<number> => {
      const headers = { ...bearer(token), [FORWARDED_HEADER]: "test", "x-eddy-partitions": "0" };
      return (await fetch(`${url}/v1/runs`, { headers })).status;
    };
    expect(await ask(TOKENS.read)).toBe(403);
    expect(await ask(TOKENS.peer)).not.toBe(403);
  });

  it("lets other engines look things up by their token, and by no other", async () => {
    const { url } = await face();
    const ask = (token: string | null) => new Peers("test", 2_000, () => token).readings(url);
    expect((await ask(TOKENS.peer)).length).toBeGreaterThan(0);
    await expect(ask(TOKENS.read)).rejects.toThrow(/does not have the scope peer/);
    await expect(ask(null)).rejects.toThrow(/expected a token/);
  });

  it("keeps figures open unless it is told not to", async () => {
    const { url } = await face();
    expect((await fetch(`${url}/metrics`)).status).toBe(200);
  });
});

describe("limits", () => {
  it("counts requests by token: who asks too often waits, others do not", async () => {
    const { url } = await face({ limits: { requestsPerSecondMax: 3 } });
    const ask = async (token: string): Promise<Response> =>
      fetch(`${url}/e/dev`, { ...POST, headers: { ...POST.headers, ...bearer(token) } });
    const greedy = await Promise.all(Array.from({ length: 12 }, () => ask(TOKENS.send)));
    const refused = greedy.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]?.headers.get("retry-after")).toBe("1");
    expect((await fetch(`${url}/v1/functions`, { headers: bearer(TOKENS.read) })).status).toBe(200);
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
  });

  it("counts those who guess by address, and they do not take what a token has", async () => {
    const { url } = await face({ limits: { requestsPerSecondMax: 3 } });
    const guesses = await Promise.all(
      Array.from({ length: 12 }, () => fetch(`${url}/v1/functions`, { headers: bearer(makeToken()) })),
    );
    expect(new Set(guesses.map(({ status }) => status))).toEqual(new Set([401, 429]));
    expect((await fetch(`${url}/v1/functions`, { headers: bearer(TOKENS.read) })).status).toBe(200);
  });

  it.each([
    ["of one address", { connectionsPerAddressMax: 2 }],
    ["in all", { connectionsMax: 2 }],
  ])("drops connections above those that may be %s, and takes new ones when one has gone", async (_, limits) => {
    const { url } = await face({ limits });
    const port = Number(new URL(url).port);
    const open = () => {
      const socket = connect(port, "127.0.0.1");
      const state = { isClosed: false, answer: "", socket };
      socket.on("data", (data: Buffer) => (state.answer += data.toString()));
      socket.on("error", () => undefined);
      socket.on("close", () => (state.isClosed = true));
      socket.write("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
      return state;
    };
    const first = open();
    await until("it is served", () => first.answer.includes("live"));
    const second = open();
    await until("it is served", () => second.answer.includes("live"));
    const third = open();
    await until("it is dropped", () => third.isClosed);
    expect(third.answer).toBe("");
    first.socket.destroy();
    await until("there is room again", async () => {
      const again = open();
      await until("it is served or dropped", () => again.isClosed || again.answer !== "");
      again.socket.destroy();
      return again.answer.includes("live");
    });
    second.socket.destroy();
  });

  /** A connection on which nothing is ever said, nor read. */
  async function silent(url: string): Promise<void> {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    socket.on("error", () => undefined);
    sockets.push(socket);
    await until("connected", () => !socket.connecting);
  }

  it("cuts a connection that never says anything, even if it does not hear that", async () => {
    const arrival = { headersMsMax: 10, requestMsMax: 20, lookEveryMs: 10 };
    const { url } = await face({ arrival, limits: { connectionsPerAddressMax: 1 } });
    await silent(url);
    await until("there is room for another", () =>
      fetch(`${url}/health/live`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
  });

  it("does not wait for such a connection when it closes", async () => {
    const { url, gateway } = await face();
    await silent(url);
    let hasEnded = false;
    void gateway.close().then(() => (hasEnded = true));
    await until("the gateway has closed", () => {
      w.clock.advance(1_000);
      return hasEnded;
    });
  });
});
