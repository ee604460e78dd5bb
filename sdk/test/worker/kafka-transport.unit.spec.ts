/** The contract of transports (T1 to T6) over Kafka, on a log in memory, with a dispatcher in this process. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FunctionConfig, StepReport } from "@eddy/schemas";
import { HEARTBEAT_GATHER_MS } from "@eddy/clients";
import { ConfigError } from "@eddy/clients/errors";
import { KafkaTransport } from "../../src/worker/kafka-transport.js";
import type { TransportHandlers } from "../../src/worker/transport.js";
import { ManualClock, memoryLogger, turns, until } from "../manual-clock.js";
import { APP, away, MemoryNamespace, runOn, SETTINGS, TOPICS } from "./memory-namespace.js";

const suspended = { kind: "suspended" } as const;
const report = (runId: string, invocation = 1, outcome: StepReport["outcome"] = suspended): StepReport => ({
  runId,
  invocation,
  ops: [],
  outcome,
});
/** A transport with what its worker heard. */
function workerOn(namespace: MemoryNamespace, workerId = "w", slots = 2, functions: FunctionConfig[] = []) {
  const clock = new ManualClock();
  const logger = memoryLogger();
  const heard: string[] = [];
  const handlers: TransportHandlers = {
    onRequest: ({ runId, invocation }) => void heard.push(`request ${runId} ${invocation}`),
    onAbort: (runId) => void heard.push(`abort ${runId}`),
    onConnected: ({ leaseMs, heartbeatMs }) => void heard.push(`connected ${leaseMs} ${heartbeatMs}`),
    onDisconnected: () => void heard.push("disconnected"),
  };
  const transport = new KafkaTransport({
    access: namespace.accesses.hold(SETTINGS, logger),
    place: { namespace: "test", brokers: SETTINGS.brokers },
    clock,
    logger,
    random: () => 0,
  });
  const requests = (): string[] => heard.filter((line) => line.startsWith("request")).map((line) => line.slice(8));
  const start = (): Promise<void> => transport.start({ workerId, slots, config: { app: APP, functions } }, handlers);
  return { clock, logger, heard, transport, requests, start };
}

let namespace: MemoryNamespace;
let open: KafkaTransport[];
beforeEach(async () => {
  namespace = await new MemoryNamespace().make();
  open = [];
});
afterEach(async () => {
  await Promise.all(open.map((transport) => transport.close()));
  await namespace.close();
});

function made(...args: Parameters<typeof workerOn> extends [unknown, ...infer Rest] ? Rest : never) {
  const one = workerOn(namespace, ...args);
  open.push(one.transport);
  return one;
}
async function started(...args: Parameters<typeof made>) {
  namespace.startEngine();
  const one = made(...args);
  await one.start();
  return one;
}

/** Lets log time pass in small steps until something holds. */
async function passing(condition: () => boolean, stepMs = 500): Promise<void> {
  for (let step = 0; step < 400 && !condition(); step += 1) {
    namespace.clock.advance(stepMs);
    await turns();
  }
  expect(condition()).toBe(true);
}

describe("T1: start", () => {
  it("registers, makes the app's topics, and resolves when the registration is in force everywhere", async () => {
    const w = made();
    let isStarted = false;
    const starting = w.start().then(() => (isStarted = true));
    await turns(100);
    expect((await namespace.inboxOf(0, "register")).map(({ config }) => config.app)).toEqual([APP]);
    expect((await namespace.log.offsets(TOPICS.steps(APP), 1)).end).toBe(0);
    expect([isStarted, w.heard]).toEqual([false, []]);
    namespace.startEngine();
    await starting;
    expect(w.heard).toEqual(["connected 60000 20000"]);
  });

  it("waits for the first engine of the namespace, and says so", async () => {
    await namespace.close();
    namespace = new MemoryNamespace();
    const w = made();
    const starting = w.start();
    await until(() => w.logger.lines.length === 1);
    expect(w.logger.lines[0]?.[1]).toBe("no engine has made the namespace test yet; waiting for one");
    await namespace.make({ dev: true });
    namespace.startEngine();
    await passing(() => w.heard.length === 1);
    await starting;
    expect(namespace.connections).toEqual(["open", "close", "open dev"]);
  });

  it("waits for brokers, and says so", async () => {
    namespace.trouble = away();
    const w = made();
    const starting = w.start();
    await until(() => w.logger.lines.length === 1);
    expect(w.logger.lines[0]).toEqual([
      { brokers: ["nowhere:1"], reason: "no broker answers" },
      "no Kafka broker answers; trying again",
    ]);
    namespace.trouble = null;
    namespace.startEngine();
    await passing(() => w.heard.length === 1);
    await starting;
  });

  it("is refused where the app's topics cannot be as they have to be", async () => {
    await namespace.log.ensureTopics([
      { name: TOPICS.steps(APP), partitions: 7, policy: "delete", retentionMs: 1_000 },
    ]);
    const w = made();
    await expect(w.start()).rejects.toMatchObject({ name: "ConnectError", code: "CONFIG_INVALID" });
    expect(namespace.connections).toEqual(["open", "close"]);
  });

  it("is refused with a condition that does not parse, and registers nothing", async () => {
    const waits = [{ event: "a", match: null, if: "async.data.x = 1", since: "mark" as const }];
    const triggers = [{ event: "a", if: null }];
    const w = made("w", 2, [{ id: "f", name: "f", triggers, cancelOn: [], waits, retries: 0 }]);
    await expect(w.start()).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(/^config.functions.0.waits.0.if: does not parse as CEL at character 14/) as string,
    });
    expect(await namespace.inboxOf(0, "register")).toEqual([]);
  });

  it("is refused where no waiting will help", async () => {
    namespace.trouble = new ConfigError("the password is wrong");
    const w = made();
    await expect(w.start()).rejects.toMatchObject({ code: "CONFIG_INVALID", message: "the password is wrong" });
  });

  it("rejects when the worker closes before", async () => {
    namespace.trouble = away();
    const w = made();
    const starting = expect(w.start()).rejects.toMatchObject({ code: "WORKER_CLOSED" });
    await until(() => w.logger.lines.length === 1);
    await w.transport.close();
    await starting;
  });
});

