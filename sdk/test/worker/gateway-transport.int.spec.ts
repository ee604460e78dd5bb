/** The transport over a real WebSocket; its clock is in hand, so that pauses and pings come when a test says so. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StepReport } from "@eddy/schemas";
import type { ConnectError } from "../../src/index.js";
import { GatewayTransport } from "../../src/worker/gateway-transport.js";
import type { TransportHandlers } from "../../src/worker/transport.js";
import { ManualClock, memoryLogger } from "../manual-clock.js";
import { eventually, FakeGateway } from "./fake-gateway.js";

const config = { app: "app", functions: [] };
const identity = { workerId: "w1", config, slots: 3 };
const report = (invocation: number): StepReport => ({ runId: "00a-run", invocation, ops: [], outcome: null });

let gateway: FakeGateway;
let clock: ManualClock;
let transport: GatewayTransport;
let logger = memoryLogger();
let seen: string[];
let handlers: TransportHandlers;

beforeEach(async () => {
  gateway = await new FakeGateway().listen();
  clock = new ManualClock();
  logger = memoryLogger();
  seen = [];
  handlers = {
    onRequest: ({ runId, invocation }) => void seen.push(`request ${runId} ${invocation}`),
    onAbort: (runId) => void seen.push(`abort ${runId}`),
    onConnected: ({ leaseMs }) => void seen.push(`connected ${leaseMs}`),
    onDisconnected: () => void seen.push("disconnected"),
  };
  transport = new GatewayTransport({ url: gateway.url, clock, logger, random: () => 0 });
});
afterEach(async () => {
  await transport.close();
  await gateway.stop();
});

/** Moves time until the transport has tried again. */
async function reconnect(): Promise<void> {
  const before = gateway.connections;
  await eventually(() => seen.at(-1) === "disconnected");
  await clock.advance(10_000);
  await eventually(() => gateway.connections > before && seen.at(-1)?.startsWith("connected") === true);
}

describe("the first connection", () => {
  it("says hello and resolves at the welcome", async () => {
    await transport.start(identity, handlers);
    expect(gateway.frames).toEqual([
      { kind: "hello", protocol: 1, workerId: "w1", sdk: "eddy-js/0.1.0", config, slots: 3 },
    ]);
    expect(seen).toEqual(["connected 60000"]);
  });

  it("is refused with the gateway's code, for good", async () => {
    gateway.onHello = { kind: "refused", code: "APP_INVALID", message: "no such thing" };
    await expect(transport.start(identity, handlers)).rejects.toMatchObject({
      name: "ConnectError",
      code: "APP_INVALID",
      message: "no such thing",
    });
    await clock.advance(60_000);
    expect(gateway.connections).toBe(1);
  });

  it("waits for a gateway that is not there yet", async () => {
    await gateway.stop();
    const started = transport.start(identity, handlers);
    await eventually(() => logger.lines.length === 1);
    await gateway.listen();
    await clock.advance(100);
    await started;
    expect(logger.lines[0]?.[1]).toBe("no connection to the gateway; trying again");
    expect(logger.lines[0]?.[0]).toMatchObject({
      againInMs: 50,
      reason: expect.stringContaining("ECONNREFUSED") as string,
    });
  });

  it("is tried anew when the hello is not answered", async () => {
    gateway.onHello = null;
    const started = transport.start(identity, handlers);
    await eventually(() => gateway.of("hello").length === 1);
    gateway.onHello = { kind: "welcome", leaseMs: 1, heartbeatMs: 1 };
    await clock.advance(60_000);
    await eventually(() => logger.lines.length === 1);
    await clock.advance(100);
    await started;
    expect(gateway.connections).toBe(2);
  });

  it("that is still tried for when the worker closes rejects", async () => {
    await gateway.stop();
    const started = transport.start(identity, handlers);
    const refused = expect(started).rejects.toMatchObject({ code: "WORKER_CLOSED" });
    await eventually(() => logger.lines.length === 1);
    await transport.close();
    await refused;
    expect(clock.timers).toBe(0);
  });
});

describe("later connections", () => {
  it("say that the worker comes back, so that a newer version's registration stays; no other hello does", async () => {
    gateway.onHello = null;
    const started = transport.start(identity, handlers);
    await eventually(() => gateway.of("hello").length === 1);
    // Cut before its welcome: it has not been let in yet.
    gateway.onHello = { kind: "welcome", leaseMs: 60_000, heartbeatMs: 20_000 };
    gateway.cut();
    await eventually(() => logger.lines.length === 1);
    await clock.advance(100);
    await started;
    gateway.cut();
    await reconnect();
    expect(gateway.of("hello").map(({ rejoin }) => rejoin)).toEqual([undefined, undefined, true]);
  });
});

