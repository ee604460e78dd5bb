import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket, type ClientOptions } from "ws";
import {
  decodeFrame,
  encodeFrame,
  encodeStepRequest,
  offset,
  PROTOCOL_VERSION,
  type FunctionConfig,
  type GatewayFrame,
  type WorkerFrame,
} from "@eddy/schemas";
import { REGISTRATION_MS_MAX } from "../../../clients/src/dispatch/registration.js";
import { HELLO_MS_MAX, WorkerGate } from "../../../clients/src/dispatch/worker-gate.js";
import { CLOSE_CODES } from "../../../clients/src/dispatch/worker-link.js";
import { TransientError } from "../../../clients/src/errors/codes.js";
import { ConnectSocket, PING_PERIOD_MS } from "../../src/gateway/connect-socket.js";
import { Guard } from "../../src/gateway/guard.js";
import { NO_METER } from "../../../clients/src/ports/meter.js";
import { requestOf, runOn } from "./dispatcher-fixtures.js";
import { openAccess } from "./gateway-fixtures.js";
import { appOf, fn, inboxOfKind, inForce, NO_STATES, TOPICS, until, world, type World } from "./fixtures.js";

const LANE = { event: "a", match: null, if: null, since: "mark" } as const;
const cart = fn({ id: "cart", triggers: [{ event: "cart/added" }] });

class Client {
  readonly socket: WebSocket;
  readonly frames: GatewayFrame[] = [];
  closed: { readonly code: number; readonly reason: string } | null = null;
  error: Error | null = null;

  constructor(url: string, options: ClientOptions = {}) {
    this.socket = new WebSocket(url, options);
    this.socket.on("message", (data: Buffer) => this.frames.push(decodeFrame(data) as GatewayFrame));
    this.socket.on("close", (code, reason) => (this.closed = { code, reason: reason.toString() }));
    this.socket.on("error", (error) => (this.error = error));
  }
  async open(): Promise<this> {
    await until("open", () => this.socket.readyState === WebSocket.OPEN);
    return this;
  }
  send(frame: WorkerFrame): void {
    this.socket.send(encodeFrame(frame));
  }
  hello(
    app: string,
    functions: FunctionConfig[],
    options: { workerId?: string; protocol?: number; rejoin?: boolean } = {},
  ): void {
    const { workerId = "w", protocol = PROTOCOL_VERSION, ...rejoin } = options;
    this.send({ kind: "hello", protocol, workerId, sdk: "test", slots: 4, config: { app, functions }, ...rejoin });
  }
  has<K extends GatewayFrame["kind"]>(kind: K): Extract<GatewayFrame, { kind: K }> | undefined {
    return this.frames.find((frame): frame is Extract<GatewayFrame, { kind: K }> => frame.kind === kind);
  }
}