describe("T2: requests", () => {
  it("are given up to the slots; the next when an outcome is in the log, or one is released", async () => {
    const w = await started();
    const runs = [1, 2, 3, 4].map((no) => runOn(0, no));
    for (const run of runs) await namespace.request(run);
    await until(() => w.requests().length === 2);
    await turns(50);
    expect(w.requests()).toEqual([`${runs[0]} 1`, `${runs[1]} 1`]);
    await w.transport.report(report(runs[0] as string, 1, null));
    await turns(50);
    expect(w.requests()).toHaveLength(2);
    await w.transport.report(report(runs[0] as string));
    await until(() => w.requests().length === 3);
    w.transport.release({ runId: runs[1] as string, invocation: 1 });
    await until(() => w.requests().length === 4);
  });

  it("are shared by the processes of an app; one that drains leaves the rest to the others at once", async () => {
    const a = await started("a", 100);
    const b = made("b", 100);
    await b.start();
    await until(() => namespace.connections.length === 1); // Both share one access: they are of one process here.
    for (let no = 0; no < 20; no += 1) await namespace.request(runOn(no % 2, no));
    await until(() => a.requests().length + b.requests().length === 20);
    expect([a.requests().length, b.requests().length]).toEqual([10, 10]);
    a.transport.drain();
    for (let no = 20; no < 30; no += 1) await namespace.request(runOn(no % 2, no));
    await until(() => b.requests().length === 20);
    const [first, left, ...rest] = a.requests();
    await a.transport.report(report(first?.split(" ")[0] as string));
    const runId = left?.split(" ")[0] as string;
    a.transport.release({ runId, invocation: 1 });
    const unread = rest.pop()?.split(" ")[0] as string;
    await a.transport.close(rest.map((line) => ({ runId: line.split(" ")[0] as string, invocation: 1 })));
    const declined = await Promise.all([0, 1].map((partition) => namespace.inboxOf(partition, "declined")));
    const inShort = declined.flat().map((record) => `${record.runId} ${record.invocation}`);
    expect(inShort.sort()).toEqual([`${runId} 1`, `${unread} 1`].sort());
    expect(namespace.connections).toEqual(["open"]);
  });

  it("of a cancelled run are aborted", async () => {
    const w = await started();
    await namespace.request(runOn(1, 1));
    await until(() => w.requests().length === 1);
    await namespace.abort(runOn(1, 1));
    await until(() => w.heard.at(-1) === `abort ${runOn(1, 1)}`);
  });

  it("that lack something are declined over the log, and dropped", async () => {
    const w = await started("w", 1);
    const [first, second] = [runOn(1, 1), runOn(1, 2)];
    await namespace.request(first);
    await namespace.request(second);
    await until(() => w.requests().length === 1);
    expect(await w.transport.needState({ runId: first, invocation: 1 })).toBeNull();
    expect(await namespace.inboxOf(1, "declined")).toEqual([{ kind: "declined", runId: first, invocation: 1 }]);
    await until(() => w.requests().length === 2);
  });
});