describe("frames", () => {
  const request = {
    app: "app",
    functionId: "app/f",
    runId: "00a-run",
    invocation: 1,
    attempt: 0,
    maxAttempts: 5,
    stepAttempts: [],
    event: new Uint8Array([1]),
    memo: [],
    memoTotal: 0,
  };

  it("of the gateway reach the worker", async () => {
    await transport.start(identity, handlers);
    gateway.send({ kind: "request", request });
    gateway.send({ kind: "abort", runId: "00a-run" });
    await eventually(() => seen.length === 3);
    expect(seen).toEqual(["connected 60000", "request 00a-run 1", "abort 00a-run"]);
  });

  it("of the worker reach the gateway", async () => {
    await transport.start(identity, handlers);
    transport.release({ runId: "00a-run", invocation: 2 });
    transport.drain();
    await transport.heartbeat([{ runId: "00a-run", invocation: 1 }]);
    expect(gateway.frames.slice(1)).toEqual([
      { kind: "released", runId: "00a-run", invocation: 2 },
      { kind: "drain" },
      { kind: "heartbeat", running: [{ runId: "00a-run", invocation: 1 }] },
    ]);
  });

  it("end with what the worker still runs", async () => {
    await transport.start(identity, handlers);
    transport.drain();
    await transport.close([{ runId: "00a-run", invocation: 1 }]);
    await transport.close();
    await eventually(() => gateway.closes.length === 1);
    expect(gateway.frames.slice(1)).toEqual([
      { kind: "drain" },
      { kind: "leaving", running: [{ runId: "00a-run", invocation: 1 }] },
    ]);
  });

  it("answer a question for state, for the run and invocation that asked", async () => {
    await transport.start(identity, handlers);
    const first = transport.needState({ runId: "00a-run", invocation: 1 });
    const second = transport.needState({ runId: "00a-run", invocation: 2 });
    await eventually(() => gateway.of("needState").length === 2);
    const state = { runId: "00a-run", invocation: 2, event: new Uint8Array([7]), memo: [] };
    gateway.send({ kind: "state", runId: "00a-run", invocation: 2, state });
    gateway.send({ kind: "state", runId: "00a-run", invocation: 1, state: null });
    gateway.send({ kind: "state", runId: "unasked", invocation: 1, state: null });
    expect(await first).toBeNull();
    expect(Buffer.from((await second)?.event ?? [])).toEqual(Buffer.from([7]));
  });

  it.each([
    ["text", "hello"],
    ["noise", new Uint8Array([9, 9, 9])],
    ["an unknown kind", null],
  ])("that cannot be understood (%s) end the connection, which comes back", async (_, raw) => {
    await transport.start(identity, handlers);
    if (raw === null) gateway.send({ kind: "unheard-of" } as never);
    else gateway.sendRaw(raw);
    await reconnect();
    expect(gateway.closes[0]).toEqual({ code: 4400, reason: "broken frame" });
    expect(logger.lines.some(([, text]) => text === "the gateway sent a frame that cannot be understood")).toBe(true);
  });
});

describe("reports", () => {
  it("resolve with their own ack and reject with their nack", async () => {
    gateway.acksReports = false;
    await transport.start(identity, handlers);
    const settled: string[] = [];
    const reports = [1, 2, 3].map((n) =>
      transport.report(report(n)).then(
        () => settled.push(`${n} ok`),
        (error: unknown) => settled.push(`${n} ${(error as ConnectError).code}`),
      ),
    );
    await eventually(() => gateway.of("report").length === 3);
    gateway.send({ kind: "ack", seq: 99 });
    gateway.send({ kind: "nack", seq: 2, code: "TOO_LARGE", message: "m" });
    gateway.send({ kind: "ack", seq: 3 });
    gateway.send({ kind: "ack", seq: 1 });
    await Promise.all(reports);
    expect(settled).toEqual(["2 TOO_LARGE", "3 ok", "1 ok"]);
  });

  it("that were not acknowledged are sent again after a lost connection, in order, and no others", async () => {
    await transport.start(identity, handlers);
    await transport.report(report(1));
    gateway.acksReports = false;
    const lost = [transport.report(report(2)), transport.report(report(3))];
    await eventually(() => gateway.of("report").length === 3);
    gateway.cut();
    await eventually(() => seen.at(-1) === "disconnected");
    const during = transport.report(report(4));
    gateway.acksReports = true;
    gateway.frames.length = 0;
    await reconnect();
    await Promise.all([...lost, during]);
    expect(gateway.of("report").map(({ seq, report: { invocation } }) => [seq, invocation])).toEqual([
      [2, 2],
      [3, 3],
      [4, 4],
    ]);
    expect(gateway.frames[0]?.kind).toBe("hello");
  });

  it("without an acknowledgement are rejected by close, as are later ones", async () => {
    gateway.acksReports = false;
    await transport.start(identity, handlers);
    const hanging = expect(transport.report(report(1))).rejects.toMatchObject({ code: "WORKER_CLOSED" });
    const asking = expect(transport.needState({ runId: "r", invocation: 1 })).rejects.toMatchObject({
      code: "WORKER_CLOSED",
    });
    await transport.close();
    await Promise.all([hanging, asking]);
    await expect(transport.report(report(2))).rejects.toMatchObject({ code: "WORKER_CLOSED" });
    await expect(transport.needState({ runId: "r", invocation: 1 })).rejects.toMatchObject({ code: "WORKER_CLOSED" });
  });
});

