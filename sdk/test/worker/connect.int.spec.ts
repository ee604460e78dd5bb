/** `connect` as users call it: worker, transport and sockets together, in real time. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StepRequest } from "@eddy/schemas";
import { z } from "zod";
import { connect, Eddy, eventType, type WorkerConnection } from "../../src/index.js";
import { decodeJson, encodeJson } from "../../src/protocol/json.js";
import { deferred, memoryLogger } from "../manual-clock.js";
import { eventually, FakeGateway } from "./fake-gateway.js";

let gateway: FakeGateway;
let eddy: Eddy;
let open: WorkerConnection[];

beforeEach(async () => {
  gateway = await new FakeGateway().listen();
  eddy = new Eddy({ id: "shop", baseUrl: gateway.httpUrl, logger: memoryLogger() });
  open = [];
});
afterEach(async () => {
  await Promise.all(open.map((connection) => connection.close()));
  await gateway.stop();
});

async function connected(...args: Parameters<typeof connect>): Promise<WorkerConnection> {
  const connection = await connect(...args);
  open.push(connection);
  return connection;
}

const request = (functionId: string, runId = "00a-run"): StepRequest => ({
  app: "shop",
  functionId,
  runId,
  invocation: 1,
  attempt: 0,
  maxAttempts: 5,
  stepAttempts: [],
  event: encodeJson({ name: "started", id: "e1", ts: 1, data: { n: 20 } }),
  memo: [],
  memoTotal: 0,
});

describe("connect", () => {
  it("lets steps send with their app's client: its way, its schemas, until the worker is closed", async () => {
    const bodies: unknown[] = [];
    const fetch = (async (_: string, { body }: { body: string }) => {
      bodies.push(JSON.parse(body));
      return new Response(JSON.stringify({ ids: ["given"], status: 200 }));
    }) as unknown as typeof globalThis.fetch;
    const schemas = [eventType("typed", { schema: z.object({ n: z.number() }) })] as const;
    const client = new Eddy({ id: "shop", baseUrl: gateway.httpUrl, logger: memoryLogger(), fetch, schemas });
    const sending = client.createFunction({ id: "sending", triggers: { event: "started" } }, async ({ step }) => {
      const { ids } = await step.sendEvent("good", { name: "typed", data: { n: 1 } });
      const bad = step.sendEvent("bad", { name: "typed", data: { n: "1" } as never });
      return [ids, await bad.catch((error: unknown) => (error as Error).message)];
    });
    const connection = await connected({ apps: [{ client, functions: [sending] }] });
    await client.close(); // What the client itself sends with.
    gateway.send({ kind: "request", request: request("shop/sending") });
    await eventually(() => gateway.of("report").some(({ report }) => report.ops[0]?.kind === "stepFailed"));
    expect(bodies).toEqual([{ name: "typed", data: { n: 1 }, id: "00a-run/good/0" }]);
    const [good, bad] = gateway.of("report").flatMap(({ report }) => report.ops);
    expect(good?.kind === "stepCompleted" && decodeJson(good.data)).toEqual({ ids: ["given"] });
    expect(bad).toMatchObject({ retriable: false, error: { message: expect.stringContaining("data.n") } });
    await connection.close();
  });

  it("registers the functions, works, and closes", async () => {
    const double = eddy.createFunction({ id: "double", triggers: { event: "started" } }, async ({ event, step }) => {
      const twice = await step.run("twice", () => event.data.n * 2);
      return { twice };
    });
    const connection = await connected({ apps: [{ client: eddy, functions: [double] }], slots: 7, instanceId: "me" });
    expect(connection.state).toBe("ACTIVE");
    expect(gateway.of("hello")[0]).toMatchObject({
      workerId: "me",
      slots: 7,
      config: { app: "shop", functions: [{ id: "double", retries: 4 }] },
    });
    gateway.send({ kind: "request", request: request("shop/double") });
    await eventually(() => gateway.of("report").length === 2);
    const [first, last] = gateway.of("report").map(({ report }) => report);
    expect(first).toMatchObject({ ops: [{ kind: "stepCompleted", stepId: "twice" }], outcome: null });
    const outcome = last?.outcome;
    expect(outcome?.kind === "returned" && decodeJson(outcome.data)).toEqual({ twice: 40 });
    await connection.close();
    await connection.closed;
    expect([connection.state, gateway.open]).toEqual(["CLOSED", 0]);
    expect(gateway.frames.slice(-2)).toEqual([{ kind: "drain" }, { kind: "leaving", running: [] }]);
    expect(gateway.closes).toEqual([{ code: 1000, reason: "the worker closes" }]);
  });

  it("goes on with running work over a lost connection, and tells its results after", async () => {
    const gate = deferred();
    const slow = eddy.createFunction({ id: "slow", triggers: { event: "started" } }, ({ step }) =>
      step.run("slow", () => gate.promise.then(() => "done")),
    );
    const connection = await connected({ apps: [{ client: eddy, functions: [slow] }] });
    gateway.send({ kind: "request", request: request("shop/slow") });
    await eventually(() => gateway.connections === 1);
    gateway.cut();
    await eventually(() => connection.state === "RECONNECTING");
    gate.resolve();
    await eventually(() => gateway.of("report").some(({ report }) => report.outcome?.kind === "returned"));
    expect([connection.state, gateway.connections]).toEqual(["ACTIVE", 2]);
    const beats = gateway.of("heartbeat");
    expect(beats.every(({ running }) => running[0]?.runId === "00a-run")).toBe(true);
  });

  it("rejects with the gateway's code, and leaves nothing open", async () => {
    gateway.onHello = { kind: "refused", code: "CONFIG_INVALID", message: "function f: no" };
    await expect(connect({ apps: [{ client: eddy, functions: [] }] })).rejects.toMatchObject({
      name: "ConnectError",
      code: "CONFIG_INVALID",
    });
    await eventually(() => gateway.open === 0);
  });

  it("opens a connection for each app", async () => {
    const other = new Eddy({ id: "other", baseUrl: gateway.httpUrl, logger: memoryLogger() });
    await connected({
      apps: [eddy, other].map((client) => ({ client, functions: [] })),
      baseUrl: `${gateway.httpUrl}/`,
    });
    expect(
      gateway
        .of("hello")
        .map(({ config }) => config.app)
        .sort(),
    ).toEqual(["other", "shop"]);
  });

  it.each(["SIGTERM", "SIGINT"] as const)("ends the wait for a gateway on %s, and says so", async (signal) => {
    await gateway.stop(); // Nobody answers there any more.
    const before = process.listenerCount(signal);
    const connecting = connected({ apps: [{ client: eddy, functions: [] }] });
    process.emit(signal, signal);
    await expect(connecting).rejects.toMatchObject({
      name: "ConnectError",
      code: "WORKER_CLOSED",
      message: `connect was ended by ${signal} before it was connected`,
    });
    expect(process.listenerCount(signal)).toBe(before);
  });

  it("drains on SIGTERM, once, and leaves later signals alone", async () => {
    const before = process.listenerCount("SIGTERM");
    const connection = await connected({ apps: [{ client: eddy, functions: [] }] });
    expect(process.listenerCount("SIGTERM")).toBe(before + 1);
    process.emit("SIGTERM");
    await connection.closed;
    expect([connection.state, process.listenerCount("SIGTERM"), process.listenerCount("SIGINT")]).toEqual([
      "CLOSED",
      before,
      before,
    ]);
    expect(gateway.of("drain")).toHaveLength(1);
  });

  it("leaves signals alone where it is told to", async () => {
    const before = process.listenerCount("SIGTERM");
    await connected({ apps: [{ client: eddy, functions: [] }], handleShutdownSignals: false });
    expect(process.listenerCount("SIGTERM")).toBe(before);
  });
});