describe("T3: reports", () => {
  it("resolve when the log has them", async () => {
    const w = await started();
    let release = (): void => undefined;
    namespace.beforeAppend = () => new Promise((resolve) => (release = resolve));
    let isAcknowledged = false;
    const reporting = w.transport.report(report(runOn(1, 1))).then(() => (isAcknowledged = true));
    await turns(50);
    expect(isAcknowledged).toBe(false);
    release();
    await reporting;
    expect(await namespace.inboxOf(1, "report")).toEqual([{ kind: "report", report: report(runOn(1, 1)) }]);
  });

  it("are sent again in order when the log did not take them, without registering again", async () => {
    const w = await started("w", 5);
    await namespace.request(runOn(0, 1));
    await until(() => w.requests().length === 1);
    namespace.beforeAppend = () => {
      throw away();
    };
    let acknowledged = 0;
    const given = [1, 2, 3].map((no) => report(runOn(0, no)));
    const reports = given.map((one) => w.transport.report(one).then(() => (acknowledged += 1)));
    await passing(() => w.heard.at(-1) === "disconnected");
    expect(w.logger.lines.at(-1)?.[1]).toBe("no connection to Eddy on Kafka; trying again");
    namespace.beforeAppend = () => undefined;
    await w.clock.advance(10_000);
    await passing(() => acknowledged === 3);
    await Promise.all(reports);
    // What was still in a pause between two tries of the first connection may be there twice: receivers drop it.
    expect((await namespace.inboxOf(0, "report")).slice(-3).map((record) => record.report)).toEqual(given);
    expect(w.heard.filter((line) => line.startsWith("connected"))).toHaveLength(2);
    expect(await namespace.inboxOf(0, "register")).toHaveLength(1);
  });

  it("leave a newer version's registration in force when the connection comes back", async () => {
    const functionOf = (id: string): FunctionConfig => {
      const triggers = [{ event: "a", if: null }];
      return { id, name: id, triggers, cancelOn: [], waits: [], retries: 0 };
    };
    const old = await started("old", 5, [functionOf("f")]);
    await made("new", 5, [functionOf("f"), functionOf("g")]).start();
    namespace.beforeAppend = () => {
      throw away();
    };
    const reported = old.transport.report(report(runOn(0, 1)));
    await passing(() => old.heard.at(-1) === "disconnected");
    namespace.beforeAppend = () => undefined;
    await old.clock.advance(10_000);
    await reported;
    const registered = (await namespace.inboxOf(0, "register")).map(({ config }) =>
      config.functions.map(({ id }) => id),
    );
    expect(registered).toEqual([["f"], ["f", "g"]]);
  });

  it("that the log will never take are refused", async () => {
    const w = await started();
    const data = new Uint8Array(41 * 1_048_576);
    const large = { ...report(runOn(0, 1)), ops: [{ kind: "stepCompleted" as const, stepId: "s", data }] };
    await expect(w.transport.report(large)).rejects.toMatchObject({ code: "REPORT_TOO_LARGE" });
  });

  it("without an acknowledgement are rejected by close, as are later ones", async () => {
    const w = await started();
    let release = (): void => undefined;
    namespace.beforeAppend = () => new Promise((resolve) => (release = resolve));
    const hanging = expect(w.transport.report(report(runOn(0, 1)))).rejects.toMatchObject({ code: "WORKER_CLOSED" });
    await turns(20);
    const closing = w.transport.close();
    await hanging;
    release();
    await closing;
    await expect(w.transport.report(report(runOn(0, 2)))).rejects.toMatchObject({ code: "WORKER_CLOSED" });
    await expect(w.transport.needState({ runId: runOn(0, 1), invocation: 1 })).rejects.toMatchObject({
      code: "WORKER_CLOSED",
    });
  });
});

describe("T4, T5: heartbeats and lost connections", () => {
  it("resolve once the log has them", async () => {
    const w = await started();
    let isAcknowledged = false;
    const running = [{ runId: runOn(1, 1), invocation: 1 }];
    const beating = w.transport.heartbeat(running).then(() => (isAcknowledged = true));
    await turns(50);
    expect(isAcknowledged).toBe(false);
    namespace.clock.advance(HEARTBEAT_GATHER_MS);
    await beating;
    expect(await namespace.inboxOf(1, "heartbeat")).toEqual([{ kind: "heartbeat", app: APP, running }]);
  });

  it("that are not answered until the next is due cost the connection, which comes back at once", async () => {
    const w = await started();
    const running = [{ runId: runOn(1, 1), invocation: 1 }];
    const first = expect(w.transport.heartbeat(running)).rejects.toThrow("the connection was lost");
    await expect(w.transport.heartbeat(running)).rejects.toThrow("was not answered");
    await first;
    expect(w.heard.at(-1)).toBe("disconnected");
    await expect(w.transport.heartbeat(running)).rejects.toThrow("there is no connection");
    await w.clock.advance(10_000);
    expect(w.heard.at(-1)).toBe("connected 60000 20000");
    await namespace.request(runOn(0, 1));
    await until(() => w.requests().length === 1);
  });
});

describe("T6: close", () => {
  it("leaves nothing open, and nothing with others' connections", async () => {
    const a = await started("a", 1);
    const b = made("b", 1);
    await b.start();
    await a.transport.close();
    await a.transport.close();
    expect(namespace.connections).toEqual(["open"]);
    for (let partition = 0; partition < 2; partition += 1) await namespace.request(runOn(partition, partition));
    await until(() => b.requests().length === 1);
    await b.transport.close();
    expect(namespace.connections).toEqual(["open", "close"]);
    expect([a.clock.timers, b.clock.timers]).toEqual([0, 0]);
  });
});