describe("a lost connection", () => {
  it("comes back with growing pauses, says hello again, and asks again for state", async () => {
    await transport.start(identity, handlers);
    const state = transport.needState({ runId: "00a-run", invocation: 1 });
    await eventually(() => gateway.of("needState").length === 1);
    await gateway.stop();
    const pauses = (): unknown[] => logger.lines.map(([fields]) => (fields as { againInMs?: number }).againInMs);
    for (let tries = 1; tries <= 4; tries++) {
      await eventually(() => pauses().length === tries);
      await clock.advance(pauses()[tries - 1] as number);
    }
    await eventually(() => pauses().length === 5);
    expect(pauses()).toEqual([50, 100, 200, 400, 800]);
    await gateway.listen();
    gateway.frames.length = 0;
    await clock.advance(800);
    await eventually(() => gateway.of("needState").length === 1);
    gateway.send({ kind: "state", runId: "00a-run", invocation: 1, state: null });
    expect(await state).toBeNull();
    expect(seen).toEqual(["connected 60000", "disconnected", "connected 60000"]);
  });

  it("is noticed when the gateway answers no ping, and is not seen where it does", async () => {
    await transport.start(identity, handlers);
    for (let period = 0; period < 3; period++) {
      await clock.advance(15_000);
      await transport.heartbeat([{ runId: "r", invocation: 1 }]); // Answered after the ping, on the same stream.
    }
    expect(seen).toEqual(["connected 60000"]);
    gateway.freeze();
    await clock.advance(30_000);
    await reconnect();
    expect(logger.lines.map(([fields]) => (fields as { reason?: string }).reason)).toContain(
      "the gateway does not answer",
    );
  });

  it("is given up as dead when a heartbeat has no answer until the next", async () => {
    gateway.acksHeartbeats = false;
    await transport.start(identity, handlers);
    const beat = expect(transport.heartbeat([{ runId: "r", invocation: 1 }])).rejects.toThrow(
      "the connection was lost",
    );
    await expect(transport.heartbeat([{ runId: "r", invocation: 1 }])).rejects.toThrow("was not answered");
    await beat;
    await reconnect();
    expect(gateway.connections).toBe(2);
  });

  it("has no heartbeats", async () => {
    await transport.start(identity, handlers);
    gateway.cut();
    await eventually(() => seen.at(-1) === "disconnected");
    await expect(transport.heartbeat([{ runId: "r", invocation: 1 }])).rejects.toThrow("there is no connection");
  });

  it("stays lost while the gateway refuses the app, which is tried again and told", async () => {
    await transport.start(identity, handlers);
    gateway.onHello = { kind: "refused", code: "NOT_NOW", message: "m" };
    gateway.cut();
    await eventually(() => seen.at(-1) === "disconnected");
    await clock.advance(10_000);
    await eventually(() => logger.lines.some(([fields]) => (fields as { code?: string }).code === "NOT_NOW"));
    gateway.onHello = { kind: "welcome", leaseMs: 5, heartbeatMs: 1 };
    await eventually(() => logger.lines.length >= 3);
    await clock.advance(10_000);
    await eventually(() => seen.at(-1) === "connected 5");
  });

  it("says again that the worker drains", async () => {
    await transport.start(identity, handlers);
    transport.drain();
    gateway.cut();
    gateway.frames.length = 0;
    await reconnect();
    await eventually(() => gateway.of("drain").length === 1);
  });
});
