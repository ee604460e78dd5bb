/** Typed events end to end, on a real registry: zod in the app, JSON Schema in the registry, a refusal at the gateway. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, ConnectError, Eddy, eventType, type WorkerConnection } from "@eddy/sdk";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { z } from "zod";
import { readKafkaConfig } from "../engine/src/config/kafka-config.js";
import { startEngine, type Engine } from "../engine/src/main.js";
import { registryReady } from "../scripts/kafka/registry.js";

const namespace = `t${randomUUID().slice(0, 8)}`;
/** Subjects of a registry are shared by all namespaces. */
const name = `cart/added.${namespace}`;
let registry: string;
let folder: string;
let engine: Engine;
let worker: WorkerConnection | null = null;
beforeAll(async () => {
  registry = await registryReady(inject("schemaRegistry"));
  folder = await mkdtemp(join(tmpdir(), "eddy-typed-"));
  const brokers = [...inject("kafkaBrokers")];
  const own = { brokers, namespace, dev: true, host: "127.0.0.1", port: 0, partitions: 2, senderSettle: 300 };
  const options = { ...own, dataDir: folder, logLevel: "silent", schemaRegistry: { url: registry } };
  engine = await startEngine(readKafkaConfig({ options, environment: {} }));
});
afterAll(async () => {
  await worker?.close();
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

/** A deploy of the app, whose event has this shape. */
function deploy(schema: z.ZodType<Record<string, unknown>>): Promise<WorkerConnection> {
  const added = eventType(name, { schema });
  const client = new Eddy({ id: "shop", baseUrl: engine.url, schemaRegistry: { url: registry } });
  const fn = client.createFunction({ id: "cart", triggers: added }, () => "done");
  return connect({ apps: [{ client, functions: [fn] }], handleShutdownSignals: false });
}

function send(data: unknown): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return fetch(`${engine.url}/e/dev`, { method: "POST", headers, body: JSON.stringify([{ name, data }]) });
}

it("registers an app's schemas, refuses events and deploys that do not fit", async () => {
  const cart = z.object({ cart: z.string(), items: z.array(z.object({ sku: z.string() })) });
  worker = await deploy(cart);
  const subject = `${registry}/subjects/${encodeURIComponent(`${name}-value`)}`;
  const registered = (await (await fetch(`${subject}/versions/latest`)).json()) as Record<string, unknown>;
  expect(registered).toMatchObject({ version: 1, schemaType: "JSON" });
  expect(JSON.parse(String(registered["schema"]))).toMatchObject({ required: ["cart", "items"] });

  expect((await send({ cart: "c1", items: [{ sku: "s" }] })).status).toBe(200);
  const refused = await send({ cart: "c1", items: [{ sku: "s" }, { sku: 7 }] });
  expect(refused.status).toBe(400);
  expect(await refused.json()).toMatchObject({
    error: { code: "INVALID_EVENT", path: "data.items[1].sku", message: expect.stringContaining("must be string") },
  });

  // As most registries have it from the start.
  const config = `${registry}/config/${encodeURIComponent(`${name}-value`)}`;
  const body = JSON.stringify({ compatibility: "BACKWARD" });
  await fetch(config, { method: "PUT", headers: { "content-type": "application/json" }, body });
  const refusal = deploy(z.object({ cart: z.number(), items: z.array(z.unknown()) }));
  await expect(refusal).rejects.toThrow(ConnectError);
  await expect(refusal).rejects.toMatchObject({
    code: "SCHEMA_INCOMPATIBLE",
    message: expect.stringMatching(/does not fit what is registered: .*SUBSCHEMA_TYPE_CHANGED at \/properties\/cart/),
  });
  expect(worker.state, "the former deploy works on").toBe("ACTIVE");
  // The same schema again is no new version.
  await (await deploy(cart)).close();
  expect(await (await fetch(`${subject}/versions`)).json()).toEqual([1]);
});
