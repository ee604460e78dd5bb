/** The OpenAPI document is valid, has every route, and is true: live answers fit it. */
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { fastify } from "fastify";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NO_METER } from "../../../clients/src/ports/meter.js";
import { REQUEST_CODES } from "../../../clients/src/errors/request-error.js";
import { PrometheusMeter } from "../../src/adapters/prometheus/index.js";
import { installRoutes } from "../../src/gateway/http-routes.js";
import { openApiDocument } from "../../src/gateway/openapi.js";
import type { HistoryTailer } from "../../src/history/history-tailer.js";
import { appOf, fn, inForce, until, world, type World } from "./fixtures.js";
import { FakeOwners, TestGateway } from "./gateway-fixtures.js";
import { histories, HistoryWriter, runOn } from "./history-fixtures.js";

interface Answer {
  readonly description: string;
  readonly headers?: object;
  readonly content: Readonly<Record<string, { readonly schema: object }>>;
}
interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, { responses: Readonly<Record<string, Answer>> }>>>>;
  readonly components: object;
}

describe("the OpenAPI document", () => {
  const document = openApiDocument() as Document;

  it("is valid OpenAPI 3.1", async () => {
    const validator = new Validator();
    const { valid, errors } = await validator.validate(structuredClone(document) as never);
    expect(errors ?? []).toEqual([]);
    expect(valid).toBe(true);
    expect(validator.version).toBe("3.1");
  });

  it("has every route that the server has, and no other", async () => {
    const server = fastify({ exposeHeadRoutes: false });
    const served: string[] = [];
    server.addHook("onRoute", ({ method, url }) => void served.push(`${String(method)} ${url}`));
    const never = (): never => {
      throw new Error("nobody asks");
    };
    const readiness = () => ({ ready: true, reasons: [] });
    const clock = { nowMs: () => 0, sleep: () => Promise.resolve() };
    installRoutes(server, {
      service: never,
      namespace: "test",
      readiness,
      clock,
      meter: NO_METER,
      metrics: new PrometheusMeter(),
      guard: { install: () => undefined },
    });
    await server.close();
    const documented = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ":$1")}`),
    );
    const ofEngines = served.filter((route) => route.includes("/internal/"));
    expect(ofEngines).toHaveLength(2);
    expect([...documented].sort()).toEqual(served.filter((route) => !ofEngines.includes(route)).sort());
  });

  it("names every error code, and says of each 503 when to try again", () => {
    const text = JSON.stringify(document);
    // What this server's own paths cannot give: a path that is not there.
    const absent = Object.keys(REQUEST_CODES).filter((code) => code !== "NOT_FOUND" && !text.includes(`\`${code}\``));
    expect(absent).toEqual([]);
    const unavailable = Object.values(document.paths)
      .flatMap((operations) => Object.values(operations))
      .flatMap(({ responses }) => responses["503"] ?? []);
    expect(unavailable.length).toBeGreaterThan(8);
    for (const { headers } of unavailable) expect(headers).toHaveProperty("Retry-After");
  });

  describe("and live answers", () => {
    let w: World;
    let tailers: readonly HistoryTailer[];
    let face: TestGateway;
    let url: string;
    const runId = runOn(1);

    beforeEach(async () => {
      w = await world();
      tailers = await histories(w);
      const owners = new FakeOwners();
      owners.histories = tailers;
      face = new TestGateway(w, { owners });
      url = await face.listen();
      const write = new HistoryWriter(w);
      const base = { runId, functionId: "shop/cart", atMs: 1_500 };
      const error = { name: "E", message: "m", stack: null };
      await write.start(runId);
      await write.write({ kind: "stepCompleted", ...base, stepId: "a", data: new TextEncoder().encode('{"x":1}') });
      await write.write({ kind: "stepFailed", ...base, stepId: "b", error, attempt: 1, retryAtMs: 2_000 });
      await write.write({ kind: "runFailed", ...base, error });
      await write.start(runOn(2));
      await write.complete(runOn(2), { ok: true });
      await write.start(runOn(3));
      await inForce(w, appOf("shop", 1, [fn({ id: "cart", cancelOn: [{ event: "x", timeout: { ms: 5 } }] })]));
    });
    afterEach(async () => {
      await face.gateway.close();
      await Promise.all(tailers.map((tailer) => tailer.stop()));
      await w.close();
    });

    const ajv = formats.default(new Ajv2020({ strict: false, allErrors: true }));
    ajv.addSchema({ $id: "api", ...document });
    const pointer = (path: string): string => path.replaceAll("~", "~0").replaceAll("/", "~1");
    function schemaOf(path: string, method: string, status: number, type: string): ValidateFunction {
      const answer = document.paths[path]?.[method]?.responses[String(status)];
      if (answer?.content[type] === undefined) throw new Error(`${method} ${path} says nothing of ${status} ${type}`);
      const at = ["paths", path, method, "responses", String(status), "content", type, "schema"].map(pointer).join("/");
      return ajv.compile({ $ref: `api#/${encodeURI(at).replaceAll("%7B", "{").replaceAll("%7D", "}")}` });
    }
    const post = { method: "POST", headers: { "content-type": "application/json" } };

    it.each<[path: string, status: number, asked: string, init?: RequestInit]>([
      ["/e/{key}", 200, "/e/dev", { ...post, body: '[{"name":"a"}]' }],
      ["/e/{key}", 400, "/e/dev", { ...post, body: '{"name":""}' }],
      ["/e/{key}", 413, "/e/dev", { ...post, body: JSON.stringify({ name: "a", data: { x: "y".repeat(1_048_576) } }) }],
      ["/e/{key}", 415, "/e/dev", { method: "POST", body: "x" }],
      ["/v1/events/{id}", 200, "/v1/events/e"],
      ["/v1/events/{id}", 404, "/v1/events/nope"],
      ["/v1/events/{id}/runs", 200, "/v1/events/e/runs"],
      ["/v1/runs", 200, "/v1/runs"],
      ["/v1/runs", 200, "/v1/runs?limit=1"],
      ["/v1/runs", 400, "/v1/runs?limit=x"],
      ["/v1/runs/{id}", 200, `/v1/runs/${runId}`],
      ["/v1/runs/{id}", 404, "/v1/runs/nope"],
      ["/v1/runs/{id}", 409, `/v1/runs/${runId}`, { method: "DELETE" }],
      ["/v1/runs/{id}", 400, `/v1/runs/${runId}?x`, { method: "DELETE" }],
      ["/v1/runs/{id}/timeline", 200, `/v1/runs/${runId}/timeline`],
      ["/v1/runs/{id}/timeline", 404, "/v1/runs/nope/timeline"],
      ["/v1/functions", 200, "/v1/functions"],
      ["/v1/functions", 400, "/v1/functions?x=1"],
      ["/dev/clock", 200, "/dev/clock"],
      ["/dev/clock/advance", 400, "/dev/clock/advance", { ...post, body: '{"by":"soon"}' }],
      ["/health/live", 200, "/health/live"],
      ["/health/ready", 200, "/health/ready"],
      ["/metrics", 200, "/metrics"],
      ["/openapi.json", 200, "/openapi.json"],
      ["/", 200, "/"],
    ])("fit it: %s %i", async (path, status, asked, init = {}) => {
      const reply = await fetch(url + asked, init);
      expect(reply.status).toBe(status);
      await expectFits(path, reply, init.method ?? "GET");
    });

    it("fit it where the engine is not ready", async () => {
      face.isStarting = true;
      face.readiness = { ready: false, reasons: ["waiting for the log"] };
      const paths = { "/health/ready": "/health/ready", "/v1/runs": "/v1/runs", "/v1/runs/{id}": `/v1/runs/${runId}` };
      for (const [path, asked] of Object.entries(paths)) {
        const reply = await fetch(url + asked);
        expect(reply.status).toBe(503);
        expect(reply.headers.get("retry-after")).not.toBeNull();
        await expectFits(path, reply, "GET");
      }
    });

    it("fit it where a run's end is still to come", async () => {
      let reply: Response | null = null;
      void fetch(`${url}/v1/runs/${runOn(3)}`, { method: "DELETE" }).then((answer) => (reply = answer));
      const answer: Response = await until("an answer", () => {
        w.clock.advance(20);
        return reply;
      });
      expect(answer.status).toBe(202);
      await expectFits("/v1/runs/{id}", answer, "DELETE");
    });

    it("are judged: a body with a field too many does not fit", () => {
      const validate = schemaOf("/v1/runs", "get", 200, "application/json");
      expect(validate({ data: [], next_cursor: null })).toBe(true);
      expect(validate({ data: [], next_cursor: null, more: 1 })).toBe(false);
      expect(validate({ data: [{}], next_cursor: null })).toBe(false);
    });

    async function expectFits(path: string, reply: Response, method: string): Promise<void> {
      const type = reply.headers.get("content-type")?.split(";")[0] ?? "";
      const validate = schemaOf(path, method.toLowerCase(), reply.status, type);
      const text = await reply.text();
      validate(type === "application/json" ? JSON.parse(text) : text);
      expect(validate.errors ?? []).toEqual([]);
    }
  });
});