describe("workers over WebSocket", () => {
  let w: World;
  let gate: WorkerGate;
  let server: Server;
  let socket: ConnectSocket;
  let isOpen: boolean;
  let url: string;
  const clients: Client[] = [];

  beforeEach(async () => {
    w = await world();
    gate = new WorkerGate({ ...w, meter: NO_METER, topics: TOPICS, states: NO_STATES });
    isOpen = true;
    server = createServer();
    const access = openAccess(w);
    const guard = new Guard({ access, meter: NO_METER, requestsPerSecondMax: 0, isMetricsOpen: true });
    const appOfRun = () => Promise.reject(new Error("nobody is bound to an app"));
    socket = new ConnectSocket({ ...w, access, guard, appOfRun, gate: () => (isOpen ? gate : null) });
    socket.install(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/v1/connect`;
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.socket.terminate();
    await gate.close();
    await socket.close();
    await new Promise((resolve) => server.close(resolve));
    await w.close();
  });

  async function connect(to = url, options: ClientOptions = {}): Promise<Client> {
    const client = new Client(to, options);
    clients.push(client);
    return client.open();
  }
  const registrations = () => inboxOfKind(w.log, 0, "register");
  /** A client whose app is in force. */
  async function welcomed(app = "shop", workerId = "w"): Promise<Client> {
    const config = appOf(app, (w.registry.app(app)?.version ?? 0) + 1, [cart]);
    if (!w.registry.isInForce(app, config.digest)) await inForce(w, config);
    const client = await connect();
    client.hello(app, [cart], { workerId });
    await until("welcome", () => client.has("welcome"));
    return client;
  }
  const request = (app: string, runId: string, atOffset: number) =>
    w.log.append(TOPICS.steps(app), Number.parseInt(runId.slice(0, 3), 16) % 4, [
      { key: runId, value: encodeStepRequest({ offset: offset(atOffset), index: 0 }, requestOf(runId)) },
    ]);

  it("registers an app through inbox 0 and welcomes the worker when it is in force", async () => {
    const client = await connect();
    client.hello("shop", [cart]);
    const [asked] = await until("the registration", async () => {
      const all = await registrations();
      return all.length > 0 && all;
    });
    expect(asked?.config).toEqual({ app: "shop", functions: [cart] });
    expect(client.frames).toEqual([]);
    await inForce(w, appOf("shop", 1, [cart]));
    const welcome = await until("welcome", () => client.has("welcome"));
    expect(welcome).toEqual({ kind: "welcome", leaseMs: 60_000, heartbeatMs: 20_000 });
  });

  it("does not register again what is in force, but does what has changed", async () => {
    await welcomed("shop", "a");
    await welcomed("shop", "b");
    expect(await registrations()).toEqual([]);
    const changed = await connect();
    changed.hello("shop", [fn({ id: "cart", triggers: [{ event: "cart/other" }] })]);
    await until("a registration", async () => (await registrations()).length === 1);
  });

  it("leaves the registration as it is for one that comes back, and gives it what it has", async () => {
    const former = fn({ id: "former", triggers: [{ event: "a" }] });
    await welcomed("shop", "new");
    const back = await connect();
    back.hello("shop", [former], { workerId: "old", rejoin: true });
    await until("welcome", () => back.has("welcome"));
    expect(await registrations()).toEqual([]);
    expect(w.registry.app("shop")?.functions).toEqual([cart]);
    // A start of its own, as of a process that was made anew, is another thing.
    const started = await connect();
    started.hello("shop", [former], { workerId: "started" });
    await until("a registration", async () => (await registrations()).length === 1);
  });

  it("registers for one that comes back to a namespace where its app is not known", async () => {
    const back = await connect();
    back.hello("shop", [cart], { rejoin: true });
    await until("the registration", async () => (await registrations()).length === 1);
    await inForce(w, appOf("shop", 1, [cart]));
    await until("welcome", () => back.has("welcome"));
  });

  it("serves two apps at once, each with its own requests", async () => {
    const shop = await welcomed("shop", "s");
    const press = await welcomed("press", "p");
    await request("shop", runOn(1, 1), 1);
    await request("press", runOn(1, 2), 2);
    await until("both", () => shop.has("request") && press.has("request"));
    expect(shop.has("request")?.request.runId).toBe(runOn(1, 1));
    expect(press.has("request")?.request.runId).toBe(runOn(1, 2));
    expect(gate.apps.map(({ app, workers, inFlight }) => [app, workers, inFlight])).toEqual([
      ["shop", 1, 1],
      ["press", 1, 1],
    ]);
  });

  it("carries a report to the log and its acknowledgement back", async () => {
    const client = await welcomed();
    const run = runOn(2, 1);
    await request("shop", run, 1);
    await until("the request", () => client.has("request"));
    const ops = [{ kind: "stepCompleted" as const, stepId: "s", data: new Uint8Array([1, 2, 3]) }];
    const report = { runId: run, invocation: 1, ops, outcome: { kind: "suspended" as const } };
    client.send({ kind: "report", seq: 3, report });
    await until("the acknowledgement", () => client.has("ack"));
    const [stored] = await inboxOfKind(w.log, 2, "report");
    expect(stored?.report.ops[0]).toMatchObject({ stepId: "s", data: new Uint8Array([1, 2, 3]) });
    client.send({ kind: "needState", runId: run, invocation: 1 });
    expect(await until("the state", () => client.has("state"))).toMatchObject({ state: null });
  });

  it("replaces the connection of a worker that connects again", async () => {
    const before = await welcomed("shop", "same");
    const after = await welcomed("shop", "same");
    await until("the former is closed", () => before.closed);
    expect(before.closed?.code).toBe(CLOSE_CODES.replaced);
    await request("shop", runOn(1, 1), 1);
    await until("the request", () => after.has("request"));
    expect(gate.apps[0]?.workers).toBe(1);
  });

  it.each<[string, (client: Client) => void, RegExp]>([
    ["text", (client) => client.socket.send("hello"), /binary/],
    ["no MessagePack", (client) => client.socket.send(new Uint8Array([1, 0, 193])), /MessagePack|fields/],
    ["another codec version", (client) => client.socket.send(new Uint8Array([9, 0, 1])), /version 9/],
    ["nothing", (client) => client.socket.send(new Uint8Array()), /2 bytes/],
    ["an unknown kind", (client) => client.send({ kind: "nope" } as unknown as WorkerFrame), /kind/],
    [
      "a field too many",
      (client) => client.send({ kind: "needState", runId: "x", invocation: 1, y: 2 } as unknown as WorkerFrame),
      /y/,
    ],
    ["a report before welcome", (client) => client.send({ kind: "drain" }), /drain before welcome/],
  ])("closes a connection that sends %s, with the reason, and nothing else", async (_, send, reason) => {
    const other = await welcomed("other", "healthy");
    const client = await connect();
    send(client);
    await until("closed", () => client.closed);
    expect(client.closed?.code).toBe(CLOSE_CODES.brokenFrame);
    expect(client.closed?.reason).toMatch(reason);
    other.send({ kind: "heartbeat", running: [] });
    await until("the other goes on", () => other.has("heartbeatAck"));
  });

  it("closes a welcomed connection that breaks the protocol", async () => {
    const client = await welcomed();
    client.hello("shop", [cart]);
    await until("closed", () => client.closed);
    expect(client.closed).toEqual({ code: CLOSE_CODES.brokenFrame, reason: "a connection says hello once" });
    await until("it is gone", () => gate.apps[0]?.workers === 0);
  });

  it.each<[string, (client: Client) => void, string, RegExp]>([
    ["another protocol", (client) => client.hello("shop", [cart], { protocol: 99 }), "PROTOCOL_MISMATCH", /99/],
    ["a bad app name", (client) => client.hello("no/slash", [cart]), "INVALID_HELLO", /config.app/],
    ["two functions of one id", (client) => client.hello("shop", [cart, cart]), "INVALID_HELLO", /unique/],
    [
      "a function without triggers",
      (client) => client.hello("shop", [{ ...cart, triggers: [] }]),
      "INVALID_HELLO",
      /config.functions.0.triggers/,
    ],
    [
      "a trigger's condition that does not parse",
      (client) => client.hello("shop", [{ ...cart, triggers: [{ event: "a", if: 'event.data.x == "ü" &&& true' }] }]),
      "INVALID_HELLO",
      /config.functions.0.triggers.0.if: does not parse as CEL at character 23 of "event.data.x == \\"ü\\" &&& true": /,
    ],
    [
      "a wait's condition that is not for conditions, in more text than a close frame holds",
      (client) =>
        client.hello("shop", [{ ...cart, waits: [{ ...LANE, if: `async.data.x.matches("${"ü".repeat(200)}")` }] }]),
      "INVALID_HELLO",
      /config.functions.0.waits.0.if: does not parse as CEL at character 1 of .*matches\(\) is not for conditions/,
    ],
  ])("refuses a hello with %s", async (_, hello, code, message) => {
    const client = await connect();
    hello(client);
    const refused = await until("refused", () => client.has("refused"));
    expect(refused.code).toBe(code);
    expect(refused.message).toMatch(message);
    await until("closed", () => client.closed);
    expect(client.closed?.code).toBe(CLOSE_CODES.refused);
    expect(await registrations()).toEqual([]);
  });

  it("gives up on a registration that is never in force, says who lags, and may be asked again", async () => {
    const client = await connect();
    client.hello("shop", [cart]);
    await until("the registration", async () => (await registrations()).length === 1);
    await until("closed", () => {
      w.clock.advance(REGISTRATION_MS_MAX / 100);
      return client.closed;
    });
    expect(client.closed?.code).toBe(CLOSE_CODES.tryAgain);
    expect(client.closed?.reason).toContain("not been numbered");
    expect(client.has("refused")).toBeUndefined();
  });

  it("closes for now while the log does not take the registration", async () => {
    w.log.beforeAppend = () => {
      throw new TransientError("the disk is away");
    };
    const client = await connect();
    client.hello("shop", [cart]);
    await until("closed", () => {
      w.clock.advance(200);
      return client.closed;
    });
    expect(client.closed).toEqual({ code: CLOSE_CODES.tryAgain, reason: "the disk is away" });
  });

  it("forgets a worker that leaves while it joins", async () => {
    const client = await connect();
    client.hello("shop", [cart]);
    await until("the registration", async () => (await registrations()).length === 1);
    client.socket.terminate();
    await inForce(w, appOf("shop", 1, [cart]));
    const next = await welcomed("shop", "next");
    await request("shop", runOn(1, 1), 1);
    await until("the request", () => next.has("request"));
    expect(gate.apps[0]?.workers).toBe(1);
  });

  it("closes a connection whose hello never ends, once it is over the bound of a frame", async () => {
    const other = await welcomed("other", "healthy");
    const client = await connect();
    const part = new Uint8Array(4 * 1_048_576);
    for (let sent = 0; sent < 44; sent += 4) client.socket.send(part, { fin: false, binary: true });
    await until("closed", () => client.closed);
    expect(client.closed?.code).toBe(1009);
    other.send({ kind: "heartbeat", running: [] });
    await until("the other goes on", () => other.has("heartbeatAck"));
  });

  it("closes a connection that never says hello", async () => {
    const client = await connect();
    await until("closed", () => {
      w.clock.advance(HELLO_MS_MAX / 10);
      return client.closed;
    });
    expect(client.closed?.reason).toContain("hello");
  });

  it("drops a peer that no longer answers pings, and keeps one that does", async () => {
    const alive = await welcomed("shop", "alive");
    const dead = await welcomed("shop", "dead");
    expect(gate.apps[0]?.workers).toBe(2);
    const raw = (dead.socket as unknown as { _socket: { pause(): void } })._socket;
    raw.pause();
    let pings = 0;
    alive.socket.on("ping", () => (pings += 1));
    for (let period = 1; period <= 3; period += 1) {
      w.clock.advance(PING_PERIOD_MS);
      await until("a ping", () => pings === period);
      // Answered behind the pong on the same connection: the pong has arrived then.
      alive.send({ kind: "heartbeat", running: [] });
      await until("an answer", () => alive.frames.filter(({ kind }) => kind === "heartbeatAck").length === period);
    }
    await until("dropped", () => gate.apps[0]?.workers === 1);
    expect(alive.closed).toBeNull();
  });

  it("lets no web page in, and nobody elsewhere", async () => {
    for (const [to, options, status] of [
      [url, { origin: "https://evil.example" }, "403"],
      [url.replace("/v1/connect", "/v1/other"), {}, "404"],
    ] as const) {
      const client = new Client(to, options);
      clients.push(client);
      await until("refused", () => client.error);
      expect(client.error?.message).toContain(status);
    }
  });

  it("asks workers to come again until they can be taken in", async () => {
    isOpen = false;
    const early = new Client(url);
    clients.push(early);
    await until("refused", () => early.error);
    expect(early.error?.message).toContain("503");
    isOpen = true;
    const later = await new Client(url).open();
    clients.push(later);
    expect(later.error).toBeNull();
  });

  it("does not give requests to a worker that does not read, until it does", async () => {
    const client = await welcomed("shop", "slow");
    const raw = (client.socket as unknown as { _socket: { pause(): void; resume(): void } })._socket;
    raw.pause();
    const big = new Uint8Array(5 * 1_048_576);
    for (let no = 0; no < 8; no += 1) {
      const run = runOn(0, no);
      const cause = { offset: offset(no + 1), index: 0 };
      const value = encodeStepRequest(cause, { ...requestOf(run), event: big });
      await w.log.append(TOPICS.steps("shop"), 0, [{ key: run, value }]);
    }
    await until("some are handed out", () => (gate.apps[0]?.inFlight ?? 0) > 0);
    for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    const heldBack = gate.apps[0]?.inFlight ?? 0;
    // Slots are 4: fewer than that are out only because the connection is congested.
    expect(heldBack).toBeLessThan(4);
    raw.resume();
    await until("all slots are used", () => gate.apps[0]?.inFlight === 4);
  });

  it("closes all when the engine stops, and takes nobody in any more", async () => {
    const client = await welcomed();
    await gate.close();
    await until("closed", () => client.closed);
    expect(client.closed?.code).toBe(CLOSE_CODES.goingAway);
    const late = new Client(url);
    clients.push(late);
    await until("closed", () => late.closed);
    expect(late.closed?.code).toBe(CLOSE_CODES.goingAway);
  });
});
