/** A broker that is away for a while, and one that refuses: what an engine says and does meanwhile. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { ConfigError } from "../../../clients/src/errors/codes.js";
import { startKafka, USERS, type KafkaCluster } from "../../../scripts/kafka/cluster.js";
import { eventually } from "../e2e/fixtures.js";
import { Engines, partitionsOf, PARTITIONS, post, runsOf, send } from "./engines.js";

/** What was tried while the broker was away may go on trying for 15 s before it is begun anew. */
const RECOVERY_MS_MAX = 60_000;

let cluster: KafkaCluster;
let engines: Engines;
beforeAll(async () => {
  cluster = await startKafka({ nodes: 1, ownNodes: true });
});
afterAll(() => cluster.stop());
beforeEach(() => {
  engines = new Engines(cluster.brokers);
});
afterEach(() => engines.close());

const node = () => cluster.nodes[0]!;

it("answers 503 within a bounded time while the broker is away, says why, and goes on by itself", async () => {
  const { engine } = await engines.start();
  await node().pause();
  const askedAtMs = performance.now();
  const refused = await post(engine, "/e/dev", { name: "a", id: "while-away" });
  expect(refused.status).toBe(503);
  expect(refused.headers.get("retry-after")).toBe("1");
  expect(performance.now() - askedAtMs).toBeLessThan(15_000);
  const reasons = await eventually("not ready", async () => {
    const reply = await fetch(`${engine.url}/health/ready`);
    return reply.status === 503 && ((await reply.json()) as { reasons: string[] }).reasons;
  });
  expect(reasons.join()).toMatch(/the log does not answer|taken over/);
  expect((await fetch(`${engine.url}/health/live`)).status).toBe(200);
  await node().resume();
  const isReady = async (): Promise<boolean> => (await fetch(`${engine.url}/health/ready`)).status === 200;
  await eventually("ready again", isReady, RECOVERY_MS_MAX);
  await eventually("all partitions", async () => {
    return (await partitionsOf(engine, engines.namespace)).length === PARTITIONS;
  });
  const id = await send(engine, "a", {});
  expect(await eventually("a look-up is answered", () => runsOf(engine, id))).toEqual([]);
}, 120_000);

it("starts by itself once the broker is there", async () => {
  await node().kill();
  const { engine, logger } = await engines.open();
  await eventually("it waits", () => engine.readiness().reasons.join().includes("no Kafka broker answers"));
  expect((await post(engine, "/e/dev", { name: "a" })).status).toBe(503);
  expect(logger.lines.filter(({ level }) => level === "warn")).toHaveLength(1);
  await node().start();
  await engine.started;
  expect(engine.readiness()).toEqual({ ready: true, reasons: [] });
  await send(engine, "a", {});
});

it("logs in, and names what is wrong with who may not", async () => {
  const brokers = cluster.secureBrokers;
  const as = (username: string, password: string) => ({ brokers, sasl: { mechanism: "plain", username, password } });
  const { engine } = await engines.start(as("eddy", USERS.eddy));
  await send(engine, "a", {});
  for (const [username, password] of [
    ["eddy", "a-wrong-one"],
    ["guest", USERS.guest],
  ] as const) {
    const { engine: refused } = await engines.open(as(username, password));
    const error = await refused.started.then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(/credentials, certificates and permissions/);
    expect((error as Error).message).not.toContain(password);
  }
});

it("logs in with tokens, and names what is wrong with who gets none", async () => {
  const idp = await tokenEndpoint("right");
  try {
    const as = (clientSecret: string) => ({
      brokers: cluster.secureBrokers,
      sasl: { mechanism: "oauthbearer", tokenEndpoint: idp.url, clientId: "eddy", clientSecret },
    });
    const { engine } = await engines.start(as("right"));
    await send(engine, "a", {});
    const { engine: refused } = await engines.open(as("a-wrong-one"));
    const problem = await refused.started.catch((thrown: unknown) => thrown);
    expect(problem).toBeInstanceOf(ConfigError);
    expect((problem as Error).message).toMatch(/answered 401: check clientId, clientSecret and scope/);
  } finally {
    idp.close();
  }
});

/** Gives tokens that nobody signed to who knows the secret: the test's broker takes them. */
async function tokenEndpoint(secret: string): Promise<{ readonly url: string; close(): void }> {
  const right = `Basic ${Buffer.from(`eddy:${secret}`).toString("base64")}`;
  const part = (content: object): string => Buffer.from(JSON.stringify(content)).toString("base64url");
  const server = createServer((request, response) => {
    const exp = Math.floor(Date.now() / 1_000) + 600;
    const token = `${part({ alg: "none" })}.${part({ sub: "eddy", iat: exp - 660, exp })}.`;
    const isRight = request.headers.authorization === right;
    const body = isRight ? { access_token: token, expires_in: 600 } : { error: "invalid_client" };
    response.writeHead(isRight ? 200 : 401, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`, close: () => void server.close() };
}
